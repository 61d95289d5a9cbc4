//! `/v1/bots/{bot}/deliveries`: what was and is posted to endpoints, each attempt of it, and posting it again.

mod replay;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::auth::{AtBot, path_id};
use super::moment::Moment;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use super::query::Query;
use crate::store::{
    AttemptRow, Callback, DeliveryAfter, DeliveryFilter, DeliveryKind, DeliveryRow, Fate, lane,
};

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .merge(replay::routes())
}

/// What a delivery tells of.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Changes of a message's ack, to its notifyurl.
    Callback,
    /// An incoming text, to a rule's URL.
    Keyword,
    /// An event, to a subscription's URL.
    Event,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not there yet: tried until it is, or until the table of retries is used up.
    Waiting,
    /// A 2xx.
    Delivered,
    /// The table of retries is used up, for a callback: at one of its stages.
    GivenUp,
    /// The endpoint said 410.
    Gone,
    /// Its rule or subscription is off or was deleted.
    Cancelled,
}

/// A delivery as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its id.
    #[schema(example = 1, minimum = 1)]
    id: i64,
    /// What it tells of.
    kind: Kind,
    /// Where it stands.
    state: DeliveryState,
    /// The id of the message that it tells of.
    #[schema(example = "3EB02B7BEAD27AFA278E")]
    subject: String,
    /// Where an answer of a keyword's webhook goes.
    #[schema(required, example = "6281234567890@c.us")]
    chat: Option<String>,
    /// The rule or subscription; null for a callback.
    #[schema(required)]
    source: Option<i64>,
    /// Where to. While it waits, this follows its rule or subscription.
    #[schema(example = "https://toko.example/webhook.php")]
    url: String,
    /// Failed attempts since it was made, posted again, or its last ack arrived.
    #[schema(minimum = 0)]
    failed: i64,
    /// When it is tried next; null where it has ended, is under way, or waits for the one before it.
    #[schema(required)]
    next_attempt_at: Option<Moment>,
    /// It is being posted, or about to be.
    under_way: bool,
    /// Since when its endpoint is switched off: it is not tried until somebody switches that on.
    #[schema(required)]
    endpoint_off_since: Option<Moment>,
    /// Why the last failed attempt failed.
    #[schema(required, example = "status 500")]
    last_error: Option<String>,
    /// Acks of a callback that were given up.
    lost: Vec<i8>,
    /// What became of the answer of a keyword's webhook.
    #[schema(required, example = "sent 2 messages")]
    note: Option<String>,
    /// When messages of an answer went to the chat.
    #[schema(required)]
    replied_at: Option<Moment>,
    /// How often it was posted again by hand.
    #[schema(minimum = 0)]
    replays: i64,
    /// The delivery that it repeats with another body; of a copy of a copy the first one.
    #[schema(required)]
    replay_of: Option<i64>,
    /// When it was made.
    created_at: Moment,
    /// When it ended.
    #[schema(required)]
    ended_at: Option<Moment>,
}

/// A delivery with all that was tried.
#[derive(Serialize, ToSchema)]
pub struct FullDelivery {
    /// Where it stands.
    #[serde(flatten)]
    delivery: DeliveryView,
    /// What is posted, JSON; null for a callback, whose attempts have each their own.
    #[schema(required)]
    body: Option<String>,
    /// Its attempts, the first one first; the latest 200.
    attempts: Vec<AttemptView>,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// When it began.
    at: Moment,
    /// Where it went.
    url: String,
    /// The header `webhook-id`: an endpoint that has seen it may drop it.
    #[schema(example = "3EB02B7BEAD27AFA278E.1")]
    webhook_id: String,
    /// What was posted.
    #[schema(example = r#"{"msgid":"3EB02B7BEAD27AFA278E","ack":1}"#)]
    body: String,
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
    /// Why it does not count as delivered; null where it does.
    #[schema(required)]
    cause: Option<String>,
}

/// What a list of deliveries is narrowed to.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "read by hand, which can name the parameter that is wrong"
)]
pub struct DeliveryParams {
    /// Where they stand.
    #[param(inline, nullable = false)]
    state: Option<DeliveryState>,
    /// What they tell of.
    #[param(inline, nullable = false)]
    kind: Option<Kind>,
    /// Of the message with this id.
    #[param(nullable = false)]
    subject: Option<String>,
    /// To this endpoint: scheme, host and port; more of a URL is ignored.
    #[param(inline, value_type = Option<String>, nullable = false, max_length = 2048, format = "uri", example = "https://toko.example")]
    endpoint: Option<Url>,
    /// Made at this time or later, RFC 3339.
    #[param(inline, nullable = false)]
    since: Option<Moment>,
    /// Made before this time, RFC 3339.
    #[param(inline, nullable = false)]
    until: Option<Moment>,
}

/// The words of the states, and what they mean to the store: `None` = it has not ended.
const STATES: [(&str, Option<Fate>); 5] = [
    ("waiting", None),
    ("delivered", Some(Fate::Delivered)),
    ("given_up", Some(Fate::GivenUp)),
    ("gone", Some(Fate::Gone)),
    ("cancelled", Some(Fate::Cancelled)),
];

