//! `/v1/bots/{bot}/deliveries`: lists deliveries, shows each with its attempts, and replays
//! deliveries.

pub(crate) mod replay;

use axum::Json;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::{
    AttemptRow, Callback, DeliveryAfter, DeliveryFilter, DeliveryKind, DeliveryOutcome,
    DeliveryRow, endpoint_of,
};

use super::auth::AtBot;
use super::causes::{AttemptCauseCode, ReplyOutcomeCode};
use super::page::{Cursor, Page, PageParams, Paging};
use super::path::{InPath, PathId};
use super::problem::Problem;
use super::query::Query;
use super::responses::{JsonResult, Unavailable};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list))
        .routes(routes!(http_show))
        .merge(replay::routes())
}

/// The kind of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The acks of a message, posted to its notifyurl.
    Callback,
    /// An inbound text, posted to the URL of a rule.
    Keyword,
    /// An event, posted to the URL of a subscription.
    Event,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not delivered yet. The gateway retries until the delivery succeeds or all retries have
    /// failed.
    Waiting,
    /// The endpoint answered 2xx.
    Delivered,
    /// All retries failed; of a callback, all retries of an ack.
    GivenUp,
    /// The endpoint answered 410.
    Gone,
    /// The rule or subscription is disabled or was deleted.
    Cancelled,
}

/// A delivery with its current state.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The id of the delivery.
    #[schema(example = 1, minimum = 1)]
    pub(crate) id: i64,
    /// The kind of the delivery.
    pub(crate) kind: Kind,
    /// The state of the delivery.
    pub(crate) state: DeliveryState,
    /// The id of the message that the delivery is about.
    #[schema(example = "3EB02B7BEAD27AFA278E")]
    pub(crate) subject: String,
    /// The chat that gets the webhook reply.
    #[schema(required, example = "6281234567890@c.us")]
    pub(crate) chat: Option<String>,
    /// The id of the rule or subscription; null for a callback.
    #[schema(required)]
    pub(crate) source: Option<i64>,
    /// The URL. As long as the delivery waits, a change of the rule or subscription changes the
    /// URL.
    #[schema(example = "https://toko.example/webhook.php")]
    pub(crate) url: String,
    /// The failed attempts since the delivery was created, was replayed, or got its last ack.
    #[schema(minimum = 0)]
    pub(crate) failed: i64,
    /// When the next attempt is due; null if the delivery has ended, is in progress, or waits for
    /// an earlier delivery.
    #[schema(required)]
    pub(crate) next_attempt_at: Option<Timestamp>,
    /// True if an attempt is in progress or about to start.
    pub(crate) under_way: bool,
    /// When the endpoint was switched off. No attempt is made until the endpoint is switched on
    /// again.
    #[schema(required)]
    pub(crate) endpoint_off_since: Option<Timestamp>,
    /// The error of the last failed attempt.
    #[schema(required, example = "status 500")]
    pub(crate) last_error: Option<String>,
    /// The stable code of `last_error`.
    #[schema(required)]
    pub(crate) last_error_code: Option<AttemptCauseCode>,
    /// The status of the last failed attempt, if the status is the cause.
    #[schema(required, minimum = 100, maximum = 999)]
    pub(crate) last_status: Option<u16>,
    /// The acks of a callback that were given up.
    pub(crate) lost: Vec<i8>,
    /// The outcome of the webhook reply.
    #[schema(required, example = "sent 2 messages")]
    pub(crate) note: Option<String>,
    /// The stable code of `note`.
    #[schema(required)]
    pub(crate) note_code: Option<ReplyOutcomeCode>,
    /// When the messages of the webhook reply were sent to the chat.
    #[schema(required)]
    pub(crate) replied_at: Option<Timestamp>,
    /// How often the delivery was replayed.
    #[schema(minimum = 0)]
    pub(crate) replays: i64,
    /// The original delivery, if this delivery replays it with another body. A copy of a copy names
    /// the first delivery.
    #[schema(required)]
    pub(crate) replay_of: Option<i64>,
    /// When the delivery was created.
    pub(crate) created_at: Timestamp,
    /// When the delivery ended.
    #[schema(required)]
    pub(crate) ended_at: Option<Timestamp>,
}

