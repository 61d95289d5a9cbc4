//! `/docs`: the documentation of the API, served by the gateway itself.
//!
//! Everything on it is made from one catalogue, and shows the host that was asked, so that what is copied from it works.

pub mod catalogue;
mod openapi;
mod origin;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::api::error::Language;

use origin::Origin;

/// What the reader chose.
#[derive(Debug, Default, Deserialize)]
struct Choice {
    lang: Option<String>,
}

/// The paths below `/docs` and, where `base_path` is not empty, below it too.
pub fn router(base_path: &str) -> Router {
    let mut router = Router::new();
    let mut bases = vec![String::new()];
    if !base_path.is_empty() {
        bases.push(base_path.to_owned());
    }
    for base in bases {
        let docs = Router::new()
            .route(&format!("{base}/docs/openapi.json"), get(describe))
            .with_state(base);
        router = router.merge(docs);
    }
    router
}

async fn describe(
    State(base): State<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Response {
    let document = openapi::document(language(&choice, &headers), &Origin::of(&headers, &base));
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (VARY, "Accept-Language"),
    ];
    (headers, document).into_response()
}

/// The one that was chosen, else the one that the browser prefers.
fn language(choice: &Choice, headers: &HeaderMap) -> Language {
    match choice.lang.as_deref() {
        Some("id") => Language::Indonesian,
        Some("en") => Language::English,
        _ => Language::of(
            headers
                .get(ACCEPT_LANGUAGE)
                .and_then(|value| value.to_str().ok()),
        ),
    }
}
