//! `/v1/bots` and `/v1/bots/{bot}`: who the bots are, how they are, and how they come and go.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, LOCATION};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_link::{DialFailure, Status, UnlinkedCause};

use super::V1;
use super::answers::{AdminOnly, Conflict};
use super::auth::{Admin, AtBot, Caller};
use super::body::{Body, Fields, FromFields, required};
use super::health::Health;
use super::moment::Moment;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use crate::bots::{Bot, OwnKeys, SecretKey, WebhookKey};

/// This file's operations.
pub(super) fn routes() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
}

/// A bot as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Bot)]
pub struct BotView {
    /// Stays the same for ever; no other bot ever has it.
    #[schema(example = 1, minimum = 1)]
    id: i32,
    /// What people call it.
    #[schema(example = "toko")]
    name: String,
    /// The phone number that it is, or was last, linked as.
    #[schema(required, example = "6281200000001")]
    number: Option<String>,
    /// The name that the account shows; empty until WhatsApp told it.
    #[schema(required, example = "Toko")]
    account_name: Option<String>,
    /// Where the link stands.
    state: LinkState,
    /// More about the state, where WhatsApp or the connection gave a reason.
    #[schema(required)]
    cause: Option<String>,
    /// Why WhatsApp cannot be reached, in a word that stays the same, where that is the cause: the failed step of the dial.
    #[schema(required, example = "tls_unknown_ca")]
    cause_code: Option<&'static str>,
    /// When it was added.
    created_at: Moment,
    /// How it is.
    health: Health,
}

/// Where a link stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub enum LinkState {
    /// Never linked.
    Unlinked,
    /// The phone or WhatsApp removed the device.
    LoggedOut,
    /// Nobody scanned in time.
    CodesUsedUp,
    /// A phone scanned, but pairing failed.
    PairingFailed,
    /// A code waits to be scanned.
    Linking,
    /// Ready.
    Online,
    /// Linked, the link is down and dials again.
    Reconnecting,
    /// Another program opened the same device.
    Replaced,
    /// WhatsApp closed the account for a while.
    Banned,
    /// Linking stopped at a passkey.
    PasskeyAsked,
    /// WhatsApp refuses this client version.
    ClientOutdated,
}

/// A bot that was just added.
#[derive(Serialize, ToSchema)]
pub struct NewBot {
    /// The bot.
    bot: BotView,
    /// Its SecretKey for `/api/…`, shown only now.
    #[schema(example = "1f2e3d4c…")]
    secret_key: String,
}

/// A bot to add.
#[derive(ToSchema)]
pub struct AddBot {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "toko"
    )]
    name: String,
    /// A SecretKey that programs have already, in place of a fresh one: visible ASCII characters, hard to guess, of no other bot.
    #[schema(value_type = Option<String>, min_length = 16, max_length = 128)]
    secret_key: Option<SecretKey>,
    /// A webhook key that scripts check already, in place of a fresh one. Never the SecretKey.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, example = "YourSecretWebhookKey")]
    webhook_key: Option<WebhookKey>,
}

/// What to change of a bot; what is absent or null stays as it is.
#[derive(ToSchema)]
pub struct ChangeBot {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "toko"
    )]
    name: Option<String>,
}

impl FromFields for AddBot {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let name = required("name", fields.name("name")?)?;
        Ok(Self {
            name,
            secret_key: fields.secret_key("secret_key")?,
            webhook_key: fields.webhook_key("webhook_key")?,
        })
    }
}

impl FromFields for ChangeBot {
    fn from_fields(fields: &Fields) -> Result<Self, Problem> {
        let name = fields.name("name")?;
        Ok(Self { name })
    }
}

/// List bots
///
/// Every bot that the token may see, by id: a bot's token sees its own alone.
#[utoipa::path(
    get, path = "/v1/bots", tag = "bots", params(PageParams),
    responses((status = 200, description = "A page of bots.", body = Page<BotView>))
)]
async fn list(
    State(v1): State<Arc<V1>>,
    caller: Caller,
    paging: Paging,
) -> Result<Json<Page<BotView>>, Problem> {
    let after = paging.after("bots")?.unwrap_or(0);
    let bots = v1.bots.list().into_iter();
    let seen = bots.filter(|bot| caller.may_see(bot) && i64::from(bot.slot()) > after);
    let rows = seen.take(paging.rows()).collect();
    let (bots, next) = paging
        .page("bots", rows, |bot: &Arc<Bot>| i64::from(bot.slot()))
        .into_parts();
    let mut shown = Vec::with_capacity(bots.len());
    for bot in bots {
        shown.push(BotView::of(&bot, &v1).await?);
    }
    Ok(Json(Page::from_parts(shown, next)))
}

