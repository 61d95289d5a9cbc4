//! What every door for requests has in common: who is at the other end, how a body is read, how wrong keys and attempts to log in
//! are counted, and the frame around each request.

mod body;
mod budget;
mod login_attempts;
mod permits;
mod proxies;
mod wrong_keys;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, info_span};

pub use body::{BodyFault, Bounds, read};
pub use login_attempts::LoginAttempts;
pub use permits::{NoPermit, Permit, Permits};
pub use proxies::{Proxies, behind_proxies};
pub use wrong_keys::WrongKeys;

/// The caller: the listener puts the other end of the connection into each request, and [`behind_proxies`] puts the caller of
/// a trusted proxy in its place.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Finds a request in the log.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A door's way to say no. Its `IntoResponse` puts it into the response's extensions, and [`frame`] takes it out and writes
/// what the caller reads.
pub trait Refusal: IntoResponse + Clone + Send + Sync + 'static {
    /// Our fault; the log says more.
    const INTERNAL: Self;

    /// The stable code, for programs, logs and metrics.
    fn code(&self) -> &'static str;
}

/// Around every request: an id, a panic as a 500, one log line, metrics. `write` makes the answer of a refusal; it is given the
/// request's id.
pub async fn frame<R: Refusal>(
    request: Request,
    next: Next,
    write: impl FnOnce(&R, &str) -> Response,
) -> Response {
    let began = Instant::now();
    let id = format!("{:08x}", rand::random::<u32>());
    let endpoint = request.extensions().get::<MatchedPath>().map_or_else(
        || "none".to_owned(),
        |path| path.as_str().trim_end_matches('/').to_owned(),
    );
    // The bot is filled in once it is known who asks.
    let span = info_span!("request", id, endpoint, bot = tracing::field::Empty);
    let answered = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    // The panic is in the log already ([`crate::telemetry::panics`]), with this span.
    let mut response = answered.unwrap_or_else(|_| R::INTERNAL.into_response());
    let refusal = response.extensions_mut().remove::<R>();
    let code = refusal.as_ref().map_or("ok", R::code);
    if let Some(refusal) = &refusal {
        response = write(refusal, &id);
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
#[must_use]
pub fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The caller's address; tests that have no connection share one.
#[must_use]
pub fn peer(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}
