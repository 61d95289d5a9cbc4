//! The ways in: the first user's one-time link, logging in, logging out.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use rand::Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::Shared;
use super::form::Form;
use super::frame::{Frame, back_to};
use super::session::{forget, keep, kept};
use super::wrong::Wrong;
use crate::door;
use crate::store::UserRole;
use crate::users::UserError;

/// The secret in the link by which the first user is made. It is made anew at each start, and opens nothing once there is a user.
#[derive(Clone, Default)]
pub struct Setup(Arc<Mutex<Option<[u8; 32]>>>);

#[derive(Template)]
#[template(path = "dashboard/login.html")]
struct Login<'p> {
    frame: Frame,
    to: &'p str,
    name: &'p str,
    wrong: Option<Failed>,
}

#[derive(Template)]
#[template(path = "dashboard/setup.html")]
struct FirstUser<'p> {
    frame: Frame,
    token: &'p str,
    name: &'p str,
    wrong: Option<Failed>,
}

/// Why somebody is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// Name or password.
    Wrong,
    /// Too many tries.
    TooMany,
    /// Too many passwords are being checked.
    Busy,
    /// The link's secret.
    BadLink,
    /// What was chosen.
    BadName,
    /// The same.
    BadPassword,
    /// The two passwords differ.
    Differ,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    to: String,
    #[serde(default)]
    token: String,
}

impl Setup {
    /// A fresh secret, for the link that is shown to whoever started the gateway.
    #[must_use]
    pub fn secret(&self) -> String {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        let secret = hex::encode(bytes);
        *self.lock() = Some(Sha256::digest(&secret).into());
        secret
    }

    /// Whether this is it. Hashes are compared, so that the time of it tells nothing of the secret.
    fn is(&self, secret: &str) -> bool {
        let known = *self.lock();
        known == Some(Sha256::digest(secret).into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form.
pub(super) async fn ask(
    State(shared): State<Arc<Shared>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Wrong> {
    if !shared.users.any().await.map_err(|_| Wrong::Internal)? {
        return Ok(Redirect::to(&format!("{}/setup", frame.home)).into_response());
    }
    let page = Login {
        frame: frame.clone(),
        to: &asked.to,
        name: "",
        wrong: None,
    };
    Ok(frame.show(StatusCode::OK, &page))
}

/// Name and password.
pub(super) async fn log_in(
    State(shared): State<Arc<Shared>>,
    Caller(from): Caller,
    frame: Frame,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Wrong> {
    let name = form.get("name").unwrap_or_default();
    // Right ones are counted too: to find out what a password is costs more than the answer is worth to a stranger.
    let wrong = if shared.tries.count(from, name) {
        match shared.users.log_in(from, name, form.raw("password")).await {
            Ok(Some(session)) => {
                info!(user = name, "logged in");
                let back = back_to(&shared, form.get("to"));
                let cookie = [(SET_COOKIE, keep(&session, &headers, &shared.base))];
                return Ok((AppendHeaders(cookie), Redirect::to(&back)).into_response());
            }
            Ok(None) => {
                warn!("somebody gave a wrong name or password to the dashboard");
                Failed::Wrong
            }
            Err(UserError::Busy) => Failed::Busy,
            Err(_) => return Err(Wrong::Internal),
        }
    } else {
        Failed::TooMany
    };
    let page = Login {
        frame: frame.clone(),
        to: form.get("to").unwrap_or_default(),
        name,
        wrong: Some(wrong),
    };
    Ok(wrong.on(frame.show(wrong.status(), &page)))
}

/// Ends the session.
pub(super) async fn log_out(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    if let Some(session) = kept(&headers) {
        let done = shared.users.log_out(session).await;
        done.map_err(|_| Wrong::Internal)?;
    }
    let cookies = forget(&shared.base).map(|cookie| (SET_COOKIE, cookie));
    let login = format!("{}/dashboard/login", shared.base);
    Ok((AppendHeaders(cookies), Redirect::to(&login)).into_response())
}

/// The first user's form, where the link is right.
pub(super) async fn set_up(
    State(shared): State<Arc<Shared>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Wrong> {
    if shared.users.any().await.map_err(|_| Wrong::Internal)? {
        return Ok(Redirect::to(&format!("{}/login", frame.home)).into_response());
    }
    let wrong = (!shared.setup.is(&asked.token)).then_some(Failed::BadLink);
    let page = FirstUser {
        frame: frame.clone(),
        token: &asked.token,
        name: "admin",
        wrong,
    };
    let status = wrong.map_or(StatusCode::OK, Failed::status);
    Ok(frame.show(status, &page))
}

/// Makes the first user and lets them in.
pub(super) async fn make_first(
    State(shared): State<Arc<Shared>>,
    Caller(from): Caller,
    frame: Frame,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Wrong> {
    let (token, name) = (form.raw("token"), form.get("name").unwrap_or_default());
    let password = form.raw("password");
    let made = if !shared.tries.count(from, "") {
        Err(Failed::TooMany)
    } else if !shared.setup.is(token) {
        Err(Failed::BadLink)
    } else if password != form.raw("again") {
        Err(Failed::Differ)
    } else {
        match shared
            .users
            .add(name, password, UserRole::Admin, true)
            .await
        {
            Ok(user) => Ok(user),
            Err(UserError::BadName) => Err(Failed::BadName),
            Err(UserError::BadPassword) => Err(Failed::BadPassword),
            Err(UserError::Busy) => Err(Failed::Busy),
            Err(UserError::NotFirst | UserError::NameTaken) => {
                return Ok(Redirect::to(&format!("{}/login", frame.home)).into_response());
            }
            Err(_) => return Err(Wrong::Internal),
        }
    };
    match made {
        Ok(user) => {
            info!(user = user.name, "the first user of the dashboard was made");
            let session = shared.users.begin(user.id).await;
            let session = session.map_err(|_| Wrong::Internal)?;
            let cookie = [(SET_COOKIE, keep(&session, &headers, &shared.base))];
            Ok((AppendHeaders(cookie), Redirect::to(&frame.home)).into_response())
        }
        Err(wrong) => {
            let page = FirstUser {
                frame: frame.clone(),
                token,
                name,
                wrong: Some(wrong),
            };
            Ok(wrong.on(frame.show(wrong.status(), &page)))
        }
    }
}

/// The address that a request comes from.
pub(super) struct Caller(pub(super) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(door::peer(&parts.extensions)))
    }
}

impl Failed {
    fn status(self) -> StatusCode {
        match self {
            Self::Wrong | Self::BadLink => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadName | Self::BadPassword | Self::Differ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The page's answer, with the seconds after which another try makes sense.
    fn on(self, mut page: Response) -> Response {
        let after = match self {
            Self::TooMany => Some("60"),
            Self::Busy => Some("1"),
            _ => None,
        };
        if let Some(after) = after {
            let headers = page.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        }
        page
    }
}
