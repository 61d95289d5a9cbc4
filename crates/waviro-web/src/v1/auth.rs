//! Authentication of `/v1`: turns a bearer token into the permissions of its holder. The dashboard
//! knows its caller from the login session.
//!
//! An operation takes a proof of the caller's permission as an argument: [`AtBot`] or
//! [`ChangesBot`] below `/v1/bots/{bot}/…`, [`Admin`] or [`ChangesGateway`] elsewhere. Only this
//! module can create a proof, so that no operation can miss its check. An object outside a caller's
//! permissions does not exist for the caller: the response is 404, not 403.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use waviro_core::bots::{Bot, Bots};
use waviro_core::tokens::PREFIX;
use waviro_store::{TokenRole, UserRole};

use super::path::path_part;
use super::problem::Problem;
use super::state::V1;
use crate::http::peer;
use crate::services::Services;

/// The holder of a valid token, or a logged-in user.
#[derive(Clone)]
pub struct Caller {
    /// The permissions.
    pub role: Role,
    /// The token or the session of the request. Stored responses for the caller are encrypted with
    /// a key derived from the token or session.
    shown: Arc<str>,
    /// The user of the session; `None` for a token.
    user: Option<i64>,
}

/// The permissions of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Admin,
    /// May see and change the bot with the given id: a bot's token.
    Bot(i32),
    /// May see and change the bots with the given ids: a user of the dashboard.
    Operator(Arc<[i32]>),
    /// May see all bots and change nothing: a user of the dashboard.
    Viewer,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::Admin => Self::Admin,
            TokenRole::Bot(bot_id) => Self::Bot(bot_id),
        }
    }
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Admin => Self::Admin,
            UserRole::Operator(bots) => Self::Operator(bots.into()),
            UserRole::Viewer => Self::Viewer,
        }
    }
}

/// Proof: the caller may see everything.
#[derive(Debug, Clone, Copy)]
pub struct Admin(());

/// Proof: the caller may change everything.
#[derive(Clone)]
pub struct ChangesGateway {
    caller: Caller,
}

/// Proof: the caller may see the bot.
#[derive(Clone)]
pub struct AtBot {
    caller: Caller,
    bot: Arc<Bot>,
}

/// Proof: the caller may see and change the bot.
#[derive(Clone)]
pub struct ChangesBot(AtBot);

impl ChangesGateway {
    /// Returns the caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl AtBot {
    /// Returns the caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the bot.
    #[must_use]
    pub fn bot(&self) -> &Arc<Bot> {
        &self.bot
    }
}

impl ChangesBot {
    /// Returns the bot.
    #[must_use]
    pub fn bot(&self) -> &Arc<Bot> {
        &self.0.bot
    }

    /// Returns the proof that the caller may see the bot.
    #[must_use]
    pub fn sees(&self) -> &AtBot {
        &self.0
    }
}

impl Caller {
    /// Creates the caller behind a token or session.
    #[must_use]
    pub fn new(role: Role, shown: &str) -> Self {
        Self {
            role,
            shown: shown.into(),
            user: None,
        }
    }

    /// Adds the logged-in user to the caller.
    #[must_use]
    pub fn logged_in_as(self, user: i64) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// Returns whether the caller is logged in as the given user.
    #[must_use]
    pub fn is_user(&self, user: i64) -> bool {
        self.user == Some(user)
    }

    /// Returns the token or session, a secret.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns whether the caller may see the bot.
    #[must_use]
    pub fn may_see(&self, bot: &Bot) -> bool {
        match &self.role {
            Role::Admin | Role::Viewer => true,
            Role::Bot(bot_id) => bot.id() == *bot_id,
            Role::Operator(bot_ids) => bot_ids.contains(&bot.id()),
        }
    }

    /// Returns the proof that the caller may see everything.
    ///
    /// # Errors
    /// [`Problem::AdminOnly`].
    pub fn admin(&self) -> Result<Admin, Problem> {
        match self.role {
            Role::Admin => Ok(Admin(())),
            Role::Bot(_) | Role::Operator(_) | Role::Viewer => Err(Problem::AdminOnly),
        }
    }

