//! The outer layer of all pages: security headers against framing, foreign resources and inline
//! code, and a check that refuses forms from other sites.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::errors::PageError;
use super::page_context::PageContext;
use super::session::Seen;
use super::state::Dashboard;
use crate::http::{self, header};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Middleware: wraps a request in [`http::wrap_request`] and adds the security headers of a page.
pub(super) async fn guard(
    State(dashboard): State<Arc<Dashboard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let context = PageContext::of(&dashboard, request.headers(), request.uri());
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    request.extensions_mut().insert(context.clone());
    let respond = |wrong: &PageError, id: &str| {
        let mut context = context.clone();
        context.user = seen.user();
        wrong.respond(&context, id)
    };
    let own = matches!(*request.method(), Method::GET | Method::HEAD) || is_own(request.headers());
    let mut response = if own {
        http::wrap_request(request, next, &respond).await
    } else {
        respond(&PageError::ForeignForm, "")
    };
    if response.status() == StatusCode::BAD_REQUEST && is_plain(&response) {
        // The path or the query matches no page of the dashboard.
        response = respond(&PageError::Nothing, "");
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns whether axum wrote the response, because a part of the address has a wrong form.
fn is_plain(response: &Response) -> bool {
    header(response.headers(), &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/plain"))
}

/// Returns whether a page of the dashboard sent the form. Every current browser sends at least one
/// of the two headers, so a request without both does not come from a logged-in browser.
fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = header(headers, &FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = header(headers, &ORIGIN) else {
        return false;
    };
    let Some((_, origin)) = origin.split_once("://") else {
        return false;
    };
    [&FORWARDED_HOST, &HOST]
        .into_iter()
        .any(|name| header(headers, name) == Some(origin))
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
    fn only_forms_of_the_dashboards_own_pages_are_accepted() {
        for (own, said) in [
            (true, vec![("sec-fetch-site", "same-origin")]),
            (
                false,
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("host", "a"),
                    ("origin", "http://a"),
                ],
            ),
            (false, vec![("sec-fetch-site", "same-site")]),
            (false, vec![("sec-fetch-site", "none")]),
            (
                true,
                vec![("host", "toko:8080"), ("origin", "http://toko:8080")],
            ),
            (
                true,
                vec![
                    ("host", "127.0.0.1"),
                    ("x-forwarded-host", "toko.id"),
                    ("origin", "https://toko.id"),
                ],
            ),
            (
                false,
                vec![("host", "toko:8080"), ("origin", "http://toko:8081")],
            ),
            (false, vec![("host", "toko"), ("origin", "null")]),
            (false, vec![("host", "toko")]),
        ] {
            assert_eq!(is_own(&headers(&said)), own, "{said:?}");
        }
    }
}