/// The words of the kinds.
const KINDS: [(&str, DeliveryKind); 3] = [
    ("callback", DeliveryKind::Callback),
    ("keyword", DeliveryKind::Keyword),
    ("event", DeliveryKind::Event),
];

/// List deliveries
///
/// Newest first. More than one of a message, an endpoint and a kind or state are looked for by reading the range. What takes longer
/// than 5 s is answered in part: the page may be short, or empty, and `next` goes on.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/deliveries", tag = "deliveries", params(DeliveryParams, PageParams),
    responses((status = 200, description = "A page of deliveries.", body = Page<DeliveryView>))
)]
async fn list(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    query: Query,
    paging: Paging,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let filter = DeliveryFilter {
        fate: query.word("state", &STATES)?,
        kind: query.word("kind", &KINDS)?,
        subject: query.text("subject")?.map(ToOwned::to_owned),
        endpoint: query.url("endpoint")?.as_ref().map(lane),
        since: query.moment("since")?,
        until: query.moment("until")?,
    };
    let after: Option<Place> = paging.after("deliveries")?;
    let after = after.map(|Place(after)| after);
    let found = v1
        .store
        .deliveries(at.bot.slot(), &filter, after, paging.rows());
    let found = found.await?;
    let (key, go_on) = (
        |row: &DeliveryRow| Place(row.place()),
        found.go_on.map(Place),
    );
    let page = paging.page_so_far("deliveries", found.rows, key, go_on);
    Ok(Json(page.map(|row| DeliveryView::from(&row))))
}

/// Show a delivery
///
/// With each attempt: what was posted where, who answered what, and why it did not count.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/deliveries/{delivery}", tag = "deliveries",
    responses((status = 200, description = "The delivery and its attempts.", body = FullDelivery))
)]
async fn show(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    DeliveryId(id): DeliveryId,
) -> Result<Json<FullDelivery>, Problem> {
    let row = v1.store.delivery(at.bot.slot(), id).await?;
    let row = row.ok_or(Problem::NoSuch("delivery"))?;
    Ok(Json(FullDelivery::of(&row, &v1).await?))
}

/// The delivery that the path names.
struct DeliveryId(i64);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = path_id(parts, "delivery").await;
        id.map(Self).ok_or(Problem::NoSuch("delivery"))
    }
}

impl FullDelivery {
    /// The delivery with its attempts.
    pub(super) async fn of(row: &DeliveryRow, v1: &V1) -> Result<Self, Problem> {
        let attempts = v1.store.attempts(row.id).await?;
        let attempts = attempts
            .into_iter()
            .map(|attempt| AttemptView::of(row, attempt));
        Ok(Self {
            delivery: row.into(),
            body: row.body.clone(),
            attempts: attempts.collect(),
        })
    }
}

impl From<&DeliveryRow> for DeliveryView {
    fn from(row: &DeliveryRow) -> Self {
        let lost = row.lost.as_deref().unwrap_or_default();
        Self {
            id: row.id,
            kind: match row.kind {
                DeliveryKind::Callback => Kind::Callback,
                DeliveryKind::Keyword => Kind::Keyword,
                DeliveryKind::Event => Kind::Event,
            },
            state: match row.fate {
                None => DeliveryState::Waiting,
                Some(Fate::Delivered) => DeliveryState::Delivered,
                Some(Fate::GivenUp) => DeliveryState::GivenUp,
                Some(Fate::Gone) => DeliveryState::Gone,
                Some(Fate::Cancelled) => DeliveryState::Cancelled,
            },
            subject: row.subject.clone(),
            chat: row.chat.clone(),
            source: row.source,
            url: row.url.clone(),
            failed: row.failed,
            next_attempt_at: row.next_at.map(Moment),
            under_way: row.under_way,
            endpoint_off_since: row.endpoint_off_at.map(Moment),
            last_error: row.last_error.clone(),
            lost: lost.split(',').filter_map(|ack| ack.parse().ok()).collect(),
            note: row.note.clone(),
            replied_at: row.replied_at.map(Moment),
            replays: row.replays,
            replay_of: row.replay_of,
            created_at: Moment(row.created_at),
            ended_at: row.ended_at.map(Moment),
        }
    }
}

impl AttemptView {
    /// What a callback posts follows from its message and the stage.
    fn of(row: &DeliveryRow, tried: AttemptRow) -> Self {
        let AttemptRow { stage, attempt } = tried;
        let (webhook_id, body) = Callback::posting(&row.subject, stage);
        Self {
            at: Moment(attempt.at),
            url: attempt.url,
            webhook_id: row.webhook_id.clone().unwrap_or(webhook_id),
            body: row.body.clone().unwrap_or(body),
            status: attempt.status,
            duration_ms: attempt.took_ms,
            address: attempt.address,
            answer: attempt.answer,
            cause: attempt.cause,
        }
    }
}

/// Where a page begins.
struct Place(DeliveryAfter);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeliveryAfter { created_at, id } = self.0;
        write!(f, "{created_at}.{id}")
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (created_at, id) = text.split_once('.').ok_or(())?;
        Ok(Self(DeliveryAfter {
            created_at: created_at.parse().map_err(drop)?,
            id: id.parse().map_err(drop)?,
        }))
    }
}