    /// Returns the proof that the caller may change everything.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`] for a viewer, [`Problem::AdminOnly`] for any other caller.
    pub fn changes_gateway(&self) -> Result<ChangesGateway, Problem> {
        self.may_change()?;
        self.admin()?;
        Ok(ChangesGateway {
            caller: self.clone(),
        })
    }

    /// Returns the proof that the caller may see the bot, if there is a bot.
    ///
    /// # Errors
    /// [`Problem::NoSuchBot`].
    pub fn sees(&self, bot: Option<Arc<Bot>>) -> Result<AtBot, Problem> {
        let bot = bot.filter(|bot| self.may_see(bot));
        let bot = bot.ok_or(Problem::NoSuchBot)?;
        tracing::Span::current().record("bot", bot.name());
        Ok(AtBot {
            caller: self.clone(),
            bot,
        })
    }

    /// Returns the proof that the caller may see and change the bot, if there is a bot.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`] for a viewer, [`Problem::NoSuchBot`].
    pub fn changes(&self, bot: Option<Arc<Bot>>) -> Result<ChangesBot, Problem> {
        self.may_change()?;
        self.sees(bot).map(ChangesBot)
    }

    /// Refuses a viewer.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`].
    pub fn may_change(&self) -> Result<(), Problem> {
        match self.role {
            Role::Viewer => Err(Problem::ReadOnly),
            Role::Admin | Role::Bot(_) | Role::Operator(_) => Ok(()),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Services>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let services = Arc::<Services>::from_ref(state);
        // Code inside the process can name the caller. A client cannot set an extension.
        if let Some(vouched) = parts.extensions.get::<Self>() {
            return Ok(vouched.clone());
        }
        let wrong = || {
            if services.wrong_keys.count(peer(&parts.extensions)) {
                Problem::InvalidToken
            } else {
                Problem::TooManyWrongKeys
            }
        };
        // A request without a token guesses nothing, so the budget of wrong keys does not count it.
        let token = sent_token(&parts.headers)?.ok_or_else(wrong)?;
        let known = if token.starts_with(PREFIX) {
            services.tokens.of(token).await?
        } else {
            None
        };
        let role = known.ok_or_else(wrong)?.role;
        if let TokenRole::Bot(bot_id) = role {
            // The removal of a bot revokes its tokens; between the two steps, a token can exist
            // without its bot.
            let bot = services.bots.by_id(bot_id).ok_or(Problem::InvalidToken)?;
            tracing::Span::current().record("bot", bot.name());
        }
        Ok(Self::new(role.into(), token))
    }
}

impl FromRequestParts<V1> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &V1) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, v1).await?.admin()
    }
}

impl FromRequestParts<V1> for ChangesGateway {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &V1) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, v1).await?;
        caller.changes_gateway()
    }
}

impl FromRequestParts<V1> for AtBot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &V1) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, v1).await?;
        caller.sees(bot_in_path(parts, v1).await)
    }
}

impl FromRequestParts<V1> for ChangesBot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &V1) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, v1).await?;
        caller.changes(bot_in_path(parts, v1).await)
    }
}

/// Returns the bot in the path, by id or name.
async fn bot_in_path(parts: &mut Parts, v1: &V1) -> Option<Arc<Bot>> {
    let named = path_part(parts, "bot").await?;
    bot_named(&v1.services.bots, &named)
}

/// Finds a bot by id or name. Digits alone are always an id, even if a bot's name consists of
/// digits.
pub(super) fn bot_named(bots: &Bots, named: &str) -> Option<Arc<Bot>> {
    if named.bytes().all(|byte| byte.is_ascii_digit()) {
        bots.by_id(named.parse().ok()?)
    } else {
        bots.by_name(named)
    }
}

/// Returns the token of the request, or `Ok(None)` if the header cannot be a token. Several headers
/// with the same token are accepted. Different tokens give `Ok(None)`, because the caller is
/// ambiguous.
pub(super) fn sent_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next().ok_or(Problem::NoToken)?;
    if values.any(|other| other != first) {
        return Ok(None);
    }
    let Ok(text) = first.to_str() else {
        return Ok(None);
    };
    // RFC 9110, 11.1: the scheme is case-insensitive.
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Problem::NoToken);
    }
    Ok(Some(token.trim()))
}