/// A delivery with its attempts.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct FullDelivery {
    /// The delivery.
    #[serde(flatten)]
    pub(crate) row: DeliveryView,
    /// The posted JSON body; null for a callback, because each attempt has its own body.
    #[schema(required)]
    pub(crate) body: Option<String>,
    /// The last 200 attempts, the oldest first.
    pub(crate) attempts: Vec<AttemptView>,
}

/// An attempt of a delivery.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// When the attempt began.
    pub(crate) at: Timestamp,
    /// The URL of the attempt.
    pub(crate) url: String,
    /// The header `webhook-id`. An endpoint may ignore a repeated id.
    #[schema(example = "3EB02B7BEAD27AFA278E.1")]
    pub(crate) webhook_id: String,
    /// The posted body.
    #[schema(example = r#"{"msgid":"3EB02B7BEAD27AFA278E","ack":1}"#)]
    pub(crate) body: String,
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
    /// The reason for which the attempt failed, in words for people; null for a success.
    #[schema(required, example = "status 500")]
    pub(crate) cause: Option<String>,
    /// The stable code of the reason.
    #[schema(required)]
    pub(crate) cause_code: Option<AttemptCauseCode>,
}

/// The filters of a list of deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "parsed by hand, so that the error names the wrong parameter"
)]
pub struct DeliveryParams {
    /// Deliveries in the given state.
    #[param(inline, nullable = false)]
    state: Option<DeliveryState>,
    /// Deliveries of the given kind.
    #[param(inline, nullable = false)]
    kind: Option<Kind>,
    /// Deliveries about the message with the given id.
    #[param(nullable = false)]
    subject: Option<String>,
    /// Deliveries to the given endpoint: scheme, host and port. The rest of the URL is ignored.
    #[param(inline, value_type = Option<String>, nullable = false, max_length = 2048, format = "uri", example = "https://toko.example")]
    endpoint: Option<Url>,
    /// Deliveries created at the given time or later, RFC 3339.
    #[param(inline, nullable = false)]
    since: Option<Timestamp>,
    /// Deliveries created before the given time, RFC 3339.
    #[param(inline, nullable = false)]
    until: Option<Timestamp>,
}

/// The names of the states with their value in the store; `None` is a delivery in progress.
const STATES: [(&str, Option<DeliveryOutcome>); 5] = [
    ("waiting", None),
    ("delivered", Some(DeliveryOutcome::Delivered)),
    ("given_up", Some(DeliveryOutcome::GivenUp)),
    ("gone", Some(DeliveryOutcome::Gone)),
    ("cancelled", Some(DeliveryOutcome::Cancelled)),
];

/// The names of the kinds.
const KINDS: [(&str, DeliveryKind); 3] = [
    ("callback", DeliveryKind::Callback),
    ("keyword", DeliveryKind::Keyword),
    ("event", DeliveryKind::Event),
];

/// List deliveries
///
/// Newest first. A combination of filters (message, endpoint, and kind or state) needs a scan of
/// the time range. After 5 s the scan ends with a partial page: the page may be short or even
/// empty, and `next` continues the scan.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/deliveries", tag = "deliveries", params(DeliveryParams, PageParams),
    responses((status = 200, description = "A page of deliveries.", body = Page<DeliveryView>), Unavailable)
)]
async fn http_list(
    services: SharedServices,
    at: AtBot,
    query: Query,
    paging: Paging,
) -> JsonResult<Page<DeliveryView>> {
    list(&services, &at, filter(&query)?, paging)
        .await
        .map(Json)
}

/// Parses the filters of a list.
pub(crate) fn filter(query: &Query) -> Result<DeliveryFilter, Problem> {
    Ok(DeliveryFilter {
        outcome: query.word("state", &STATES)?,
        kind: query.word("kind", &KINDS)?,
        subject: query.text("subject")?.map(ToOwned::to_owned),
        endpoint: query.url("endpoint")?.as_ref().map(endpoint_of),
        since: query.timestamp("since")?,
        until: query.timestamp("until")?,
    })
}

pub(crate) async fn list(
    services: &Services,
    at: &AtBot,
    filter: DeliveryFilter,
    paging: Paging,
) -> Result<Page<DeliveryView>, Problem> {
    let after: Option<Cursor> = paging.after("deliveries")?;
    let after = after.map(|Cursor(created_at, id)| DeliveryAfter { created_at, id });
    let (store, bot_id) = (&services.store, at.bot().id());
    let found = store.deliveries(bot_id, &filter, after, paging.rows());
    let found = found.await?;
    let cursor = |after: DeliveryAfter| Cursor(after.created_at, after.id);
    let (key, go_on) = (
        |row: &DeliveryRow| cursor(row.cursor()),
        found.go_on.map(cursor),
    );
    let page = paging.page_so_far("deliveries", found.rows, key, go_on);
    Ok(page.map(|row| DeliveryView::from(&row)))
}

