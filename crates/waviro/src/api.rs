//! The WAVIRO API as the user's document describes it: paths, methods, and what every answer has in common.
//!
//! One file for each endpoint, in the document's order. Both forms of a path are served directly: a redirect would turn
//! the POST of `curl --location` into a GET. What the gateway tolerates beyond the document is in `docs/quirks.md`.

pub mod auth;
pub mod body;
pub mod error;
mod reply;
mod send;

mod checknumber;
mod getqr;
mod groups;
mod sendcontact;
mod sendlocation;
mod sendmedia;
mod sendwa;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, HeaderName, HeaderValue};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span};

use crate::bots::Bots;
use crate::clock::Clock;
use crate::config::Limits;
use crate::net::Net;
use crate::outbox::Outbox;

use auth::WrongKeys;
use error::{ApiError, Language};

/// What the endpoints work with.
pub struct Api {
    bots: Bots,
    outbox: Outbox,
    net: Net,
    clock: Clock,
    wrong_keys: WrongKeys,
    body_cap: usize,
    body_within: Duration,
    qr_within: Duration,
    stop: CancellationToken,
}

/// Who is at the other end of the connection; the listener puts it into each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Api {
    /// `stop` ends what waits: a QR code that has not come yet.
    #[must_use]
    pub fn new(
        bots: Bots,
        outbox: Outbox,
        net: Net,
        clock: Clock,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Self {
        Self {
            bots,
            outbox,
            net,
            wrong_keys: WrongKeys::new(limits.wrong_keys_per_minute, clock.clone()),
            clock,
            body_cap: usize::try_from(limits.body_kib.saturating_mul(1024)).unwrap_or(usize::MAX),
            body_within: Duration::from_secs(limits.read_timeout_s),
            qr_within: Duration::from_secs(limits.qr_wait_s),
            stop,
        }
    }
}

/// The endpoints at `/api/…` and, where `base_path` is not empty, below it too.
pub fn router(api: Arc<Api>, base_path: &str) -> Router {
    let mut router = Router::new();
    let mut bases = vec![""];
    if !base_path.is_empty() {
        bases.push(base_path);
    }
    for base in bases {
        for (name, endpoint) in endpoints() {
            router = router
                .route(&format!("{base}/api/{name}"), endpoint.clone())
                .route(&format!("{base}/api/{name}/"), endpoint);
        }
    }
    router
        .fallback(async || ApiError::NotFound)
        .layer(from_fn_with_state(api.body_cap, answer))
        .with_state(api)
}

/// The endpoints' names, in the document's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    endpoints().into_iter().map(|(name, _)| name)
}

fn endpoints() -> [(&'static str, MethodRouter<Arc<Api>>); 11] {
    [
        ("sendwa", only_post(post(sendwa::sendwa))),
        ("sendmedia", only_post(post(sendmedia::sendmedia))),
        ("sendlocation", only_post(post(sendlocation::sendlocation))),
        ("sendcontact", only_post(post(sendcontact::sendcontact))),
        ("sendwatogroup", only_post(post(sendwa::sendwatogroup))),
        (
            "sendmediatogroup",
            only_post(post(sendmedia::sendmediatogroup)),
        ),
        (
            "sendlocationtogroup",
            only_post(post(sendlocation::sendlocationtogroup)),
        ),
        (
            "sendcontacttogroup",
            only_post(post(sendcontact::sendcontacttogroup)),
        ),
        ("groups", only_post(post(groups::groups))),
        ("getqr", only_post(post(getqr::getqr))),
        ("checknumber", only_post(post(checknumber::checknumber))),
    ]
}

fn only_post(endpoint: MethodRouter<Arc<Api>>) -> MethodRouter<Arc<Api>> {
    endpoint.fallback(async || ApiError::MethodNotAllowed)
}

/// Around every request: an id, the error's sentence in the caller's language, a panic as a 500, one log line, metrics.
async fn answer(State(body_cap): State<usize>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = format!("{:08x}", rand::random::<u32>());
    let language = Language::of(header(request.headers(), &ACCEPT_LANGUAGE));
    let endpoint = request.extensions().get::<MatchedPath>().map_or_else(
        || "none".to_owned(),
        |path| path.as_str().trim_end_matches('/').to_owned(),
    );
    // The bot is filled in once its key is known.
    let span = info_span!("request", id, endpoint, bot = tracing::field::Empty);
    let answered = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let mut response = answered.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        span.in_scope(|| error!(cause = text.unwrap_or("?"), "an endpoint panicked"));
        ApiError::Internal.into_response()
    });
    let refusal = response.extensions_mut().remove::<ApiError>();
    let code = refusal.as_ref().map_or("ok", ApiError::code);
    if let Some(refusal) = &refusal {
        response = refusal.respond(language, &id, body_cap);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let duration_ms = took.as_millis();
    span.in_scope(|| match (&refusal, status) {
        (None, _) => debug!(status, duration_ms, "answered"),
        (Some(_), 500..) => error!(status, code, duration_ms, "failed"),
        (Some(_), _) => info!(status, code, duration_ms, "refused"),
    });
    metrics::counter!("waviro_api_requests_total", "endpoint" => endpoint.clone(), "code" => code)
        .increment(1);
    metrics::histogram!("waviro_api_request_seconds", "endpoint" => endpoint)
        .record(took.as_secs_f64());
    response
}

/// A header as text; what is no text is not there.
fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The caller's address; tests that have no connection share one.
fn peer(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_in_the_apis_shape_with_an_id_and_without_its_text() {
        #[expect(clippy::panic, reason = "this is what is caught")]
        async fn broken() {
            panic!("the secret reason");
        }
        let router: Router = Router::new()
            .route("/api/broken", post(broken))
            .layer(from_fn_with_state(1024, answer));
        let request = Request::post("/api/broken").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers()[&REQUEST_ID].to_str().unwrap().to_owned();
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
