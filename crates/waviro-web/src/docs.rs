//! `/docs`: the documentation of the `/api` endpoints, served by the gateway itself.
//!
//! All pages come from the same catalogue. Samples contain the host of the request, so a copied
//! sample works unchanged.

pub mod catalogue;
mod highlight;
mod openapi;
mod ordered;
mod page;
mod postman;
mod samples;

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing::error;
use url::form_urlencoded;
use waviro_core::config::Config;

use crate::api::error::Language;
use crate::asset::Asset;
use crate::http::Origin;

use page::{Nothing, Page};
pub use samples::{Sample, call as samples_of};

/// The Content-Security-Policy: no foreign resources, no inline code, no framing. A forged host
/// header or a hostile proxy cannot use the page for an attack.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// The request headers that the responses depend on.
const VARIES: &str = "Accept-Language, Host, X-Forwarded-Host, X-Forwarded-Proto";

struct Docs {
    /// The path before `/docs`.
    base: String,
    /// The value of `limits.body_kib`, in bytes.
    body_cap: usize,
    style: Asset,
    /// The page is complete without the script.
    script: Asset,
}

/// Returns the router of the paths below `/docs` and, if `server.base_path` is not empty, also
/// below the base path.
pub fn router(config: &Config) -> Router {
    let mut bases = vec!["", &config.server.base_path];
    bases.dedup();
    let body_cap = usize::try_from(config.limits.body_kib.saturating_mul(1024));
    let mut router = Router::new();
    for base in bases {
        let docs = Docs {
            base: base.to_owned(),
            body_cap: body_cap.unwrap_or(usize::MAX),
            style: Asset::style("docs", include_str!("../assets/docs/docs.css")),
            script: Asset::script("docs", include_str!("../assets/docs/docs.js")),
        };
        let at = |path: &str| format!("{base}/docs{path}");
        let mut below = Router::new()
            .route(&at(""), get(page))
            .route(&at("/"), get(page))
            .route(&at("/openapi.json"), get(describe))
            .route(&at("/postman.json"), get(collect))
            .route(&at("/{*rest}"), get(nothing));
        for asset in [docs.style.clone(), docs.script.clone()] {
            let path = at(&format!("/{}", asset.name));
            below = below.route(&path, get(async move || asset.respond()));
        }
        router = router.merge(below.with_state(Arc::new(docs)));
    }
    router.layer(map_response(guarded))
}

/// The properties of a request that the responses depend on.
struct Reader {
    docs: Arc<Docs>,
    /// The chosen or preferred language.
    language: Language,
    origin: Origin,
    /// The relative path from the page to its files, which works below any path of a proxy.
    beside: &'static str,
}

impl FromRequestParts<Arc<Docs>> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, docs: &Arc<Docs>) -> Result<Self, Infallible> {
        let inside = parts.uri.path().ends_with('/');
        Ok(Self {
            docs: Arc::clone(docs),
            language: language(parts),
            origin: Origin::of(&parts.headers, &docs.base),
            beside: if inside { "" } else { "docs/" },
        })
    }
}

async fn page(reader: Reader) -> Response {
    let catalogue = catalogue::of(reader.language);
    let reader = &reader;
    reader.html(StatusCode::OK, &Page { reader, catalogue })
}

async fn nothing(reader: Reader) -> Response {
    reader.html(StatusCode::NOT_FOUND, &Nothing { reader: &reader })
}

async fn describe(reader: Reader) -> Response {
    let document = openapi::document(reader.language, &reader.origin);
    let document = serde_json::to_string_pretty(&document).unwrap_or_default();
    reader.respond(StatusCode::OK, "application/json", document)
}

async fn collect(reader: Reader) -> Response {
    let document = openapi::document(reader.language, &reader.origin);
    let introduction = &catalogue::of(reader.language).texts.postman;
    let collection = postman::collection(&document, introduction).to_string();
    reader.respond(StatusCode::OK, "application/json", collection)
}

impl Reader {
    fn html(&self, status: StatusCode, page: &impl Template) -> Response {
        match page.render() {
            Ok(text) => self.respond(status, "text/html; charset=utf-8", text),
            Err(cause) => {
                error!(%cause, "documentation page could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Builds a response in the reader's language. Caches must revalidate the response.
    fn respond(&self, status: StatusCode, kind: &'static str, text: String) -> Response {
        let headers = [
            (CONTENT_TYPE, kind),
            (CONTENT_LANGUAGE, self.language.tag()),
            (VARY, VARIES),
            (CACHE_CONTROL, "no-cache"),
        ];
        (status, headers, text).into_response()
    }
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
fn language(parts: &Parts) -> Language {
    let query = parts.uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("lang", "id") => return Language::Indonesian,
            ("lang", "en") => return Language::English,
            _ => {}
        }
    }
    let accept = parts.headers.get(ACCEPT_LANGUAGE);
    Language::of(accept.and_then(|value| value.to_str().ok()))
}
