//! The user of the login session.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;
use waviro_store::UserRow;

use super::cookies::kept;
use super::errors::PageError;
use super::page_context::PageContext;
use super::state::Dashboard;
use crate::http::RequestId;
use crate::services::Services;
use crate::v1::auth::Caller;

/// Extractor: the logged-in user of a request.
pub(super) struct Me {
    /// The user as a caller of the administration API.
    pub(super) caller: Caller,
    /// The shared data of the user's pages.
    pub(super) context: PageContext,
    pub(super) services: Arc<Services>,
    /// The request's id in the log.
    pub(super) request_id: String,
}

/// The logged-in user, passed from the extractor to the outer layer. An error page of the outer
/// layer shows the menu of the user.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<UserRow>>);

impl Seen {
    fn is(&self, user: &UserRow) {
        self.0.get_or_init(|| user.clone());
    }

    /// Returns the user, if the request has one.
    pub(super) fn user(&self) -> Option<UserRow> {
        self.0.get().cloned()
    }
}

impl FromRequestParts<Arc<Dashboard>> for Me {
    /// The response to a request without a session, or after a failure of the store.
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        dashboard: &Arc<Dashboard>,
    ) -> Result<Self, Response> {
        let Ok(mut context) = PageContext::from_request_parts(parts, dashboard).await;
        let failed = |error| PageError::from(error).into_response();
        let session = kept(&parts.headers);
        let user = match session {
            Some(session) => dashboard.services.users.of(session).await.map_err(failed)?,
            None => None,
        };
        let (Some(session), Some(user)) = (session, user) else {
            let first = !dashboard.services.users.any().await.map_err(failed)?;
            return Err(to_login(&context, first, &parts.uri));
        };
        let caller = Caller::new(user.role.clone().into(), session).logged_in_as(user.id);
        if let Some(seen) = parts.extensions.get::<Seen>() {
            seen.is(&user);
        }
        context.user = Some(user);
        let id = parts.extensions.get::<RequestId>();
        Ok(Self {
            caller,
            context,
            services: Arc::clone(&dashboard.services),
            request_id: id.map(|id| id.0.clone()).unwrap_or_default(),
        })
    }
}

/// Redirects to the login page, with a way back to the requested page.
fn to_login(context: &PageContext, first: bool, uri: &Uri) -> Response {
    if first {
        return Redirect::to(&format!("{}/setup", context.home)).into_response();
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let wanted: String =
        form_urlencoded::byte_serialize(format!("{}{path}", context.home).as_bytes()).collect();
    let login = format!("{}/login?to={wanted}", context.home);
    if context.part {
        // A redirect in place of a part would show the login form inside the page, so htmx gets a
        // header for a full redirect.
        let there = HeaderValue::from_str(&login).unwrap_or(HeaderValue::from_static("/"));
        return ([(HeaderName::from_static("hx-redirect"), there)], "").into_response();
    }
    Redirect::to(&login).into_response()
}
