//! Posting again by hand: one delivery, or what failed over some time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::V1;
use super::super::answers::Conflict;
use super::super::auth::AtBot;
use super::super::body::{Body, Fields, FromFields, required};
use super::super::moment::Moment;
use super::super::problem::Problem;
use super::super::query::one_of;
use super::{DeliveryId, DeliveryView, KINDS, Kind};
use crate::clock::Millis;
use crate::store::{DeliveryFilter, DeliveryKind, Fate, Replay, Replaying, lane};

/// Deliveries of one request at most.
const MOST: usize = 1000;

/// The states of what has ended.
const ENDED: [(&str, Fate); 4] = [
    ("delivered", Fate::Delivered),
    ("given_up", Fate::GivenUp),
    ("gone", Fate::Gone),
    ("cancelled", Fate::Cancelled),
];

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(again))
        .routes(routes!(many))
}

/// How to post a delivery again.
#[derive(ToSchema)]
pub struct ReplayOne {
    /// JSON to post in place of what was posted. It becomes a delivery of its own. Not for callbacks.
    #[schema(example = r#"{"keyword":"penawaran#","data":["Jhon Doe"]}"#)]
    body: Option<String>,
    /// Whether an answer is sent to the chat although one was sent before.
    #[schema(default = false)]
    reply: Option<bool>,
}

/// Which deliveries to post again.
#[derive(ToSchema)]
pub struct ReplayMany {
    /// How they ended: `delivered`, `given_up`, `gone` or `cancelled`.
    #[schema(value_type = String, pattern = "^(delivered|given_up|gone|cancelled)$", example = "given_up")]
    state: Fate,
    /// What they tell of; absent or null: anything.
    #[schema(value_type = Option<Kind>)]
    kind: Option<DeliveryKind>,
    /// Of the message with this id; absent or null: of any.
    #[schema(min_length = 1, max_length = 65_536)]
    subject: Option<String>,
    /// To this endpoint: scheme, host and port; more of a URL is ignored. Absent or null: to any.
    #[schema(value_type = Option<String>, max_length = 2048, format = "uri", example = "https://toko.example")]
    endpoint: Option<Url>,
    /// Made at this time or later.
    #[schema(value_type = Moment)]
    since: Millis,
    /// Made before this time.
    #[schema(value_type = Moment)]
    until: Millis,
    /// `next_after` of the request before.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
}

/// How many are posted again.
#[derive(Serialize, ToSchema)]
pub struct ReplayedMany {
    /// So many are due now.
    #[schema(minimum = 0, maximum = 1000)]
    replayed: usize,
    /// So many are not: their rule or subscription is off or was deleted, their message is no longer kept, or a copy of them is under
    /// way.
    #[schema(minimum = 0, maximum = 1000)]
    left_out: usize,
    /// Where there are more: pass it as `after`; else null.
    #[schema(required)]
    next_after: Option<i64>,
}

impl FromFields for ReplayOne {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        const FORM: &str = "a text that is JSON";
        let wrong = || Problem::InvalidField("body", FORM.into());
        let body = fields.text("body").map_err(|_| wrong())?;
        let is_json = |body: &str| serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
        if body.is_some_and(|body| !is_json(body)) {
            return Err(wrong());
        }
        Ok(Self {
            body: body.map(ToOwned::to_owned),
            reply: fields.flag("reply")?,
        })
    }
}

impl FromFields for ReplayMany {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let state = required("state", fields.text("state")?)?;
        let kind = fields.text("kind")?;
        let after = fields.whole("after", 0..=9_007_199_254_740_991)?;
        Ok(Self {
            state: one_of("state", state, &ENDED)?,
            kind: kind.map(|kind| one_of("kind", kind, &KINDS)).transpose()?,
            subject: fields.words("subject")?,
            endpoint: fields.url("endpoint")?,
            since: required("since", fields.moment("since")?)?,
            until: required("until", fields.moment("until")?)?,
            after,
        })
    }
}

/// Post a delivery again
///
/// It must have ended. As it was, it goes under the same webhook id, and an endpoint that has seen that may drop it; of a callback
/// the message's ack as it is now is posted. With another body it is a delivery of its own. Where messages of an answer went to the
/// chat before, another answer is only written down, unless `reply` is true.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/deliveries/{delivery}/replay", tag = "deliveries", request_body = Option<ReplayOne>,
    responses((status = 202, description = "It is due now.", body = DeliveryView), Conflict)
)]
async fn again(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    DeliveryId(id): DeliveryId,
    Body(asked): Body<ReplayOne>,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let webhook_id = || format!("msg_{}", hex::encode(rand::random::<[u8; 12]>()));
    let replay = Replay {
        edited: asked.body.map(|body| (body, webhook_id())),
        reply: asked.reply.unwrap_or(false),
    };
    let (slot, now) = (at.bot.slot(), v1.clock.now());
    let due = match v1.store.replay(slot, id, replay, now).await? {
        Replaying::Due(due) => due,
        Replaying::Open => return Err(Problem::StillOpen),
        Replaying::Pointless => return Err(Problem::Pointless),
        Replaying::NoBody => {
            let should = "absent for a callback, which posts its message's ack";
            return Err(Problem::InvalidField("body", should.into()));
        }
        Replaying::Unknown => return Err(Problem::NoSuch("delivery")),
    };
    let row = v1.store.delivery(slot, due).await?;
    let row = row.ok_or(Problem::NoSuch("delivery"))?;
    Ok((StatusCode::ACCEPTED, Json((&row).into())))
}

/// Post many deliveries again
///
/// Those of a time that ended in one way, each as it was, oldest first and at most 1000; `next_after` leads to the rest.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/deliveries/replay", tag = "deliveries", request_body = ReplayMany,
    responses((status = 202, description = "How many are due now.", body = ReplayedMany))
)]
async fn many(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<ReplayMany>,
) -> Result<(StatusCode, Json<ReplayedMany>), Problem> {
    let filter = DeliveryFilter {
        fate: Some(Some(asked.state)),
        kind: asked.kind,
        subject: asked.subject,
        endpoint: asked.endpoint.as_ref().map(lane),
        since: Some(asked.since),
        until: Some(asked.until),
    };
    let after = asked.after.and_then(|after| i64::try_from(after).ok());
    let (slot, now) = (at.bot.slot(), v1.clock.now());
    let replayed = v1
        .store
        .replay_all(slot, &filter, after.unwrap_or(0), MOST, now)
        .await?;
    let told = ReplayedMany {
        replayed: replayed.due,
        left_out: replayed.left_out,
        next_after: replayed.more_after,
    };
    Ok((StatusCode::ACCEPTED, Json(told)))
}
