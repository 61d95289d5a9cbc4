//! The `/api` endpoints of the API document: paths, methods and the common parts of the responses.
//!
//! Each endpoint has a file, except that the group endpoints share the file of the endpoint for
//! persons. The order is the document's order. Both forms of a path (with and without a final
//! slash) are served directly, because a redirect would turn the POST of `curl --location` into a
//! GET. `docs/quirks.md` lists each leniency beyond the document.

pub mod auth;
pub mod body;
pub mod error;
mod form;
pub mod number;
mod reply;
mod send;

mod checknumber;
mod getqr;
mod groups;
mod sendcontact;
mod sendlocation;
mod sendmedia;
mod sendwa;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::ACCEPT_LANGUAGE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Redirect, Response};
use axum::routing::{MethodRouter, get, post};

use crate::http::{self, header};
use crate::services::Services;

use error::{ApiError, Language};
use send::Whom;

/// Returns the router of the endpoints at `/api/…` and, if `base_path` is not empty, also below
/// `base_path`. The root path redirects a browser to the dashboard.
pub fn router(services: Arc<Services>, base_path: &str) -> Router {
    let mut router = Router::new();
    let mut bases = vec![""];
    if !base_path.is_empty() {
        bases.push(base_path);
    }
    for base in bases {
        let dashboard = Redirect::to(&format!("{base_path}/dashboard"));
        let home = get(async move || dashboard).fallback(async || ApiError::NotFound);
        router = router.route(&format!("{base}/"), home);
        for (name, endpoint) in endpoints() {
            router = router
                .route(&format!("{base}/api/{name}"), endpoint.clone())
                .route(&format!("{base}/api/{name}/"), endpoint);
        }
    }
    router
        .fallback(async || ApiError::NotFound)
        .layer(from_fn_with_state(services.body.cap, answer))
        .with_state(services)
}

/// Returns the endpoints' names, in the document's order.
pub fn names() -> impl Iterator<Item = String> {
    endpoints().into_iter().map(|(name, _)| name)
}

fn endpoints() -> Vec<(String, MethodRouter<Arc<Services>>)> {
    let paths = [
        &sendwa::PATH,
        &sendmedia::PATH,
        &sendlocation::PATH,
        &sendcontact::PATH,
    ];
    let sends = [Whom::Person, Whom::Group]
        .into_iter()
        .flat_map(|whom| paths.map(|path| (path.name_to(whom), send::endpoint(path, whom))));
    let asks = [
        ("groups", post(groups::groups)),
        ("getqr", post(getqr::getqr)),
        ("checknumber", post(checknumber::checknumber)),
    ];
    let asks = asks.map(|(name, endpoint)| (name.to_owned(), endpoint));
    sends
        .chain(asks)
        .map(|(name, endpoint)| (name, endpoint.fallback(async || ApiError::MethodNotAllowed)))
        .collect()
}

/// Wraps each request in [`http::wrap_request`] and writes a refusal's sentence in the caller's
/// language.
async fn answer(State(body_cap): State<usize>, request: Request, next: Next) -> Response {
    let language = Language::of(header(request.headers(), &ACCEPT_LANGUAGE));
    http::wrap_request(request, next, |refusal: &ApiError, id| {
        refusal.respond(language, id, body_cap)
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_in_the_apis_shape_with_an_id_and_without_its_text() {
        #[expect(clippy::panic, reason = "the test checks that the panic is caught")]
        async fn broken() {
            panic!("the secret reason");
        }
        let router: Router = Router::new()
            .route("/api/broken", post(broken))
            .layer(from_fn_with_state(1024, answer));
        let request = Request::post("/api/broken").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers()[&http::REQUEST_ID]
            .to_str()
            .unwrap()
            .to_owned();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.contains("\"code\":\"internal\"") && body.contains(&id),
            "{body}"
        );
        assert!(!body.contains("secret reason"), "{body}");
    }
}
