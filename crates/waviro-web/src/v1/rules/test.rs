//! `/v1/bots/{bot}/rules/test`: tests a text against the rules, with the same code as for inbound
//! texts.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::config::AllowedNetwork;
use waviro_core::jobs::retry;
use waviro_core::net::{self, Call};
use waviro_core::webhook_reply::{self, Item, Parsed};
use waviro_link::{Contact, GroupId, Location, Number};
use waviro_store::keyword::{self, InboundText};
use waviro_store::{AttemptFailure, RuleRow, beginning};

use super::super::auth::ChangesBot;
use super::super::body::Body;
use super::super::causes::AttemptCauseCode;
use super::super::fields::{Field, MessageText};
use super::super::problem::Problem;
use super::super::responses::JsonResult;
use super::super::state::V1;
use super::RuleView;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new().routes(routes!(http_test))
}

/// A text to test.
#[derive(Deserialize, ToSchema)]
pub struct TestRule {
    /// The text of an inbound message.
    #[schema(value_type = String, min_length = 1, max_length = 65_536, example = "penawaran#Jhon Doe#jhon@example.com")]
    text: Field<MessageText>,
    /// The number of the sender; absent or null for a sender with a hidden number.
    #[schema(value_type = Option<String>, example = "6281234567890")]
    from: Option<Field<Number>>,
    /// The group of the message; absent or null for a message to the bot.
    #[schema(value_type = Option<String>, example = "120363000000000001")]
    group: Option<Field<GroupId>>,
    /// True to post the webhook once. No message is sent to any chat.
    #[schema(default = false)]
    send: Option<bool>,
}

/// The result of the test.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TestedRule {
    /// The matching rule; null if no rule matches, and then nothing is posted.
    #[schema(required)]
    pub(crate) rule: Option<RuleView>,
    /// The webhook's request.
    #[schema(required)]
    pub(crate) request: Option<WouldPost>,
    /// The outcome of the request; null without `send`.
    #[schema(required)]
    pub(crate) sent: Option<CameOf>,
}

/// A request to a webhook.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct WouldPost {
    /// The URL of the request.
    #[schema(example = "https://toko.example/webhook.php")]
    pub(crate) url: String,
    /// The headers of the request, including the signature. A real request has another id, time and
    /// signature.
    pub(crate) headers: BTreeMap<String, String>,
    /// The exact body of the request.
    #[schema(
        example = r#"{"keyword":"penawaran#","data":["Jhon Doe"],"webhookkey":"whk_1f2e…","from":"6281234567890"}"#
    )]
    pub(crate) body: String,
}

/// The response of an endpoint and its effect.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CameOf {
    /// The status of the response; null if there was no response.
    #[schema(required, minimum = 100, maximum = 999)]
    pub(crate) status: Option<u16>,
    /// The milliseconds from the start of the request to the last byte of the response, or to the
    /// failure.
    #[schema(minimum = 0)]
    pub(crate) duration_ms: i64,
    /// The IP address of the endpoint.
    #[schema(required, example = "192.0.2.1")]
    pub(crate) address: Option<String>,
    /// The beginning of the response body.
    pub(crate) answer: String,
    /// The gateway's reaction to such a response.
    pub(crate) verdict: Verdict,
    /// The reason, if the request failed, in words for people.
    #[schema(required, example = "status 500")]
    pub(crate) cause: Option<String>,
    /// The stable code of the reason.
    #[schema(required)]
    pub(crate) cause_code: Option<AttemptCauseCode>,
    /// The messages that would be sent to the chat, in order.
    pub(crate) reply: Vec<ReplyItem>,
    /// The items of the reply that would not be sent, with the reason.
    pub(crate) skipped: Vec<SkippedItem>,
    /// The reason for which no message would be sent, if there is no message.
    #[schema(required)]
    pub(crate) nothing_because: Option<String>,
}

/// The gateway's reaction to a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The endpoint answered 2xx; the webhook reply is sent.
    Delivered,
    /// The gateway would retry.
    Retried,
    /// The endpoint answered 410; the gateway would disable the rule.
    SwitchedOff,
}

/// A message in a webhook reply.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ReplyItem {
    /// The kind: `text`, `location`, `image`, `video`, `audio`, `document`, `contact` or `card` (a
    /// vCard file to fetch).
    #[schema(example = "text")]
    pub(crate) r#type: String,
    /// The text, the caption of a file, or the name of a location or card.
    #[schema(required)]
    pub(crate) text: Option<String>,
    /// The URL of the file. A test fetches no file.
    #[schema(required)]
    pub(crate) url: Option<String>,
    /// The degrees north and the degrees east.
    #[schema(required)]
    pub(crate) coordinate: Option<[f64; 2]>,
    /// The numbers of the card.
    pub(crate) numbers: Vec<String>,
}

/// A skipped item of a webhook reply.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SkippedItem {
    /// The position in the reply; the first item is 1.
    #[schema(minimum = 1)]
    pub(crate) position: usize,
    /// The reason.
    pub(crate) why: String,
}

/// Test a text
///
/// Returns the matching rule and the exact request that would be posted. With `send`, the request
/// is posted once, and the response shows the messages that the reply would send. The test writes
/// no journal entry, is not retried, and sends no message.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/rules/test", tag = "rules", request_body = TestRule,
    responses((status = 200, description = "The result of the test.", body = TestedRule))
)]
async fn http_test(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<TestRule>,
) -> JsonResult<TestedRule> {
    test(&services, &at, asked).await.map(Json)
}

