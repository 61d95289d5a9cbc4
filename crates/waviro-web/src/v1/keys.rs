//! `/v1/bots/{bot}/keys`: a bot's SecretKey for `/api/…`. The gateway stores only a hash of a key.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::bots::{LONGEST_OVERLAP, SecretKey};

use super::auth::{AtBot, ChangesBot};
use super::body::Body;
use super::fields::{Field, Whole};
use super::problem::Problem;
use super::responses::{Conflict, JsonResult};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

/// The form of an overlap, in seconds.
pub(super) type Overlap = Whole<0, { LONGEST_OVERLAP.as_secs() }>;

/// Returns the overlap of a body. The default is a day, to change the key or the secret on every
/// machine that uses the old value.
pub(super) fn overlap(asked: Option<Field<Overlap>>) -> Duration {
    asked.map_or(Duration::from_hours(24), |asked| {
        Duration::from_secs(asked.0)
    })
}

/// The hex digits of a fingerprint: enough to distinguish two keys, useless to guess a key.
const SHOWN: usize = 12;

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_show))
        .routes(routes!(http_rotate))
        .routes(routes!(http_end))
}

/// The known facts about a bot's keys.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// The current key.
    pub(crate) current: CurrentKey,
    /// The previous key, as long as it is valid.
    #[schema(required)]
    pub(crate) previous: Option<OldKey>,
}

/// The current key.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CurrentKey {
    /// The first digits of the key's SHA-256, to distinguish keys.
    #[schema(example = "9f86d081884c")]
    pub(crate) fingerprint: String,
    /// When the key was created; null if an older version of the gateway created the key.
    #[schema(required)]
    pub(crate) created_at: Option<Timestamp>,
}

/// A replaced key.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct OldKey {
    /// The first digits of the key's SHA-256.
    #[schema(example = "9f86d081884c")]
    pub(crate) fingerprint: String,
    /// When the key becomes invalid.
    pub(crate) until: Timestamp,
}

/// The options of a key's replacement.
#[derive(Deserialize, ToSchema)]
pub struct Rotate {
    /// The seconds for which the old key stays valid; 0 invalidates the old key at once. Null is
    /// the same as absent.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 604_800, default = 86_400, example = 86_400)]
    overlap_s: Option<Field<Overlap>>,
    /// An existing SecretKey to take over instead of a new key: visible ASCII characters, hard to
    /// guess, used by no other bot.
    #[schema(value_type = Option<String>, min_length = 16, max_length = 128)]
    secret_key: Option<Field<SecretKey>>,
}

/// A new key.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewKey {
    /// The bot's new SecretKey, shown only at its creation.
    #[schema(example = "1f2e3d4c…")]
    pub(crate) secret_key: String,
    /// When the old key becomes invalid; null if the old key is already invalid.
    #[schema(required)]
    pub(crate) previous_until: Option<Timestamp>,
}

/// Show the facts about a bot's keys
///
/// Returns the creation time, the validity and a fingerprint of each key, but never a key: the
/// gateway stores only hashes.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/keys", tag = "keys",
    responses((status = 200, description = "Facts about the keys.", body = Keys))
)]
async fn http_show(services: SharedServices, at: AtBot) -> JsonResult<Keys> {
    show(&services, &at).await.map(Json)
}

pub(crate) async fn show(services: &Services, at: &AtBot) -> Result<Keys, Problem> {
    let row = services.store.bot(at.bot().id()).await?;
    let row = row.ok_or(Problem::NoSuchBot)?;
    let now = services.clock.now();
    Ok(Keys {
        current: CurrentKey {
            fingerprint: fingerprint(&row.key_sha256),
            created_at: row.key_created_at.map(Timestamp),
        },
        previous: row
            .previous_key
            .filter(|previous| now < previous.until)
            .map(|previous| OldKey {
                fingerprint: fingerprint(&previous.sha256),
                until: Timestamp(previous.until),
            }),
    })
}

/// Replace a bot's key
///
/// The new SecretKey is valid at once and is shown only in this response. The old key stays valid
/// for the overlap, so that the machines can be changed in turn. A key replaced earlier becomes
/// invalid now. With `secret_key` the bot takes over an existing key.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/keys/rotate", tag = "keys", request_body = Option<Rotate>,
    responses((status = 200, description = "The new key.", body = NewKey), Conflict)
)]
async fn http_rotate(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<Rotate>,
) -> JsonResult<NewKey> {
    rotate(&services, &at, asked).await.map(Json)
}

pub(crate) async fn rotate(
    services: &Services,
    at: &ChangesBot,
    asked: Rotate,
) -> Result<NewKey, Problem> {
    let overlap = overlap(asked.overlap_s);
    let random = || SecretKey::random(&mut rand::rng());
    let key = asked.secret_key.map_or_else(random, |key| key.0);
    services.bots.set_key(at.bot().id(), &key, overlap).await?;
    let row = services.store.bot(at.bot().id()).await?;
    let previous = row.and_then(|row| row.previous_key);
    Ok(NewKey {
        secret_key: key.reveal().to_owned(),
        previous_until: previous.map(|previous| Timestamp(previous.until)),
    })
}

/// End the old key
///
/// The old key is invalid as soon as the response is sent. Without an old key, nothing happens.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}/keys/previous", tag = "keys",
    responses((status = 204, description = "Only the current key works."))
)]
async fn http_end(services: SharedServices, at: ChangesBot) -> Result<StatusCode, Problem> {
    end(&services, &at).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn end(services: &Services, at: &ChangesBot) -> Result<(), Problem> {
    services.bots.drop_previous_key(at.bot().id()).await?;
    Ok(())
}

fn fingerprint(sha256: &str) -> String {
    sha256.chars().take(SHOWN).collect()
}
