//! Who is logged in: a cookie that no script sees and no other site sends, and the user behind it.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;

use super::Shared;
use super::frame::{Frame, cookies};
use super::wrong::Wrong;
use crate::door::header;
use crate::store::UserRow;
use crate::users::{LIVES, Session};
use crate::v1::auth::Caller;

static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Over TLS: the browser itself sees to it that no other host and no other path set it.
const SECURE: &str = "__Host-waviro";

/// Where the gateway is reached without TLS: on this machine, or within a network whose owner wants it so.
const PLAIN: &str = "waviro_session";

/// The user that a request comes from.
pub(super) struct Me {
    /// What the administration API knows it as.
    pub(super) caller: Caller,
    /// What stands around its pages.
    pub(super) frame: Frame,
}

/// Who was found to be logged in, for what stands around the handlers: a page that says why there is no other has its menu too.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<UserRow>>);

impl Seen {
    fn is(&self, user: &UserRow) {
        self.0.get_or_init(|| user.clone());
    }

    /// The user, where there was one.
    pub(super) fn user(&self) -> Option<UserRow> {
        self.0.get().cloned()
    }
}

/// A request without a session, or one that the API cannot answer for a page.
pub(super) struct NotIn(Response);

impl IntoResponse for NotIn {
    fn into_response(self) -> Response {
        self.0
    }
}

impl FromRequestParts<Arc<Shared>> for Me {
    type Rejection = NotIn;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, NotIn> {
        let Ok(mut frame) = Frame::from_request_parts(parts, shared).await;
        let failed = |_| NotIn(Wrong::Internal.into_response());
        let session = kept(&parts.headers);
        let user = match session {
            Some(session) => shared.users.of(session).await.map_err(failed)?,
            None => None,
        };
        let (Some(session), Some(user)) = (session, user) else {
            let first = !shared.users.any().await.map_err(failed)?;
            return Err(NotIn(to_the_door(&frame, first, &parts.uri)));
        };
        let caller = Caller::new(user.role.clone().into(), session).logged_in_as(user.id);
        if let Some(seen) = parts.extensions.get::<Seen>() {
            seen.is(&user);
        }
        frame.user = Some(user);
        Ok(Self { caller, frame })
    }
}

/// To the page where one logs in, and from there back to where one wanted to be.
fn to_the_door(frame: &Frame, first: bool, uri: &Uri) -> Response {
    if first {
        return Redirect::to(&format!("{}/setup", frame.home)).into_response();
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let wanted: String =
        form_urlencoded::byte_serialize(format!("{}{path}", frame.home).as_bytes()).collect();
    let login = format!("{}/login?to={wanted}", frame.home);
    if frame.part {
        // A part of a page in place of itself would be a login within a page.
        let there = HeaderValue::from_str(&login).unwrap_or(HeaderValue::from_static("/"));
        return ([(HeaderName::from_static("hx-redirect"), there)], "").into_response();
    }
    Redirect::to(&login).into_response()
}

/// The session that the browser keeps. Over TLS only the cookie counts that no other host and no request without TLS can set: a
/// neighbour's page or somebody on the way could otherwise log the browser in as a user of their choice.
pub(super) fn kept(headers: &HeaderMap) -> Option<&str> {
    let secure = cookie(headers, SECURE);
    if is_secure(headers) {
        return secure;
    }
    secure.or_else(|| cookie(headers, PLAIN))
}

/// A cookie of this name.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies(headers).find_map(|(known, value)| (known == name).then_some(value))
}

/// Has the browser keep a session.
pub(super) fn keep(session: &Session, headers: &HeaderMap, base: &str) -> String {
    let (text, lives) = (session.reveal(), LIVES.as_secs());
    if is_secure(headers) {
        format!("{SECURE}={text}; Path=/; Max-Age={lives}; HttpOnly; Secure; SameSite=Lax")
    } else {
        format!("{PLAIN}={text}; Path={base}/; Max-Age={lives}; HttpOnly; SameSite=Lax")
    }
}

/// Has the browser forget it, under both names.
pub(super) fn forget(base: &str) -> [String; 2] {
    [
        format!("{SECURE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"),
        format!("{PLAIN}=; Path={base}/; Max-Age=0; HttpOnly; SameSite=Lax"),
    ]
}

/// Whether the browser came over TLS, which ends at a proxy. Of a chain of proxies the first one knows.
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
    fn over_tls_only_the_cookie_that_no_other_host_can_set_counts() {
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
    fn a_session_that_begins_over_tls_is_kept_in_the_cookie_that_counts_there() {
        let session = Session::sample();
        for proto in ["https", "HTTPS", "https, http"] {
            let said = headers(&[("x-forwarded-proto", proto)]);
            assert!(keep(&session, &said, "/wa").starts_with("__Host-waviro="));
        }
        assert!(keep(&session, &HeaderMap::new(), "/wa").starts_with("waviro_session="));
    }
}