/// Show a delivery
///
/// Returns the delivery with each attempt: the posted body, the URL, the response, and the reason
/// of a failure.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/deliveries/{delivery}", tag = "deliveries",
    responses((status = 200, description = "The delivery and its attempts.", body = FullDelivery))
)]
async fn http_show(
    services: SharedServices,
    at: AtBot,
    PathId { id, .. }: PathId<DeliveryView>,
) -> JsonResult<FullDelivery> {
    show(&services, &at, id).await.map(Json)
}

pub(crate) async fn show(
    services: &Services,
    at: &AtBot,
    id: i64,
) -> Result<FullDelivery, Problem> {
    let row = services.store.delivery(at.bot().id(), id).await?;
    let row = row.ok_or(Problem::NoSuch("delivery"))?;
    FullDelivery::of(&row, services).await
}

impl InPath for DeliveryView {
    const NAME: &str = "delivery";
}

impl FullDelivery {
    /// Reads the attempts of a delivery.
    pub(super) async fn of(row: &DeliveryRow, services: &Services) -> Result<Self, Problem> {
        let attempts = services.store.attempts(row.id).await?;
        let attempts = attempts
            .into_iter()
            .map(|attempt| AttemptView::of(row, attempt));
        Ok(Self {
            row: row.into(),
            body: row.body.clone(),
            attempts: attempts.collect(),
        })
    }
}

impl From<&DeliveryRow> for DeliveryView {
    fn from(row: &DeliveryRow) -> Self {
        let lost = row.lost.as_deref().unwrap_or_default();
        let last_error = row.last_error.as_ref();
        Self {
            id: row.id,
            kind: match row.kind {
                DeliveryKind::Callback => Kind::Callback,
                DeliveryKind::Keyword => Kind::Keyword,
                DeliveryKind::Event => Kind::Event,
            },
            state: match row.outcome {
                None => DeliveryState::Waiting,
                Some(DeliveryOutcome::Delivered) => DeliveryState::Delivered,
                Some(DeliveryOutcome::GivenUp) => DeliveryState::GivenUp,
                Some(DeliveryOutcome::Gone) => DeliveryState::Gone,
                Some(DeliveryOutcome::Cancelled) => DeliveryState::Cancelled,
            },
            subject: row.subject.clone(),
            chat: row.chat.clone(),
            source: row.source,
            url: row.url.clone(),
            failed: row.failed,
            next_attempt_at: row.next_at.map(Timestamp),
            under_way: row.under_way,
            endpoint_off_since: row.endpoint_off_at.map(Timestamp),
            last_error: last_error.map(|error| error.text.clone()),
            last_error_code: last_error.map(|error| error.cause.into()),
            last_status: last_error.and_then(|error| error.cause.status()),
            lost: lost.split(',').filter_map(|ack| ack.parse().ok()).collect(),
            note: row.note.as_ref().map(|note| note.text.clone()),
            note_code: row.note.as_ref().map(|note| note.outcome.into()),
            replied_at: row.replied_at.map(Timestamp),
            replays: row.replays,
            replay_of: row.replay_of,
            created_at: Timestamp(row.created_at),
            ended_at: row.ended_at.map(Timestamp),
        }
    }
}

impl AttemptView {
    /// Builds the view. The body of a callback is derived from its message and the stage.
    fn of(row: &DeliveryRow, tried: AttemptRow) -> Self {
        let AttemptRow { stage, attempt } = tried;
        let (webhook_id, body) = Callback::posting(&row.subject, stage);
        Self {
            at: Timestamp(attempt.at),
            url: attempt.url,
            webhook_id: row.webhook_id.clone().unwrap_or(webhook_id),
            body: row.body.clone().unwrap_or(body),
            status: attempt.status,
            duration_ms: attempt.took_ms,
            address: attempt.address,
            answer: attempt.answer,
            cause_code: attempt.failure.as_ref().map(|failure| failure.cause.into()),
            cause: attempt.failure.map(|failure| failure.text),
        }
    }
}
