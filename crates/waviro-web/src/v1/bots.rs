//! `/v1/bots` and `/v1/bots/{bot}`: lists, shows, adds, changes and removes bots.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waviro_core::bots::{Bot, OwnKeys, SecretKey, WebhookKey};
use waviro_link::{Status, UnlinkedCause};

use super::auth::{AtBot, Caller, ChangesBot, ChangesGateway};
use super::body::Body;
use super::fields::{Field, Name};
use super::health::Health;
use super::page::{Page, PageParams, Paging};
use super::problem::Problem;
use super::responses::{AdminOnly, Conflict, JsonResult, Located, located};
use super::state::V1;
use super::timestamp::Timestamp;
use crate::services::{Services, SharedServices};

pub(super) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(http_list, http_add))
        .routes(routes!(http_show, http_change, http_remove))
}

/// A bot with its current state.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Bot)]
pub struct BotView {
    /// The permanent id. No other bot ever gets the same id.
    #[schema(example = 1, minimum = 1)]
    pub(crate) id: i32,
    /// The bot's name.
    #[schema(example = "toko")]
    pub(crate) name: String,
    /// The phone number of the linked account, or of the last linked account.
    #[schema(required, example = "6281200000001")]
    pub(crate) number: Option<String>,
    /// The display name of the account; empty until WhatsApp has sent the name.
    #[schema(required, example = "Toko")]
    pub(crate) account_name: Option<String>,
    /// The state of the link.
    pub(crate) state: LinkState,
    /// The reason for the state, if WhatsApp or the connection gave a reason.
    #[schema(required)]
    pub(crate) cause: Option<String>,
    /// The stable code of the reason if WhatsApp cannot be reached: the step of the connection that
    /// failed.
    #[schema(required, example = "tls_unknown_ca")]
    pub(crate) cause_code: Option<String>,
    /// When the bot was added.
    pub(crate) created_at: Timestamp,
    /// The health of the bot.
    pub(crate) health: Health,
}

/// The state of a bot's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub enum LinkState {
    /// The bot was never linked.
    Unlinked,
    /// The phone or WhatsApp removed the device.
    LoggedOut,
    /// All QR codes expired without a scan.
    CodesUsedUp,
    /// A phone scanned the code, but pairing failed.
    PairingFailed,
    /// A QR code is ready to be scanned.
    Linking,
    /// The bot is connected.
    Online,
    /// The bot is linked; the connection is down and is being restored.
    Reconnecting,
    /// Another program connected with the same device.
    Replaced,
    /// WhatsApp banned the account for a limited time.
    Banned,
    /// Linking stopped because WhatsApp asked for a passkey.
    PasskeyAsked,
    /// WhatsApp refuses the client version.
    ClientOutdated,
}

/// A newly added bot.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewBot {
    /// The bot.
    pub(crate) bot: BotView,
    /// The bot's SecretKey for `/api/…`, shown only at its creation.
    #[schema(example = "1f2e3d4c…")]
    pub(crate) secret_key: String,
}

/// A bot to add.
#[derive(Deserialize, ToSchema)]
pub struct AddBot {
    /// The bot's name.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "toko")]
    name: Field<Name>,
    /// An existing SecretKey to take over instead of a new key: visible ASCII characters, hard to
    /// guess, used by no other bot.
    #[schema(value_type = Option<String>, min_length = 16, max_length = 128)]
    secret_key: Option<Field<SecretKey>>,
    /// An existing webhook key to take over instead of a new key. Must differ from the SecretKey.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128, example = "YourSecretWebhookKey")]
    webhook_key: Option<Field<WebhookKey>>,
}

/// The changes to a bot. Absent and null fields stay unchanged.
#[derive(Deserialize, ToSchema)]
pub struct ChangeBot {
    /// The bot's new name.
    #[schema(
        value_type = Option<String>,
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$",
        example = "toko"
    )]
    name: Option<Field<Name>>,
}

/// List bots
///
/// Lists the bots that the token may see, ordered by id. A bot's token sees only its own bot.
#[utoipa::path(
    get, path = "/v1/bots", tag = "bots", params(PageParams),
    responses((status = 200, description = "A page of bots.", body = Page<BotView>))
)]
async fn http_list(
    services: SharedServices,
    caller: Caller,
    paging: Paging,
) -> JsonResult<Page<BotView>> {
    list(&services, &caller, paging).await.map(Json)
}

pub(crate) async fn list(
    services: &Services,
    caller: &Caller,
    paging: Paging,
) -> Result<Page<BotView>, Problem> {
    let bots = services.bots.list().into_iter();
    let seen = bots.filter(|bot| caller.may_see(bot));
    let page = paging.page_of("bots", seen, |bot: &Arc<Bot>| i64::from(bot.id()))?;
    let (bots, next) = page.into_parts();
    let mut shown = Vec::with_capacity(bots.len());
    for bot in bots {
        shown.push(BotView::of(&bot, services).await?);
    }
    Ok(Page::from_parts(shown, next))
}