/// Add a bot
///
/// It is not linked yet: relink shows a code to scan. Its SecretKey is shown this once; only a hash of it is kept. `secret_key` and
/// `webhook_key` take over keys that programs and scripts have already.
#[utoipa::path(
    post, path = "/v1/bots", tag = "bots", request_body = AddBot,
    responses(
        (status = 201, description = "The bot and its SecretKey.", body = NewBot,
            headers(("location" = String, description = "The bot's path."))),
        AdminOnly, Conflict,
    )
)]
async fn add(
    State(v1): State<Arc<V1>>,
    _: Admin,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddBot>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<NewBot>), Problem> {
    let own = OwnKeys {
        secret: asked.secret_key,
        webhook: asked.webhook_key,
    };
    let (bot, key) = v1.bots.add_with(&asked.name, own).await?;
    let place = format!("{}/{}", uri.path().trim_end_matches('/'), bot.slot());
    let new = NewBot {
        bot: BotView::of(&bot, &v1).await?,
        secret_key: key.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(new)))
}

/// Show a bot
///
/// Who it is linked as, where the link stands, and how healthy it is, with the evidence.
#[utoipa::path(
    get, path = "/v1/bots/{bot}", tag = "bots",
    responses((status = 200, description = "The bot.", body = BotView))
)]
async fn show(State(v1): State<Arc<V1>>, at: AtBot) -> Result<Json<BotView>, Problem> {
    Ok(Json(BotView::of(&at.bot, &v1).await?))
}

/// Change a bot
///
/// Renames it. Its id, its keys and its tokens stay as they are.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}", tag = "bots", request_body = Option<ChangeBot>,
    responses((status = 200, description = "The bot as it is now.", body = BotView), Conflict)
)]
async fn change(
    State(v1): State<Arc<V1>>,
    at: AtBot,
    Body(asked): Body<ChangeBot>,
) -> Result<Json<BotView>, Problem> {
    if let Some(name) = asked.name {
        v1.bots.rename(at.bot.slot(), &name).await?;
    }
    Ok(Json(BotView::of(&at.bot, &v1).await?))
}

/// Remove a bot
///
/// Its keys and tokens are dead when this is answered. Soon after its queue ends (what waits ends with ack -1), its device is
/// logged out at WhatsApp, and its link keys are wiped.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}", tag = "bots",
    responses((status = 202, description = "The bot is gone; its device follows."), AdminOnly)
)]
async fn remove(State(v1): State<Arc<V1>>, at: AtBot) -> Result<StatusCode, Problem> {
    at.caller.must_be_admin()?;
    v1.bots.remove(at.bot.slot()).await?;
    Ok(StatusCode::ACCEPTED)
}

impl BotView {
    async fn of(bot: &Bot, v1: &V1) -> Result<Self, Problem> {
        let (status, identity) = (bot.status(), bot.identity());
        Ok(Self {
            id: bot.slot(),
            name: bot.name(),
            number: identity.as_ref().map(|known| known.number.to_string()),
            account_name: identity.map(|known| known.name),
            state: LinkState::of(&status),
            cause: status.cause().map(Cow::into_owned),
            cause_code: status.failure().map(DialFailure::code),
            created_at: Moment(bot.created_at()),
            health: Health::of(bot, v1).await?,
        })
    }
}

impl LinkState {
    /// The state of a link, in a word.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        match status {
            Status::Unlinked(UnlinkedCause::Never) => Self::Unlinked,
            Status::Unlinked(UnlinkedCause::LoggedOut(_)) => Self::LoggedOut,
            Status::Unlinked(UnlinkedCause::CodesUsedUp) => Self::CodesUsedUp,
            Status::Unlinked(UnlinkedCause::PairingFailed(_)) => Self::PairingFailed,
            Status::Linking { .. } | Status::Unreachable(_) => Self::Linking,
            Status::Online => Self::Online,
            Status::Reconnecting { .. } => Self::Reconnecting,
            Status::Replaced => Self::Replaced,
            Status::Banned { .. } => Self::Banned,
            Status::PasskeyAsked => Self::PasskeyAsked,
            Status::ClientOutdated => Self::ClientOutdated,
        }
    }
}
