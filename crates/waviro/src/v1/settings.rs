//! `/v1/bots/{bot}/settings`: how a bot behaves where it differs from the document's way.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::V1;
use super::answers::AdminOnly;
use super::auth::AtBot;
use super::body::{Body, Fields, FromFields};
use super::problem::Problem;
use crate::bots::Settings;

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// A bot's settings. They hold within two seconds of a change by another program, at once otherwise.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Settings)]
pub struct SettingsForm {
    /// When the same text to the same chat is refused as a repeat of the message before.
    duplicate_rule: DuplicateRuleForm,
    /// How fast the bot writes.
    pacing: PacingForm,
    /// Acks 2 and 3 of messages to groups go to the notifyurl too, when the first member's phone reports. A group stays at 1 otherwise.
    #[schema(default = false)]
    group_acks: bool,
    /// How long the bot accepts without a connection, in seconds; null is what the gateway is configured to.
    #[schema(required, minimum = 0, maximum = 86_400)]
    grace_s: Option<u32>,
    /// Networks that the gateway may call for this bot beside public ones: an address or a CIDR, with or without `:port`. Only an admin's
    /// token may change them.
    #[schema(max_items = 64, pattern = "^[0-9A-Fa-f.:/\\[\\]]+$", example = json!(["10.0.0.5:8080"]))]
    allow: Vec<String>,
}

/// When a repeat is refused.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DuplicateRule)]
pub struct DuplicateRuleForm {
    /// Whether it is at all.
    #[schema(default = true)]
    enabled: bool,
    /// Only where the message before was accepted so many seconds ago or less; null is however long ago.
    #[schema(required, minimum = 1, maximum = 31_536_000)]
    within_s: Option<u32>,
}

/// How fast a bot writes.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pacing)]
pub struct PacingForm {
    /// Messages in any minute at most, spaced evenly; null is as fast as it goes. What is too much waits with ack 0.
    #[schema(required, minimum = 1, maximum = 600)]
    per_minute: Option<u32>,
    /// How much a gap between two messages may differ from the even one, as a part of it.
    #[schema(minimum = 0, maximum = 1, default = 0.3)]
    jitter: f64,
    /// A person sees the bot type before each text.
    #[schema(default = false)]
    typing: bool,
}

/// What to change of a bot's settings: a JSON merge patch (RFC 7396). What is absent stays as it is, null is the default again.
pub struct ChangeSettings(Value);

impl FromFields for ChangeSettings {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self(Value::Object(fields.all().clone())))
    }
}

impl ToSchema for ChangeSettings {}

impl PartialSchema for ChangeSettings {
    fn schema() -> RefOr<Schema> {
        let mut form = SettingsForm::schema();
        if let RefOr::T(Schema::Object(object)) = &mut form {
            // What stands elsewhere is strict.
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
            // The patch itself is no null.
            object.schema_type = Type::Object.into();
            object.description = Some(
                "What to change; what is absent stays as it is, null is the default again."
                    .to_owned(),
            );
        }
        form
    }
}

/// The same form where everything may be absent or null.
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
/// All of them, those that nobody set too.
#[utoipa::path(
    get, path = "/v1/bots/{bot}/settings", tag = "settings",
    responses((status = 200, description = "The settings.", body = SettingsForm))
)]
async fn show(at: AtBot) -> Json<Settings> {
    Json(Settings::clone(&at.bot.settings()))
}

/// Change a bot's settings
///
/// A JSON merge patch (RFC 7396): what is absent stays as it is, null is the default again. It holds when it is answered, also for what
/// waits to be sent. A name that is no setting is refused. Only an admin's token may change `allow`.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}/settings", tag = "settings", request_body = Option<ChangeSettings>,
    responses((status = 200, description = "The settings as they are now.", body = SettingsForm), AdminOnly)
)]
async fn change(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<ChangeSettings>,
) -> Result<Json<Settings>, Problem> {
    // One at a time: of two patches at once neither may undo the other.
    let _turn = v1.settings.lock().await;
    let before = at.bot.settings();
    let after = before.patched(&asked.0)?;
    if after.allow != before.allow {
        at.caller.must_be_admin()?;
    }
    if after != *before {
        v1.bots.set(at.bot.slot(), &after).await?;
        v1.profiles.forget(at.bot.slot());
    }
    Ok(Json(after))
}