pub(crate) async fn test(
    services: &Services,
    at: &ChangesBot,
    asked: TestRule,
) -> Result<TestedRule, Problem> {
    let bot_id = at.bot().id();
    let rules = services.store.rules(bot_id).await?;
    let profile = services.profiles.of(bot_id).await?;
    let group_id = asked.group.map(|group| keyword::group_id(&group.0));
    let inbound = InboundText {
        text: &asked.text.0,
        from: asked.from.as_ref().map_or("", |from| from.0.as_str()),
        group_id: group_id.as_deref(),
    };
    let Some(routed) = keyword::route(&rules, inbound, profile.webhook_key()) else {
        return Ok(TestedRule {
            rule: None,
            request: None,
            sent: None,
        });
    };
    let id = format!("msg_{}", hex::encode(rand::random::<[u8; 12]>()));
    let headers = profile.headers(&id, services.clock.wall(), &routed.body);
    let sent = if asked.send.unwrap_or(false) {
        Some(
            try_once(
                services,
                routed.rule,
                &routed.body,
                &headers,
                profile.allow(),
            )
            .await,
        )
    } else {
        None
    };
    let usual = [
        ("content-type", net::JSON.to_owned()),
        ("content-length", routed.body.len().to_string()),
        ("user-agent", net::USER_AGENT.to_owned()),
    ];
    let shown = usual.into_iter().chain(headers);
    let shown = shown
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(TestedRule {
        rule: Some(routed.rule.clone().into()),
        request: Some(WouldPost {
            url: routed.rule.url.to_string(),
            headers: shown,
            body: routed.body,
        }),
        sent,
    })
}

async fn try_once(
    services: &Services,
    rule: &RuleRow,
    body: &str,
    headers: &[(&'static str, String)],
    allow: &[AllowedNetwork],
) -> CameOf {
    let within = rule
        .timeout_s
        .and_then(|seconds| u64::try_from(seconds).ok());
    let call = Call {
        url: &rule.url,
        body: Bytes::from(body.to_owned()),
        headers,
        within: within.map(Duration::from_secs),
        allow,
    };
    let within = call.within;
    let posted = services.net.post_on(call).await;
    let (tried, is_read) = match posted.answer_at() {
        None => (posted.attempt, false),
        Some(at) => {
            let read = services.net.get_on(at, posted.redirects + 1, within, allow);
            let mut tried = read.await.attempt;
            tried.took += posted.attempt.took;
            (tried, true)
        }
    };
    let (verdict, failure) = match retry::decide(&tried.outcome, 0, 0.0) {
        retry::Decision::Delivered => (Verdict::Delivered, None),
        retry::Decision::Retry { error, .. } | retry::Decision::GiveUp { error } => {
            (Verdict::Retried, Some(error))
        }
        retry::Decision::Gone => {
            let verdict = if is_read {
                Verdict::Retried
            } else {
                Verdict::SwitchedOff
            };
            (verdict, Some(AttemptFailure::status(410)))
        }
    };
    let answer = tried.outcome.as_ref().ok();
    let bytes = answer.map(|answer| &answer.body[..]).unwrap_or_default();
    let parsed = match &failure {
        None => webhook_reply::parse(bytes).map_err(|why| why.to_string()),
        Some(failure) => Err(format!("no 2xx: {failure}")),
    };
    let nothing_because = match &parsed {
        Err(why) => Some(why.clone()),
        Ok(parsed) if parsed.items.is_empty() => Some("all items were left out".to_owned()),
        Ok(_) => None,
    };
    let parsed = parsed.unwrap_or(Parsed {
        items: Vec::new(),
        skipped: Vec::new(),
        tolerant: false,
    });
    let skipped = parsed.skipped.into_iter().map(|skipped| SkippedItem {
        position: skipped.position,
        why: skipped.why,
    });
    CameOf {
        status: answer.map(|answer| answer.status),
        duration_ms: i64::try_from(tried.took.as_millis()).unwrap_or(i64::MAX),
        address: tried.address.map(|address| address.to_string()),
        answer: beginning(&String::from_utf8_lossy(bytes)).to_owned(),
        verdict,
        cause_code: failure.as_ref().map(|failure| failure.cause.into()),
        cause: failure.map(|failure| failure.text),
        reply: parsed.items.into_iter().map(ReplyItem::from).collect(),
        skipped: skipped.collect(),
        nothing_because,
    }
}

impl From<Item> for ReplyItem {
    fn from(item: Item) -> Self {
        let bare = |r#type: &str, text: Option<String>, url: Option<Url>| Self {
            r#type: r#type.to_owned(),
            text,
            url: url.map(String::from),
            coordinate: None,
            numbers: Vec::new(),
        };
        let content = match item {
            Item::Ready(content) => content,
            Item::File { kind, url, caption } => return bare(kind.word(), caption, Some(url)),
            Item::Card { url } => return bare("card", None, Some(url)),
        };
        let text = Some(content.text().to_owned()).filter(|text| !text.is_empty());
        let coordinate = |place: &Location| [place.latitude, place.longitude];
        let numbers = |card: &Contact| card.numbers.iter().map(ToString::to_string).collect();
        Self {
            coordinate: content.location().map(coordinate),
            numbers: content.contact().map(numbers).unwrap_or_default(),
            ..bare(content.kind().word(), text, None)
        }
    }
}
