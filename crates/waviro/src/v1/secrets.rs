//! `/v1/bots/{bot}/webhook-key` and `…/signing-secret`: what a bot proves itself with to webhooks and callbacks. Both are
//! shown as often as they are asked for: they are meant to be copied into the program that checks them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::auth::AtBot;
use super::body::{Body, Fields, FromFields};
use super::moment::Moment;
use super::problem::{Problem, keys_alike};
use crate::bots::{LONGEST_OVERLAP, Profile, SetKeyError, WebhookKey as OwnWebhookKey};
use crate::clock::Millis;

/// A day: time to change a secret on every machine that has it.
const USUAL_OVERLAP: u64 = 86_400;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(show_webhook_key))
        .routes(routes!(rotate_webhook_key))
        .routes(routes!(show_signing_secret))
        .routes(routes!(rotate_signing_secret))
}

/// What the document's webhooks carry.
#[derive(Serialize, ToSchema)]
pub struct WebhookKey {
    /// The `webhookkey` of each keyword webhook. Never the SecretKey.
    #[schema(example = "whk_1f2e3d4c…")]
    webhook_key: String,
}

/// What signs everything that is posted.
#[derive(Serialize, ToSchema)]
pub struct SigningSecret {
    /// The secret, as Standard Webhooks has it: `whsec_` and base64.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    signing_secret: String,
    /// The one before it, while it signs too.
    #[schema(required)]
    previous: Option<OldSecret>,
}

/// A signing secret that was replaced.
#[derive(Serialize, ToSchema)]
pub struct OldSecret {
    /// The secret.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    signing_secret: String,
    /// Until when it signs too.
    until: Moment,
}

/// How to replace a signing secret.
#[derive(ToSchema)]
pub struct RotateSecret {
    /// How long the old secret goes on signing beside the new one, in seconds. Null is as absent.
    #[schema(minimum = 0, maximum = 604_800, default = 86_400, example = 86_400)]
    overlap_s: Option<u64>,
}

/// How to replace a webhook key.
#[derive(ToSchema)]
pub struct SetWebhookKey {
    /// A webhook key that scripts check already, in place of a fresh one. Never the SecretKey.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, example = "YourSecretWebhookKey")]
    webhook_key: Option<OwnWebhookKey>,
}

impl FromFields for SetWebhookKey {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let webhook_key = fields.webhook_key("webhook_key")?;
        Ok(Self { webhook_key })
    }
}

impl FromFields for RotateSecret {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let overlap_s = fields.whole("overlap_s", 0..=LONGEST_OVERLAP.as_secs())?;
        Ok(Self { overlap_s })
    }
}

/// Show the webhook key
///
/// It stands as `webhookkey` in each keyword webhook, so that the script behind it knows who calls.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/webhook-key", tag = "secrets",
    responses((status = 200, description = "The key.", body = WebhookKey))
)]
async fn show_webhook_key(
    State(v1): State<Arc<V1>>,
    at: AtBot,
) -> Result<Json<WebhookKey>, Problem> {
    at.caller.must_be_able_to_change()?;
    let profile = v1.profiles.of(at.bot.slot()).await?;
    let webhook_key = profile.webhook_key().to_owned();
    Ok(Json(WebhookKey { webhook_key }))
}

/// Replace the webhook key
///
/// The new one stands in each webhook from the next text on. There is no overlap: a payload holds one key. `webhook_key` takes over a key
/// that scripts check already.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/webhook-key/rotate", tag = "secrets", request_body = Option<SetWebhookKey>,
    responses((status = 200, description = "The new key.", body = WebhookKey))
)]
async fn rotate_webhook_key(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<SetWebhookKey>,
) -> Result<Json<WebhookKey>, Problem> {
    let key = asked.webhook_key.unwrap_or_else(OwnWebhookKey::random);
    let set = v1.profiles.set_webhook_key(at.bot.slot(), &key).await;
    set.map_err(|error| match error {
        SetKeyError::KeysAlike => keys_alike("webhook_key"),
        other => other.into(),
    })?;
    let webhook_key = key.reveal().to_owned();
    Ok(Json(WebhookKey { webhook_key }))
}

/// Show the signing secret
///
/// Everything that is posted is signed with it, as Standard Webhooks has it; a library of that name checks it.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/signing-secret", tag = "secrets",
    responses((status = 200, description = "The secret.", body = SigningSecret))
)]
async fn show_signing_secret(
    State(v1): State<Arc<V1>>,
    at: AtBot,
) -> Result<Json<SigningSecret>, Problem> {
    at.caller.must_be_able_to_change()?;
    let profile = v1.profiles.of(at.bot.slot()).await?;
    Ok(Json(SigningSecret::of(&profile, v1.clock.now())))
}

/// Replace the signing secret
///
/// The new one signs at once. The old one signs too for a while: a header carries both signatures, and an endpoint takes any that
/// fits.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/signing-secret/rotate", tag = "secrets", request_body = Option<RotateSecret>,
    responses((status = 200, description = "The new secret.", body = SigningSecret))
)]
async fn rotate_signing_secret(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<RotateSecret>,
) -> Result<Json<SigningSecret>, Problem> {
    let overlap = Duration::from_secs(asked.overlap_s.unwrap_or(USUAL_OVERLAP));
    let rotated = v1.profiles.rotate_signing(at.bot.slot(), overlap).await?;
    Ok(Json(SigningSecret::of(&rotated, v1.clock.now())))
}

impl SigningSecret {
    fn of(profile: &Profile, now: Millis) -> Self {
        let previous = profile.signing_before(now);
        Self {
            signing_secret: profile.signing_secret().reveal(),
            previous: previous.map(|(secret, until)| OldSecret {
                signing_secret: secret.reveal(),
                until: Moment(until),
            }),
        }
    }
}
