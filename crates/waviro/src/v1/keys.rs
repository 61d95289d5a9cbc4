//! `/v1/bots/{bot}/keys`: a bot's SecretKey for `/api/…`, of which only a hash is kept.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::answers::Conflict;
use super::auth::AtBot;
use super::body::{Body, Fields, FromFields};
use super::moment::Moment;
use super::problem::Problem;
use crate::bots::{LONGEST_OVERLAP, SecretKey};

/// A day: time to change a key on every machine that has it.
const USUAL_OVERLAP: u64 = 86_400;

/// Hex digits of a fingerprint: enough to tell two keys apart, and nothing to guess a key by.
const SHOWN: usize = 12;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(rotate))
        .routes(routes!(end))
}

/// What is known of a bot's keys.
#[derive(Serialize, ToSchema)]
pub struct Keys {
    /// The key.
    current: CurrentKey,
    /// The key before it, while it works too.
    #[schema(required)]
    previous: Option<OldKey>,
}

/// The key.
#[derive(Serialize, ToSchema)]
pub struct CurrentKey {
    /// The first digits of its SHA-256, to tell keys apart.
    #[schema(example = "9f86d081884c")]
    fingerprint: String,
    /// When it was made; null where an older version made it.
    #[schema(required)]
    created_at: Option<Moment>,
}

/// A key that was replaced.
#[derive(Serialize, ToSchema)]
pub struct OldKey {
    /// The first digits of its SHA-256.
    #[schema(example = "9f86d081884c")]
    fingerprint: String,
    /// Until when it works.
    until: Moment,
}

/// How to replace a key.
#[derive(ToSchema)]
pub struct Rotate {
    /// How long the old key goes on working, in seconds; 0 ends it at once. Null is as absent.
    #[schema(minimum = 0, maximum = 604_800, default = 86_400, example = 86_400)]
    overlap_s: Option<u32>,
    /// A SecretKey that programs have already, in place of a fresh one: visible ASCII characters, hard to guess, of no other bot.
    #[schema(value_type = Option<String>, min_length = 16, max_length = 128)]
    secret_key: Option<SecretKey>,
}

/// A fresh key.
#[derive(Serialize, ToSchema)]
pub struct NewKey {
    /// The bot's SecretKey from now on, shown only now.
    #[schema(example = "1f2e3d4c…")]
    secret_key: String,
    /// Until when the old one works too; null where it is dead.
    #[schema(required)]
    previous_until: Option<Moment>,
}

impl FromFields for Rotate {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let overlap = fields.whole("overlap_s", 0..=LONGEST_OVERLAP.as_secs())?;
        Ok(Self {
            overlap_s: overlap.and_then(|seconds| u32::try_from(seconds).ok()),
            secret_key: fields.secret_key("secret_key")?,
        })
    }
}

/// Show what is known of a bot's keys
///
/// When they were made and how long they work, and fingerprints to tell them apart. Never a key: only hashes are kept.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/keys", tag = "keys",
    responses((status = 200, description = "The keys' facts.", body = Keys))
)]
async fn show(State(v1): State<Arc<V1>>, at: AtBot) -> Result<Json<Keys>, Problem> {
    let row = v1.store.bot(at.bot.slot()).await?;
    let row = row.ok_or(Problem::NoSuchBot)?;
    let now = v1.clock.now();
    Ok(Json(Keys {
        current: CurrentKey {
            fingerprint: fingerprint(&row.key_sha256),
            created_at: row.key_created_at.map(Moment),
        },
        previous: row
            .previous_key
            .filter(|previous| now < previous.until)
            .map(|previous| OldKey {
                fingerprint: fingerprint(&previous.sha256),
                until: Moment(previous.until),
            }),
    }))
}

/// Replace a bot's key
///
/// The new SecretKey works at once and is shown this once. The old one goes on working for a while, so that it can be changed on one
/// machine after the other; a key that was replaced before it dies now. `secret_key` takes over a key that programs have already.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/keys/rotate", tag = "keys", request_body = Option<Rotate>,
    responses((status = 200, description = "The new key.", body = NewKey), Conflict)
)]
async fn rotate(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<Rotate>,
) -> Result<Json<NewKey>, Problem> {
    let overlap = asked.overlap_s.map_or(USUAL_OVERLAP, u64::from);
    let overlap = Duration::from_secs(overlap);
    let random = || SecretKey::random(&mut rand::rng());
    let key = asked.secret_key.unwrap_or_else(random);
    v1.bots.set_key(at.bot.slot(), &key, overlap).await?;
    let row = v1.store.bot(at.bot.slot()).await?;
    let previous = row.and_then(|row| row.previous_key);
    Ok(Json(NewKey {
        secret_key: key.reveal().to_owned(),
        previous_until: previous.map(|previous| Moment(previous.until)),
    }))
}

/// End the old key
///
/// It is dead when this is answered. Nothing happens where none is left.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}/keys/previous", tag = "keys",
    responses((status = 204, description = "Only the current key works."))
)]
async fn end(State(v1): State<Arc<V1>>, at: AtBot) -> Result<StatusCode, Problem> {
    v1.bots.drop_previous_key(at.bot.slot()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn fingerprint(sha256: &str) -> String {
    sha256.chars().take(SHOWN).collect()
}
