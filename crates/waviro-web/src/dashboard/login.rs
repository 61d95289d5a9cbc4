//! The pages to log in, to log out, and to create the first user with a one-time link.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tracing::{info, warn};
use waviro_core::users::UserError;
use waviro_store::UserRole;

use super::cookies::{forget, kept, logged_in};
use super::errors::PageError;
use super::form::Form;
use super::page_context::{PageContext, back_to};
use super::state::Dashboard;
use crate::http;

#[derive(Template)]
#[template(path = "dashboard/login.html")]
struct Login<'p> {
    context: PageContext,
    to: &'p str,
    name: &'p str,
    wrong: Option<Failed>,
}

#[derive(Template)]
#[template(path = "dashboard/setup.html")]
struct FirstUser<'p> {
    context: PageContext,
    token: &'p str,
    name: &'p str,
    wrong: Option<Failed>,
}

/// The reasons for which a login, a setup or a change of the own password failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The name or the password, or the old password, is wrong.
    Wrong,
    /// The address made too many attempts.
    TooMany,
    /// The gateway is hashing too many passwords.
    Busy,
    /// The secret in the link is wrong.
    BadLink,
    /// The chosen name is not allowed.
    BadName,
    /// The chosen password is not allowed.
    BadPassword,
    /// The two passwords differ.
    Differ,
}

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    to: String,
    #[serde(default)]
    token: String,
}

/// Shows the login form.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    context: PageContext,
    Query(asked): Query<LoginQuery>,
) -> Result<Response, PageError> {
    if !dashboard.services.users.any().await? {
        return Ok(Redirect::to(&format!("{}/setup", context.home)).into_response());
    }
    let page = Login {
        context: context.clone(),
        to: &asked.to,
        name: "",
        wrong: None,
    };
    Ok(context.show(StatusCode::OK, &page))
}

/// Checks the name and the password.
pub(super) async fn log_in(
    State(dashboard): State<Arc<Dashboard>>,
    Caller(from): Caller,
    context: PageContext,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let name = form.get("name").unwrap_or_default();
    // Right passwords are counted too, which makes guessing a password too slow to be useful.
    let wrong = if dashboard.tries.count(from, name) {
        match dashboard
            .services
            .users
            .log_in(from, name, form.raw("password"))
            .await
        {
            Ok(Some(session)) => {
                info!(user = name, "logged in");
                let back = back_to(&dashboard, form.get("to"));
                return Ok(logged_in(&session, &headers, &dashboard.base, &back));
            }
            Ok(None) => {
                warn!("login to the dashboard failed: wrong name or password");
                Failed::Wrong
            }
            Err(UserError::Busy) => Failed::Busy,
            Err(_) => return Err(PageError::Internal),
        }
    } else {
        Failed::TooMany
    };
    let page = Login {
        context: context.clone(),
        to: form.get("to").unwrap_or_default(),
        name,
        wrong: Some(wrong),
    };
    Ok(wrong.on(context.show(wrong.status(), &page)))
}

/// Ends the session.
pub(super) async fn log_out(
    State(dashboard): State<Arc<Dashboard>>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    if let Some(session) = kept(&headers) {
        dashboard.services.users.log_out(session).await?;
    }
    let cookies = forget(&dashboard.base).map(|cookie| (SET_COOKIE, cookie));
    let login = format!("{}/dashboard/login", dashboard.base);
    Ok((AppendHeaders(cookies), Redirect::to(&login)).into_response())
}

/// Shows the form for the first user, if the link is valid.
pub(super) async fn set_up(
    State(dashboard): State<Arc<Dashboard>>,
    context: PageContext,
    Query(asked): Query<LoginQuery>,
) -> Result<Response, PageError> {
    if dashboard.services.users.any().await? {
        return Ok(Redirect::to(&format!("{}/login", context.home)).into_response());
    }
    let wrong = (!dashboard.setup.is(&asked.token)).then_some(Failed::BadLink);
    let page = FirstUser {
        context: context.clone(),
        token: &asked.token,
        name: "admin",
        wrong,
    };
    let status = wrong.map_or(StatusCode::OK, Failed::status);
    Ok(context.show(status, &page))
}

/// Creates the first user and logs the user in.
pub(super) async fn create_first_user(
    State(dashboard): State<Arc<Dashboard>>,
    Caller(from): Caller,
    context: PageContext,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let (token, name) = (form.raw("token"), form.get("name").unwrap_or_default());
    let password = form.raw("password");
    let made = if !dashboard.tries.count(from, "") {
        Err(Failed::TooMany)
    } else if !dashboard.setup.is(token) {
        Err(Failed::BadLink)
    } else if password != form.raw("again") {
        Err(Failed::Differ)
    } else {
        match dashboard
            .services
            .users
            .add(name, password, UserRole::Admin, true)
            .await
        {
            Ok(user) => Ok(user),
            Err(UserError::BadName) => Err(Failed::BadName),
            Err(UserError::BadPassword) => Err(Failed::BadPassword),
            Err(UserError::Busy) => Err(Failed::Busy),
            Err(UserError::NotFirst | UserError::NameTaken) => {
                return Ok(Redirect::to(&format!("{}/login", context.home)).into_response());
            }
            Err(_) => return Err(PageError::Internal),
        }
    };
    match made {
        Ok(user) => {
            info!(user = user.name, "first user of the dashboard created");
            let session = dashboard.services.users.begin(user.id).await?;
            let (base, home) = (&dashboard.base, &context.home);
            Ok(logged_in(&session, &headers, base, home))
        }
        Err(wrong) => {
            let page = FirstUser {
                context: context.clone(),
                token,
                name,
                wrong: Some(wrong),
            };
            Ok(wrong.on(context.show(wrong.status(), &page)))
        }
    }
}

/// Extractor: the address of the request.
pub(super) struct Caller(pub(super) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(http::peer(&parts.extensions)))
    }
}

impl Failed {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Wrong | Self::BadLink => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadName | Self::BadPassword | Self::Differ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Adds the seconds after which a retry can succeed to the page's response.
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
