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
        let caller = Caller::new(user.role.clone().into(), session);
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

/// The session that the browser keeps.
pub(super) fn kept(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SECURE).or_else(|| cookie(headers, PLAIN))
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

/// Whether the browser came over TLS, which ends at a proxy.
fn is_secure(headers: &HeaderMap) -> bool {
    header(headers, &FORWARDED_PROTO) == Some("https")
}
