//! From the bearer token to what its holder may do; or from the dashboard's session, for which the gateway itself vouches
//! ([`super::inside`]).
//!
//! Handlers take [`Caller`] where any token will do, [`Admin`] where only an admin's does, and [`AtBot`] below
//! `/v1/bots/{bot}/…`. What a bot's token may not see is not there for it: 404, not 403.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::V1;
use super::problem::Problem;
use crate::bots::{Bot, Bots};
use crate::door::peer;
use crate::store::{TokenRole, UserRole};
use crate::tokens::PREFIX;

/// Whoever sent a living token, or is logged in.
#[derive(Clone)]
pub struct Caller {
    /// What they may do.
    pub role: Role,
    /// What they showed for it: a token, or a session. Answers that are kept for them are sealed with it.
    shown: Arc<str>,
    /// The user whose session it is; `None` for a token.
    user: Option<i64>,
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// What concerns this one bot (its slot): a bot's token.
    Bot(i32),
    /// The same of several bots: a user of the dashboard.
    Operator(Arc<[i32]>),
    /// See every bot and change nothing: a user of the dashboard.
    Viewer,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::Admin => Self::Admin,
            TokenRole::Bot(slot) => Self::Bot(slot),
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

/// Somebody with an admin token.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

/// The bot that the path names, by its id or its name, and who asks: an admin, or the bot's own token.
pub struct AtBot {
    /// Who asks.
    pub caller: Caller,
    /// The bot.
    pub bot: Arc<Bot>,
}

impl Caller {
    /// Whoever showed this token or session.
    #[must_use]
    pub fn new(role: Role, shown: &str) -> Self {
        Self {
            role,
            shown: shown.into(),
            user: None,
        }
    }

    /// The same, logged in as this user.
    #[must_use]
    pub fn logged_in_as(self, user: i64) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// Whether this is that user's own session.
    #[must_use]
    pub fn is_user(&self, user: i64) -> bool {
        self.user == Some(user)
    }

    /// The token or session. A secret.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether this caller may know of that bot.
    #[must_use]
    pub fn may_see(&self, bot: &Bot) -> bool {
        match &self.role {
            Role::Admin | Role::Viewer => true,
            Role::Bot(slot) => bot.slot() == *slot,
            Role::Operator(slots) => slots.contains(&bot.slot()),
        }
    }

    /// # Errors
    /// [`Problem::AdminOnly`] for anybody else.
    pub fn must_be_admin(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Bot(_) | Role::Operator(_) | Role::Viewer => Err(Problem::AdminOnly),
        }
    }

    /// For what shows a secret: who may not change anything could with it.
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

impl FromRequestParts<Arc<V1>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &Arc<V1>) -> Result<Self, Problem> {
        if let Some(vouched) = parts.extensions.get::<Self>() {
            if !matches!(parts.method, Method::GET | Method::HEAD) {
                vouched.must_be_able_to_change()?;
            }
            return Ok(vouched.clone());
        }
        let wrong = || {
            if v1.wrong_keys.count(peer(&parts.extensions)) {
                Problem::InvalidToken
            } else {
                Problem::TooManyWrongKeys
            }
        };
        // Nothing is guessed without a token, so it does not count as a wrong one.
        let token = sent_token(&parts.headers)?.ok_or_else(wrong)?;
        let known = if token.starts_with(PREFIX) {
            v1.tokens.of(token).await?
        } else {
            None
        };
        let role = known.ok_or_else(wrong)?.role;
        if let TokenRole::Bot(slot) = role {
            // Its tokens are revoked with a bot; this is the moment between.
            let bot = v1.bots.by_slot(slot).ok_or(Problem::InvalidToken)?;
            tracing::Span::current().record("bot", bot.name());
        }
        Ok(Self::new(role.into(), token))
    }
}

impl FromRequestParts<Arc<V1>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &Arc<V1>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, v1).await?;
        caller.must_be_admin().map(|()| Self)
    }
}

impl FromRequestParts<Arc<V1>> for AtBot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, v1: &Arc<V1>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, v1).await?;
        let named = path_part(parts, "bot").await;
        let bot = named.and_then(|named| bot_named(&v1.bots, &named));
        let bot = bot.filter(|bot| caller.may_see(bot));
        let bot = bot.ok_or(Problem::NoSuchBot)?;
        tracing::Span::current().record("bot", bot.name());
        Ok(Self { caller, bot })
    }
}

/// A part of the path, decoded; `None` where it is no UTF-8 and so names nothing.
pub async fn path_part(parts: &mut Parts, name: &str) -> Option<String> {
    let all = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let part = all.iter().find(|(part, _)| *part == name);
    part.map(|(_, value)| value.to_owned())
}

/// A part of the path that is an id; `None` where it is anything else, which names nothing.
pub async fn path_id(parts: &mut Parts, name: &str) -> Option<i64> {
    let id = path_part(parts, name).await?;
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| id.parse().ok())?
}

/// Digits alone are an id, also where a bot's name is digits alone; anything else is a name.
pub(super) fn bot_named(bots: &Bots, named: &str) -> Option<Arc<Bot>> {
    if named.bytes().all(|byte| byte.is_ascii_digit()) {
        bots.by_slot(named.parse().ok()?)
    } else {
        bots.by_name(named)
    }
}

/// The token of the request; `Ok(None)` for what can be no token. Several headers with the same one are fine; where they differ
/// nobody can say who asks.
pub(super) fn sent_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next().ok_or(Problem::NoToken)?;
    if values.any(|other| other != first) {
        return Ok(None);
    }
    let Ok(text) = first.to_str() else {
        return Ok(None);
    };
    // RFC 9110, 11.1: the scheme's case does not matter.
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Problem::NoToken);
    }
    Ok(Some(token.trim()))
}
