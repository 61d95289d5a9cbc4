//! `/v1/bots/{bot}/settings`: the settings of a bot that change its default behaviour.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::bots::Settings;

use super::auth::{AtBot, ChangesBot};
use super::body::Body;
use super::problem::Problem;
use super::responses::{AdminOnly, JsonResult};
use super::state::V1;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new().routes(routes!(http_show, http_change))
}

/// The settings of a bot. A change by another program applies within two seconds, any other change
/// at once.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Settings)]
pub struct SettingsForm {
    /// The rule that refuses a repetition of the last message to the same chat.
    duplicate_rule: DuplicateRuleForm,
    /// The speed of sending.
    pacing: PacingForm,
    /// True to report acks 2 and 3 of messages to groups to the notifyurl, at the first report of a
    /// member's phone. Without the setting, a group message stays at ack 1.
    #[schema(default = false)]
    group_acks: bool,
    /// The seconds for which the bot accepts messages without a connection; null for the gateway's
    /// configuration.
    #[schema(required, minimum = 0, maximum = 86_400)]
    grace_s: Option<u32>,
    /// The networks that the gateway may call for the bot in addition to public addresses: an
    /// address or a CIDR, with or without `:port`. Only an admin token may change the networks.
    #[schema(max_items = 64, pattern = "^[0-9A-Fa-f.:/\\[\\]]+$", example = json!(["10.0.0.5:8080"]))]
    allow: Vec<String>,
}

/// The duplicate rule of a bot.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DuplicateRule)]
pub struct DuplicateRuleForm {
    /// True if the rule is active.
    #[schema(default = true)]
    enabled: bool,
    /// The maximum number of seconds since the last message was accepted; null for no limit.
    #[schema(required, minimum = 1, maximum = 31_536_000)]
    within_s: Option<u32>,
}

/// The speed at which a bot sends.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pacing)]
pub struct PacingForm {
    /// The maximum number of messages per minute, evenly spaced; null for no limit. A message above
    /// the limit waits with ack 0.
    #[schema(required, minimum = 1, maximum = 600)]
    per_minute: Option<u32>,
    /// The maximum random change of the gap between two messages, as a fraction of the even gap.
    #[schema(minimum = 0, maximum = 1, default = 0.3)]
    jitter: f64,
    /// True to show a person the typing indicator before each text.
    #[schema(default = false)]
    typing: bool,
}

/// The changes to a bot's settings: a JSON merge patch (RFC 7396). Absent fields stay unchanged;
/// null restores the default.
#[derive(Deserialize)]
pub struct ChangeSettings(Value);

impl ToSchema for ChangeSettings {}

impl PartialSchema for ChangeSettings {
    fn schema() -> RefOr<Schema> {
        let mut form = SettingsForm::schema();
        if let RefOr::T(Schema::Object(object)) = &mut form {
            // The referenced schemas do not allow absent fields, so the patch has copies of the
            // schemas inline.
            let groups = [
                ("duplicate_rule", DuplicateRuleForm::schema()),
                ("pacing", PacingForm::schema()),
            ];
            for (name, group) in groups {
                object.properties.insert(name.to_owned(), group);
            }
        }
        loosen(&mut form);
        if let RefOr::T(Schema::Object(object)) = &mut form {
            // The patch itself cannot be null.
            object.schema_type = Type::Object.into();
            object.description = Some(
                "The settings to change; an absent setting stays unchanged, null restores the default."
                    .to_owned(),
            );
        }
        form
    }
}

/// Makes each field of the schema optional and nullable.
fn loosen(form: &mut RefOr<Schema>) {
    let schema_type = match form {
        RefOr::T(Schema::Object(object)) => {
            object.required.clear();
            object.properties.values_mut().for_each(loosen);
            &mut object.schema_type
        }
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        _ => return,
    };
    if let SchemaType::Type(one) = schema_type {
        *schema_type = SchemaType::Array(vec![one.clone(), Type::Null]);
    }
}

/// Show a bot's settings
///
/// Returns all settings, including the defaults.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/settings", tag = "settings",
    responses((status = 200, description = "The settings.", body = SettingsForm))
)]
async fn http_show(at: AtBot) -> Json<Settings> {
    Json(show(&at))
}

pub(crate) fn show(at: &AtBot) -> Settings {
    Settings::clone(&at.bot().settings())
}

/// Change a bot's settings
///
/// The body is a JSON merge patch (RFC 7396): absent fields stay unchanged, and null restores the
/// default. The change applies as soon as the response is sent, also to waiting messages. An
/// unknown setting is refused. Only an admin token may change `allow`.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}/settings", tag = "settings", request_body = Option<ChangeSettings>,
    responses((status = 200, description = "The settings as they are now.", body = SettingsForm), AdminOnly)
)]
async fn http_change(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<ChangeSettings>,
) -> JsonResult<Settings> {
    change(&services, &at, asked).await.map(Json)
}

pub(crate) async fn change(
    services: &Services,
    at: &ChangesBot,
    asked: ChangeSettings,
) -> Result<Settings, Problem> {
    // Patches run one after the other, so that concurrent patches do not overwrite each other.
    let _turn = services.settings.lock().await;
    let before = at.bot().settings();
    let after = before.patched(&asked.0)?;
    if after.allow != before.allow {
        at.sees().caller().admin()?;
    }
    if after != *before {
        services.bots.set(at.bot().id(), &after).await?;
        services.profiles.forget(at.bot().id());
    }
    Ok(after)
}
