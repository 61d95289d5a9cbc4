//! `/v1/bots/{bot}/rules/test`: what would become of a text, by the same code that real ones go through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_link::{GroupId, MediaKind, Number};

use super::super::V1;
use super::super::auth::AtBot;
use super::super::body::{Body, Fields, FromFields, required};
use super::super::problem::Problem;
use super::RuleView;
use crate::answer::{self, Item, Parsed};
use crate::config::AllowedNetwork;
use crate::jobs::retry;
use crate::keyword::{self, Heard};
use crate::net::{self, Call};
use crate::store::{RuleRow, beginning};

/// This file's operation.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new().routes(routes!(test))
}

/// A text to try.
#[derive(ToSchema)]
pub struct TestRule {
    /// What somebody might write.
    #[schema(
        min_length = 1,
        max_length = 65_536,
        example = "penawaran#Jhon Doe#jhon@example.com"
    )]
    text: String,
    /// Who writes; absent or null: somebody whose number WhatsApp hides.
    #[schema(value_type = Option<String>, example = "6281234567890")]
    from: Option<Number>,
    /// In which group; absent or null: to the bot alone.
    #[schema(value_type = Option<String>, example = "120363000000000001")]
    group: Option<GroupId>,
    /// Whether to post it, once. Nothing is sent to anybody.
    #[schema(default = false)]
    send: Option<bool>,
}

impl FromFields for TestRule {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            text: required("text", fields.words("text")?)?,
            from: fields.number("from")?,
            group: fields.group("group")?,
            send: fields.flag("send")?,
        })
    }
}

/// What would become of the text.
#[derive(Serialize, ToSchema)]
pub struct TestedRule {
    /// The rule that takes it; null where none does, and nothing is posted.
    #[schema(required)]
    rule: Option<RuleView>,
    /// What is posted.
    #[schema(required)]
    request: Option<WouldPost>,
    /// What came of posting it; null where it was not asked for.
    #[schema(required)]
    sent: Option<CameOf>,
}

/// A request to a webhook.
#[derive(Serialize, ToSchema)]
pub struct WouldPost {
    /// Where to.
    #[schema(example = "https://toko.example/webhook.php")]
    url: String,
    /// Its headers, the signature among them; real ones have another id and time, so another signature.
    headers: BTreeMap<&'static str, String>,
    /// Its body, to the last byte.
    #[schema(
        example = r#"{"keyword":"penawaran#","data":["Jhon Doe"],"webhookkey":"whk_1f2e…","from":"6281234567890"}"#
    )]
    body: String,
}

/// What an endpoint answered, and what would be made of it.
#[derive(Serialize, ToSchema)]
pub struct CameOf {
    /// The answer's status; null where there was none.
    #[schema(required, minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// From the call to the last byte, or to the failure.
    #[schema(minimum = 0)]
    duration_ms: i64,
    /// Who was dialled.
    #[schema(required, example = "192.0.2.1")]
    address: Option<String>,
    /// The beginning of the answer's body.
    answer: String,
    /// What the gateway would do about it.
    verdict: Verdict,
    /// Why, where it is no success.
    #[schema(required)]
    cause: Option<String>,
    /// What would be sent to the chat, in this order.
    reply: Vec<ReplyItem>,
    /// What of the answer would not be sent, and why.
    skipped: Vec<SkippedItem>,
    /// Why nothing would be sent, where that is so.
    #[schema(required)]
    nothing_because: Option<String>,
}

/// What the gateway does about an answer.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A 2xx: it counts, and what it says is sent.
    Delivered,
    /// It is tried again by the table of retries.
    Retried,
    /// 410: the rule is switched off.
    SwitchedOff,
}

/// A message that an answer asks for.
#[derive(Serialize, ToSchema)]
pub struct ReplyItem {
    /// `text`, `location`, `image`, `video`, `audio`, `document`, `contact` or `card` (a vCard file to fetch).
    #[schema(example = "text")]
    r#type: &'static str,
    /// The text, a file's caption, or a place's or card's name.
    #[schema(required)]
    text: Option<String>,
    /// The file to fetch. A test fetches none.
    #[schema(required)]
    url: Option<String>,
    /// Degrees north and east.
    #[schema(required)]
    coordinate: Option<[f64; 2]>,
    /// A card's numbers.
    numbers: Vec<String>,
}

/// An item of an answer that is left out.
#[derive(Serialize, ToSchema)]
pub struct SkippedItem {
    /// Its place in the reply; the first is 1.
    #[schema(minimum = 1)]
    position: usize,
    /// What is wrong with it.
    why: String,
}

