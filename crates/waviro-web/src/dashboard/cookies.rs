//! The cookies of the dashboard: the login session, hidden from scripts and from other sites, the
//! language and the theme.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use waviro_core::users::{LIVES, Session};

use crate::http::header;

static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The cookie over TLS. The prefix `__Host-` makes the browser accept the cookie only for the same
/// host and the path `/`.
const SECURE: &str = "__Host-waviro";

/// The cookie without TLS: on the same machine, or inside a network whose owner accepts plain HTTP.
const PLAIN: &str = "waviro_session";

/// The cookie with the language.
pub(super) const LANGUAGE: &str = "waviro_lang";

/// The cookie with the theme.
pub(super) const THEME: &str = "waviro_theme";

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

/// Redirects a browser, which stores the new session.
pub(super) fn logged_in(session: &Session, headers: &HeaderMap, base: &str, to: &str) -> Response {
    let cookie = [(SET_COOKIE, keep(session.reveal(), headers, base))];
    (AppendHeaders(cookie), Redirect::to(to)).into_response()
}

/// Returns the `Set-Cookie` header that stores a session in the browser.
fn keep(session: &str, headers: &HeaderMap, base: &str) -> String {
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

/// Returns the names and values of all cookies of a request.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
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
