//! Login sessions: a cookie hidden from scripts and from other sites, and the user of the session.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;
use waviro_core::users::LIVES;
use waviro_store::UserRow;

use super::Dashboard;
use super::errors::PageError;
use super::page_context::{PageContext, cookies};
use crate::http::{RequestId, header};
use crate::services::Services;
use crate::v1::auth::Caller;

static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The cookie over TLS. The prefix `__Host-` makes the browser accept the cookie only for the same
/// host and the path `/`.
const SECURE: &str = "__Host-waviro";

/// The cookie without TLS: on the same machine, or inside a network whose owner accepts plain HTTP.
const PLAIN: &str = "waviro_session";

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

/// The response to a request without a session, or after a failure of the store.
pub(super) struct NotIn(Response);

impl IntoResponse for NotIn {
    fn into_response(self) -> Response {
        self.0
    }
}

impl FromRequestParts<Arc<Dashboard>> for Me {
    type Rejection = NotIn;

    async fn from_request_parts(
        parts: &mut Parts,
        dashboard: &Arc<Dashboard>,
    ) -> Result<Self, NotIn> {
        let Ok(mut context) = PageContext::from_request_parts(parts, dashboard).await;
        let failed = |_| NotIn(PageError::Internal.into_response());
        let session = kept(&parts.headers);
        let user = match session {
            Some(session) => dashboard.services.users.of(session).await.map_err(failed)?,
            None => None,
        };
        let (Some(session), Some(user)) = (session, user) else {
            let first = !dashboard.services.users.any().await.map_err(failed)?;
            return Err(NotIn(to_login(&context, first, &parts.uri)));
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

/// Returns the session in the cookie. Over TLS, only the secure cookie counts, because no other
/// host and no request without TLS can set that cookie. Otherwise a page on a neighbouring host, or
/// an attacker on the network, could log the browser in as a user of the attacker's choice.
pub(super) fn kept(headers: &HeaderMap) -> Option<&str> {
    let secure = cookie(headers, SECURE);
    if is_secure(headers) {
        return secure;
    }
    secure.or_else(|| cookie(headers, PLAIN))
}

/// Returns the cookie with the given name.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies(headers).find_map(|(known, value)| (known == name).then_some(value))
}

/// Returns the `Set-Cookie` header that stores a session in the browser.
pub(super) fn keep(session: &str, headers: &HeaderMap, base: &str) -> String {
    let lives = LIVES.as_secs();
    if is_secure(headers) {
        format!("{SECURE}={session}; Path=/; Max-Age={lives}; HttpOnly; Secure; SameSite=Lax")
    } else {
        format!("{PLAIN}={session}; Path={base}/; Max-Age={lives}; HttpOnly; SameSite=Lax")
    }
}

/// Returns the `Set-Cookie` headers that remove the session under both names.
pub(super) fn forget(base: &str) -> [String; 2] {
    [
        format!("{SECURE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"),
        format!("{PLAIN}=; Path={base}/; Max-Age=0; HttpOnly; SameSite=Lax"),
    ]
}

/// Returns whether the browser used TLS, which ends at a proxy. In a chain of proxies, the first
/// value comes from the proxy next to the browser.
fn is_secure(headers: &HeaderMap) -> bool {
    let said = header(headers, &FORWARDED_PROTO).unwrap_or_default();
    let first = said.split(',').next().unwrap_or_default();
    first.trim().eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn over_tls_only_the_host_prefixed_cookie_is_accepted() {
        const BOTH: &str = "waviro_session=planted; __Host-waviro=own";
        for (proto, cookies, session) in [
            ("https", BOTH, Some("own")),
            ("https", "waviro_session=planted", None),
            ("HTTPS", "waviro_session=planted", None),
            ("https, http", "waviro_session=planted", None),
            ("https", "__Host-waviro=own", Some("own")),
            ("http", "waviro_session=own", Some("own")),
            ("http", BOTH, Some("own")),
            ("", "waviro_session=own", Some("own")),
        ] {
            let said = headers(&[("x-forwarded-proto", proto), ("cookie", cookies)]);
            assert_eq!(kept(&said), session, "{proto} {cookies}");
        }
        assert_eq!(
            kept(&headers(&[("cookie", "waviro_session=own")])),
            Some("own")
        );
    }

    #[test]
    fn a_session_started_over_tls_uses_the_host_prefixed_cookie() {
        let session = "0".repeat(64);
        for proto in ["https", "HTTPS", "https, http"] {
            let said = headers(&[("x-forwarded-proto", proto)]);
            assert!(keep(&session, &said, "/wa").starts_with("__Host-waviro="));
        }
        assert!(keep(&session, &HeaderMap::new(), "/wa").starts_with("waviro_session="));
    }
}