/// Try a text
///
/// Says which rule takes it and what would be posted, to the last byte. With `send` it is posted once, and what the answer would
/// send is shown; it is not in the journal, nothing is tried again, and nobody is sent anything.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/rules/test", tag = "rules", request_body = TestRule,
    responses((status = 200, description = "What would become of it.", body = TestedRule))
)]
async fn test(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<TestRule>,
) -> Result<Json<TestedRule>, Problem> {
    let slot = at.bot.slot();
    let rules = v1.store.rules(slot).await?;
    let profile = v1.profiles.of(slot).await?;
    let group_id = asked.group.as_ref().map(keyword::group_id);
    let heard = Heard {
        text: &asked.text,
        from: asked.from.as_ref().map_or("", Number::as_str),
        group_id: group_id.as_deref(),
    };
    let Some(routed) = keyword::route(&rules, heard, profile.webhook_key()) else {
        return Ok(Json(TestedRule {
            rule: None,
            request: None,
            sent: None,
        }));
    };
    let id = format!("msg_{}", hex::encode(rand::random::<[u8; 12]>()));
    let headers = profile.headers(&id, v1.clock.wall(), &routed.body);
    let sent = if asked.send.unwrap_or(false) {
        Some(
            v1.try_once(routed.rule, &routed.body, &headers, profile.allow())
                .await,
        )
    } else {
        None
    };
    let mut shown = BTreeMap::from([
        ("content-type", net::JSON.to_owned()),
        ("content-length", routed.body.len().to_string()),
        ("user-agent", net::USER_AGENT.to_owned()),
    ]);
    shown.extend(headers);
    Ok(Json(TestedRule {
        rule: Some(routed.rule.clone().into()),
        request: Some(WouldPost {
            url: routed.rule.url.to_string(),
            headers: shown,
            body: routed.body,
        }),
        sent,
    }))
}

impl V1 {
    async fn try_once(
        &self,
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
        let posted = self.net.post_on(call).await;
        let (tried, is_read) = match posted.answer_at() {
            None => (posted.attempt, false),
            Some(at) => {
                let read = self.net.get_on(at, posted.redirects + 1, within, allow);
                let mut tried = read.await.attempt;
                tried.took += posted.attempt.took;
                (tried, true)
            }
        };
        let (verdict, cause) = match retry::judge(&tried.outcome, 0, 0.0) {
            retry::Fate::Done => (Verdict::Delivered, None),
            retry::Fate::Again { error, .. } | retry::Fate::UsedUp { error } => {
                (Verdict::Retried, Some(error))
            }
            retry::Fate::Gone => {
                let verdict = if is_read {
                    Verdict::Retried
                } else {
                    Verdict::SwitchedOff
                };
                (verdict, Some("status 410".to_owned()))
            }
        };
        let answer = tried.outcome.as_ref().ok();
        let bytes = answer.map(|answer| &answer.body[..]).unwrap_or_default();
        let parsed = match &cause {
            None => answer::parse(bytes).map_err(|why| why.to_string()),
            Some(cause) => Err(format!("no 2xx: {cause}")),
        };
        let nothing_because = match &parsed {
            Err(why) => Some(why.clone()),
            Ok(parsed) if parsed.items.is_empty() => {
                Some("every item had to be left out".to_owned())
            }
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
            cause,
            reply: parsed.items.into_iter().map(ReplyItem::from).collect(),
            skipped: skipped.collect(),
            nothing_because,
        }
    }
}

impl From<Item> for ReplyItem {
    fn from(item: Item) -> Self {
        let bare = |r#type| Self {
            r#type,
            text: None,
            url: None,
            coordinate: None,
            numbers: Vec::new(),
        };
        match item {
            Item::Text(text) => Self {
                text: Some(text),
                ..bare("text")
            },
            Item::Location(place) => Self {
                text: place.name,
                coordinate: Some([place.latitude, place.longitude]),
                ..bare("location")
            },
            Item::File { kind, url, caption } => Self {
                text: caption,
                url: Some(url.to_string()),
                ..bare(match kind {
                    MediaKind::Image => "image",
                    MediaKind::Video => "video",
                    MediaKind::Audio => "audio",
                    MediaKind::Document => "document",
                })
            },
            Item::Contact(card) => Self {
                text: Some(card.name),
                numbers: card.numbers.iter().map(ToString::to_string).collect(),
                ..bare("contact")
            },
            Item::Card { url } => Self {
                url: Some(url.to_string()),
                ..bare("card")
            },
        }
    }
}
