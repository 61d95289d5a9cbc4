//! Replays of deliveries: a single delivery, or all deliveries that failed within a time range.

use axum::Json;
use axum::http::StatusCode;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_store::{DeliveryFilter, DeliveryKind, DeliveryOutcome, Replay, Replaying, endpoint_of};

use super::super::auth::ChangesBot;
use super::super::body::Body;
use super::super::fields::{Expected, Field, Form, MessageText, Whole, one_of, text};
use super::super::path::PathId;
use super::super::problem::Problem;
use super::super::responses::Conflict;
use super::super::state::V1;
use super::super::timestamp::Timestamp;
use super::{DeliveryView, KINDS, Kind};
use crate::services::{Services, SharedServices};

/// The maximum number of deliveries of a request.
const MOST: usize = 1000;

/// The states of ended deliveries.
const ENDED: [(&str, DeliveryOutcome); 4] = [
    ("delivered", DeliveryOutcome::Delivered),
    ("given_up", DeliveryOutcome::GivenUp),
    ("gone", DeliveryOutcome::Gone),
    ("cancelled", DeliveryOutcome::Cancelled),
];

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_again))
        .routes(routes!(http_many))
}

/// The options of a replay.
#[derive(Deserialize, ToSchema)]
pub struct ReplayOne {
    /// A JSON body to post instead of the original body. The replay becomes a new delivery. Not
    /// allowed for callbacks.
    #[schema(value_type = Option<String>, example = r#"{"keyword":"penawaran#","data":["Jhon Doe"]}"#)]
    body: Option<Field<JsonText>>,
    /// True to send a webhook reply to the chat even if a reply was already sent.
    #[schema(default = false)]
    reply: Option<bool>,
}

/// A selection of deliveries to replay.
#[derive(Deserialize, ToSchema)]
pub struct ReplayMany {
    /// The final state: `delivered`, `given_up`, `gone` or `cancelled`.
    #[schema(value_type = String, pattern = "^(delivered|given_up|gone|cancelled)$", example = "given_up")]
    state: Field<DeliveryOutcome>,
    /// The kind; absent or null selects all kinds.
    #[schema(value_type = Option<Kind>)]
    kind: Option<Field<DeliveryKind>>,
    /// The id of a message; absent or null selects all messages.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 65_536)]
    subject: Option<Field<MessageText>>,
    /// An endpoint: scheme, host and port; the rest of the URL is ignored. Absent or null selects
    /// all endpoints.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri", example = "https://toko.example")]
    endpoint: Option<Field<Url>>,
    /// Deliveries created at the given time or later.
    since: Timestamp,
    /// Deliveries created before the given time.
    until: Timestamp,
    /// The `next_after` of the previous response.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<Field<Whole<0, 9_007_199_254_740_991>>>,
}

/// The result of a replay of many deliveries.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ReplayedMany {
    /// The number of deliveries that are due now.
    #[schema(minimum = 0, maximum = 1000)]
    pub(crate) replayed: usize,
    /// The number of skipped deliveries. Reasons: the rule or subscription is disabled or was
    /// deleted, the message is no longer stored, or a copy of the delivery is in progress.
    #[schema(minimum = 0, maximum = 1000)]
    pub(crate) left_out: usize,
    /// The value for `after` in the next request; null if there are no more deliveries.
    #[schema(required)]
    pub(crate) next_after: Option<i64>,
}

/// A text that is JSON.
struct JsonText;

impl Form for JsonText {
    type Value = String;

    fn read(value: &Value) -> Result<String, Expected> {
        let is_json = |text: &&str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        let text = value.as_str().filter(is_json).map(ToOwned::to_owned);
        text.ok_or("a text that is JSON".into())
    }
}

impl Form for DeliveryOutcome {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        one_of(text(value)?, &ENDED)
    }
}

impl Form for DeliveryKind {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        one_of(text(value)?, &KINDS)
    }
}

/// Replay a delivery
///
/// Posts an ended delivery again. Without a new body, the webhook id stays the same, so an endpoint
/// may ignore the repeated id; a callback posts the current ack of its message. With a new body,
/// the replay is a new delivery. If a webhook reply was already sent to the chat, another reply is
/// only recorded, unless `reply` is true.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/deliveries/{delivery}/replay", tag = "deliveries", request_body = Option<ReplayOne>,
    responses((status = 202, description = "The delivery is due now.", body = DeliveryView), Conflict)
)]
async fn http_again(
    services: SharedServices,
    at: ChangesBot,
    PathId { id, .. }: PathId<DeliveryView>,
    Body(asked): Body<ReplayOne>,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let due = again(&services, &at, id, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(due)))
}

pub(crate) async fn again(
    services: &Services,
    at: &ChangesBot,
    id: i64,
    asked: ReplayOne,
) -> Result<DeliveryView, Problem> {
    let webhook_id = || format!("msg_{}", hex::encode(rand::random::<[u8; 12]>()));
    let replay = Replay {
        edited: asked.body.map(|body| (body.0, webhook_id())),
        reply: asked.reply.unwrap_or(false),
    };
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let due = match services.store.replay(bot_id, id, replay, now).await? {
        Replaying::Due(due) => due,
        Replaying::Open => return Err(Problem::StillOpen),
        Replaying::Pointless => return Err(Problem::Pointless),
        Replaying::NoBody => {
            let should = "absent for a callback, which posts its message's ack";
            return Err(Problem::invalid("body", should));
        }
        Replaying::Unknown => return Err(Problem::NoSuch("delivery")),
    };
    let row = services.store.delivery(bot_id, due).await?;
    let row = row.ok_or(Problem::NoSuch("delivery"))?;
    Ok((&row).into())
}

/// Replay many deliveries
///
/// Posts all deliveries again that were created in a time range and ended in the given state, the
/// oldest first and unchanged. A request replays at most 1000 deliveries; `next_after` continues
/// with the rest.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/deliveries/replay", tag = "deliveries", request_body = ReplayMany,
    responses((status = 202, description = "The number of deliveries that are due now.", body = ReplayedMany))
)]
async fn http_many(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<ReplayMany>,
) -> Result<(StatusCode, Json<ReplayedMany>), Problem> {
    let due = many(&services, &at, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(due)))
}

pub(crate) async fn many(
    services: &Services,
    at: &ChangesBot,
    asked: ReplayMany,
) -> Result<ReplayedMany, Problem> {
    let filter = DeliveryFilter {
        outcome: Some(Some(asked.state.0)),
        kind: asked.kind.map(|kind| kind.0),
        subject: asked.subject.map(|subject| subject.0),
        endpoint: asked.endpoint.map(|endpoint| endpoint_of(&endpoint.0)),
        since: Some(asked.since.0),
        until: Some(asked.until.0),
    };
    let after = asked.after.and_then(|after| i64::try_from(after.0).ok());
    let (bot_id, now) = (at.bot().id(), services.clock.now());
    let replayed = services
        .store
        .replay_all(bot_id, &filter, after.unwrap_or(0), MOST, now)
        .await?;
    let told = ReplayedMany {
        replayed: replayed.due,
        left_out: replayed.left_out,
        next_after: replayed.more_after,
    };
    Ok(told)
}
