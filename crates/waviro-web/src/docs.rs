//! `/docs`: the documentation of the `/api` endpoints, served by the gateway itself.
//!
//! All pages come from the same catalogue. Samples contain the host of the request, so a copied
//! sample works unchanged.

mod assets;
pub mod catalogue;
mod highlight;
mod openapi;
mod origin;
mod page;
mod postman;
mod samples;

use std::sync::Arc;

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tracing::error;
use url::form_urlencoded;
use waviro_core::config::Config;

use crate::api::error::Language;
use crate::asset::Asset;

pub use origin::Origin;
use page::{Nothing, Page, Reader};
pub use samples::{Sample, call as samples_of};

/// The Content-Security-Policy: no foreign resources, no inline code, no framing. A forged host
/// header or a hostile proxy cannot use the page for an attack.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

struct Docs {
    /// The path before `/docs`.
    base: String,
    body_cap: usize,
    style: Asset,
    script: Asset,
}

/// Returns the router of the paths below `/docs` and, if `server.base_path` is not empty, also
/// below the base path.
pub fn router(config: &Config) -> Router {
    let mut bases = vec![""];
    if !config.server.base_path.is_empty() {
        bases.push(&config.server.base_path);
    }
    let body_cap = usize::try_from(config.limits.body_kib.saturating_mul(1024));
    let mut router = Router::new();
    for base in bases {
        let docs = Docs {
            base: base.to_owned(),
            body_cap: body_cap.unwrap_or(usize::MAX),
            style: assets::style(),
            script: assets::script(),
        };
        let at = |path: &str| format!("{base}/docs{path}");
        let (style, script) = (docs.style.clone(), docs.script.clone());
        let below = Router::new()
            .route(&at(""), get(page))
            .route(&at("/"), get(page))
            .route(&at("/openapi.json"), get(describe))
            .route(&at("/postman.json"), get(collect))
            .route(
                &at(&format!("/{}", style.name)),
                get(async move || style.respond()),
            )
            .route(
                &at(&format!("/{}", script.name)),
                get(async move || script.respond()),
            )
            .route(&at("/{*rest}"), get(nothing))
            .with_state(Arc::new(docs));
        router = router.merge(below);
    }
    router.layer(map_response(guarded))
}

async fn page(
    State(docs): State<Arc<Docs>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let language = language(&uri, &headers);
    let reader = Reader {
        language,
        origin: &Origin::of(&headers, &docs.base),
        inside: uri.path().ends_with('/'),
        body_cap: docs.body_cap,
    };
    let page = Page::new(&reader, &docs.style.name, &docs.script.name);
    html(StatusCode::OK, language, &page)
}

async fn describe(
    State(docs): State<Arc<Docs>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let language = language(&uri, &headers);
    let document = openapi::document(language, &Origin::of(&headers, &docs.base));
    let kind = [(CONTENT_TYPE, "application/json")];
    (kind, spoken(language), document).into_response()
}

async fn collect(
    State(docs): State<Arc<Docs>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let language = language(&uri, &headers);
    let collection = postman::collection(language, &Origin::of(&headers, &docs.base));
    (spoken(language), Json(collection)).into_response()
}

async fn nothing(
    State(docs): State<Arc<Docs>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let language = language(&uri, &headers);
    let page = Nothing {
        language,
        docs: format!("{}/docs", docs.base),
    };
    html(StatusCode::NOT_FOUND, language, &page)
}

fn html(status: StatusCode, language: Language, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, spoken(language), text).into_response()
        }
        Err(cause) => {
            error!(%cause, "documentation page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Returns the headers of a response with the language of the reader. Caches must revalidate such a
/// response.
fn spoken(language: Language) -> [(HeaderName, &'static str); 3] {
    [
        (CONTENT_LANGUAGE, language.tag()),
        (
            VARY,
            "Accept-Language, Host, X-Forwarded-Host, X-Forwarded-Proto",
        ),
        (CACHE_CONTROL, "no-cache"),
    ]
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns the language of `?lang=`, or else the browser's preferred language.
fn language(uri: &Uri, headers: &HeaderMap) -> Language {
    let chosen = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "lang")
        .find_map(|(_, value)| match value.as_ref() {
            "id" => Some(Language::Indonesian),
            "en" => Some(Language::English),
            _ => None,
        });
    chosen.unwrap_or_else(|| {
        let accept = headers.get(ACCEPT_LANGUAGE);
        Language::of(accept.and_then(|value| value.to_str().ok()))
    })
}
