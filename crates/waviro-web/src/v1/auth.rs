//! Authentication of `/v1`: turns a bearer token into the permissions of its holder. The dashboard
//! passes its logged-in user from inside the process instead ([`super::inside`]).
//!
//! Handlers take [`Caller`] if any token is allowed, [`Admin`] if only an admin token is allowed,
//! and [`AtBot`] below `/v1/bots/{bot}/…`. An object outside a caller's permissions does not exist
//! for the caller: the response is 404, not 403.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use waviro_core::bots::{Bot, Bots};
use waviro_core::tokens::PREFIX;
use waviro_store::{TokenRole, UserRole};

use super::problem::Problem;
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

/// Extractor: the caller is an admin.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

/// Extractor: the bot in the path (by id or name), with a caller allowed to see the bot.
pub struct AtBot {
    /// The caller.
    pub caller: Caller,
    /// The bot.
    pub bot: Arc<Bot>,
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

    /// Refuses any caller except an admin.
    ///
    /// # Errors [`Problem::AdminOnly`].
    pub fn must_be_admin(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Bot(_) | Role::Operator(_) | Role::Viewer => Err(Problem::AdminOnly),
        }
    }

    /// Refuses a viewer. Used before a response with a secret: with the secret, a viewer could act
    /// as the bot.
    ///
    /// # Errors
    /// [`Problem::ReadOnly`] for a viewer.
    pub fn must_be_able_to_change(&self) -> Result<(), Problem> {
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
        if let Some(vouched) = parts.extensions.get::<Self>() {
            if !matches!(parts.method, Method::GET | Method::HEAD) {
                vouched.must_be_able_to_change()?;
            }
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

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Arc<Services>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must_be_admin().map(|()| Self)
    }
}

impl<S> FromRequestParts<S> for AtBot
where
    S: Send + Sync,
    Arc<Services>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let services = Arc::<Services>::from_ref(state);
        let caller = Caller::from_request_parts(parts, state).await?;
        let named = path_part(parts, "bot").await;
        let bot = named.and_then(|named| bot_named(&services.bots, &named));
        let bot = bot.filter(|bot| caller.may_see(bot));
        let bot = bot.ok_or(Problem::NoSuchBot)?;
        tracing::Span::current().record("bot", bot.name());
        Ok(Self { caller, bot })
    }
}

/// Returns a decoded part of the path, or `None` if the part is not UTF-8.
pub async fn path_part(parts: &mut Parts, name: &str) -> Option<String> {
    let all = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let part = all.iter().find(|(part, _)| *part == name);
    part.map(|(_, value)| value.to_owned())
}

/// Returns a part of the path as an id, or `None` if the part is not a number.
pub async fn path_id(parts: &mut Parts, name: &str) -> Option<i64> {
    let id = path_part(parts, name).await?;
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| id.parse().ok())?
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
