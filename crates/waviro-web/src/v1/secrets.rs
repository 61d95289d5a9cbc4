//! `/v1/bots/{bot}/webhook-key` and `…/signing-secret`: the values by which webhooks and callbacks
//! recognize the bot. Both are shown on every request, because the user must copy the values into
//! the receiving program.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::bots::{Profile, SetKeyError, WebhookKey as OwnWebhookKey};
use waviro_store::clock::Millis;

use super::auth::ChangesBot;
use super::body::Body;
use super::fields::Field;
use super::keys::{Overlap, overlap};
use super::problem::{Problem, keys_alike};
use super::responses::JsonResult;
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_show_webhook_key))
        .routes(routes!(http_rotate_webhook_key))
        .routes(routes!(http_show_signing_secret))
        .routes(routes!(http_rotate_signing_secret))
}

/// The key in each keyword webhook.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct WebhookKey {
    /// The `webhookkey` of each keyword webhook. Never the SecretKey.
    #[schema(example = "whk_1f2e3d4c…")]
    pub(crate) webhook_key: String,
}

/// The secret that signs each delivery.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SigningSecret {
    /// The secret in the form of Standard Webhooks: `whsec_` and base64.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    pub(crate) signing_secret: String,
    /// The previous secret, as long as it signs too.
    #[schema(required)]
    pub(crate) previous: Option<OldSecret>,
}

/// A replaced signing secret.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct OldSecret {
    /// The secret.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    pub(crate) signing_secret: String,
    /// When the secret stops signing.
    pub(crate) until: Timestamp,
}

/// The options of a signing secret's replacement.
#[derive(Deserialize, ToSchema)]
pub struct RotateSecret {
    /// The seconds for which the old secret signs beside the new secret. Null is the same as
    /// absent.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 604_800, default = 86_400, example = 86_400)]
    overlap_s: Option<Field<Overlap>>,
}

/// The options of a webhook key's replacement.
#[derive(Deserialize, ToSchema)]
pub struct SetWebhookKey {
    /// An existing webhook key to take over instead of a new key. Must differ from the SecretKey.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, example = "YourSecretWebhookKey")]
    webhook_key: Option<Field<OwnWebhookKey>>,
}

/// Show the webhook key
///
/// The key is the `webhookkey` in each keyword webhook, so that the receiving script can recognize
/// the gateway.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/webhook-key", tag = "secrets",
    responses((status = 200, description = "The key.", body = WebhookKey))
)]
async fn http_show_webhook_key(services: SharedServices, at: ChangesBot) -> JsonResult<WebhookKey> {
    show_webhook_key(&services, &at).await.map(Json)
}

pub(crate) async fn show_webhook_key(
    services: &Services,
    at: &ChangesBot,
) -> Result<WebhookKey, Problem> {
    let profile = services.profiles.of(at.bot().id()).await?;
    let webhook_key = profile.webhook_key().to_owned();
    Ok(WebhookKey { webhook_key })
}

/// Replace the webhook key
///
/// Each webhook has the new key from the next text on. There is no overlap, because a body has a
/// single key. With `webhook_key` the bot takes over an existing key.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/webhook-key/rotate", tag = "secrets", request_body = Option<SetWebhookKey>,
    responses((status = 200, description = "The new key.", body = WebhookKey))
)]
async fn http_rotate_webhook_key(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<SetWebhookKey>,
) -> JsonResult<WebhookKey> {
    rotate_webhook_key(&services, &at, asked).await.map(Json)
}

pub(crate) async fn rotate_webhook_key(
    services: &Services,
    at: &ChangesBot,
    asked: SetWebhookKey,
) -> Result<WebhookKey, Problem> {
    let key = asked.webhook_key;
    let key = key.map_or_else(OwnWebhookKey::random, |key| key.0);
    let set = services.profiles.set_webhook_key(at.bot().id(), &key).await;
    set.map_err(|error| match error {
        SetKeyError::KeysAlike => keys_alike("webhook_key"),
        other => other.into(),
    })?;
    let webhook_key = key.reveal().to_owned();
    Ok(WebhookKey { webhook_key })
}

/// Show the signing secret
///
/// The secret signs each delivery as defined by Standard Webhooks. The libraries of Standard
/// Webhooks verify the signature.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/signing-secret", tag = "secrets",
    responses((status = 200, description = "The secret.", body = SigningSecret))
)]
async fn http_show_signing_secret(
    services: SharedServices,
    at: ChangesBot,
) -> JsonResult<SigningSecret> {
    show_signing_secret(&services, &at).await.map(Json)
}

pub(crate) async fn show_signing_secret(
    services: &Services,
    at: &ChangesBot,
) -> Result<SigningSecret, Problem> {
    let profile = services.profiles.of(at.bot().id()).await?;
    Ok(SigningSecret::of(&profile, services.clock.now()))
}

/// Replace the signing secret
///
/// The new secret signs at once. During the overlap the old secret signs too: the header has both
/// signatures, and an endpoint accepts either signature.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/signing-secret/rotate", tag = "secrets", request_body = Option<RotateSecret>,
    responses((status = 200, description = "The new secret.", body = SigningSecret))
)]
async fn http_rotate_signing_secret(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<RotateSecret>,
) -> JsonResult<SigningSecret> {
    rotate_signing_secret(&services, &at, asked).await.map(Json)
}

pub(crate) async fn rotate_signing_secret(
    services: &Services,
    at: &ChangesBot,
    asked: RotateSecret,
) -> Result<SigningSecret, Problem> {
    let (bot_id, overlap) = (at.bot().id(), overlap(asked.overlap_s));
    let rotated = services.profiles.rotate_signing(bot_id, overlap).await?;
    Ok(SigningSecret::of(&rotated, services.clock.now()))
}

impl SigningSecret {
    fn of(profile: &Profile, now: Millis) -> Self {
        let previous = profile.signing_before(now);
        Self {
            signing_secret: profile.signing_secret().reveal(),
            previous: previous.map(|(secret, until)| OldSecret {
                signing_secret: secret.reveal(),
                until: Timestamp(until),
            }),
        }
    }
}