/// Add a bot
///
/// The new bot is not linked; use relink to get a QR code. The SecretKey is shown only in this
/// response, because the gateway stores only a hash. With `secret_key` and `webhook_key` the bot
/// takes over existing keys.
#[utoipa::path(
    post, path = "/v1/bots", tag = "bots", request_body = AddBot,
    responses(
        (status = 201, description = "The bot and its SecretKey.", body = NewBot,
            headers(("location" = String, description = "The bot's path."))),
        AdminOnly, Conflict,
    )
)]
async fn http_add(
    services: SharedServices,
    admin: ChangesGateway,
    OriginalUri(uri): OriginalUri,
    Body(asked): Body<AddBot>,
) -> Result<Located<NewBot>, Problem> {
    let added = add(&services, &admin, asked).await?;
    Ok(located(StatusCode::CREATED, &uri, added.bot.id, added))
}

pub(crate) async fn add(
    services: &Services,
    _: &ChangesGateway,
    asked: AddBot,
) -> Result<NewBot, Problem> {
    let own = OwnKeys {
        secret: asked.secret_key.map(|key| key.0),
        webhook: asked.webhook_key.map(|key| key.0),
    };
    let (bot, key) = services.bots.add_with(&asked.name.0, own).await?;
    let new = NewBot {
        bot: BotView::of(&bot, services).await?,
        secret_key: key.reveal().to_owned(),
    };
    Ok(new)
}

/// Show a bot
///
/// Returns the linked account, the state of the link, and the health of the bot with its evidence.
#[utoipa::path(
    get, path = "/v1/bots/{bot}", tag = "bots",
    responses((status = 200, description = "The bot.", body = BotView))
)]
async fn http_show(services: SharedServices, at: AtBot) -> JsonResult<BotView> {
    show(&services, &at).await.map(Json)
}

pub(crate) async fn show(services: &Services, at: &AtBot) -> Result<BotView, Problem> {
    BotView::of(at.bot(), services).await
}

/// Change a bot
///
/// Renames the bot. The id, the keys and the tokens stay unchanged.
#[utoipa::path(
    patch, path = "/v1/bots/{bot}", tag = "bots", request_body = Option<ChangeBot>,
    responses((status = 200, description = "The bot as it is now.", body = BotView), Conflict)
)]
async fn http_change(
    services: SharedServices,
    at: ChangesBot,
    Body(asked): Body<ChangeBot>,
) -> JsonResult<BotView> {
    change(&services, &at, asked).await.map(Json)
}

pub(crate) async fn change(
    services: &Services,
    at: &ChangesBot,
    asked: ChangeBot,
) -> Result<BotView, Problem> {
    if let Some(Field(name)) = asked.name {
        services.bots.rename(at.bot().id(), &name).await?;
    }
    BotView::of(at.bot(), services).await
}

/// Remove a bot
///
/// The bot's keys and tokens are invalid as soon as the response is sent. Shortly afterwards the
/// gateway ends the bot's queue (waiting messages get ack -1), logs the device out at WhatsApp and
/// deletes its link keys.
#[utoipa::path(
    delete, path = "/v1/bots/{bot}", tag = "bots",
    responses((status = 202, description = "The bot is removed; its device is logged out next."), AdminOnly)
)]
async fn http_remove(services: SharedServices, at: ChangesBot) -> Result<StatusCode, Problem> {
    remove(&services, &at).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(crate) async fn remove(services: &Services, at: &ChangesBot) -> Result<(), Problem> {
    at.sees().caller().admin()?;
    services.bots.remove(at.bot().id()).await?;
    Ok(())
}

impl BotView {
    async fn of(bot: &Bot, services: &Services) -> Result<Self, Problem> {
        let (status, identity) = (bot.status(), bot.identity());
        Ok(Self {
            id: bot.id(),
            name: bot.name(),
            number: identity.as_ref().map(|known| known.number.to_string()),
            account_name: identity.map(|known| known.name),
            state: LinkState::of(&status),
            cause: status.cause().map(Cow::into_owned),
            cause_code: status.failure().map(|failure| failure.code().to_owned()),
            created_at: Timestamp(bot.created_at()),
            health: Health::of(bot, services).await?,
        })
    }
}

impl LinkState {
    /// Returns the word for the state in the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unlinked => "unlinked",
            Self::LoggedOut => "logged_out",
            Self::CodesUsedUp => "codes_used_up",
            Self::PairingFailed => "pairing_failed",
            Self::Linking => "linking",
            Self::Online => "online",
            Self::Reconnecting => "reconnecting",
            Self::Replaced => "replaced",
            Self::Banned => "banned",
            Self::PasskeyAsked => "passkey_asked",
            Self::ClientOutdated => "client_outdated",
        }
    }

    /// Returns the state for the API.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_state_is_its_word_in_json() {
        for state in [
            LinkState::Unlinked,
            LinkState::LoggedOut,
            LinkState::CodesUsedUp,
            LinkState::PairingFailed,
            LinkState::Linking,
            LinkState::Online,
            LinkState::Reconnecting,
            LinkState::Replaced,
            LinkState::Banned,
            LinkState::PasskeyAsked,
            LinkState::ClientOutdated,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }
}
