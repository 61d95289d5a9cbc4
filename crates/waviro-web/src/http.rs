//! The HTTP parts that all routers share: the caller's address, the reading of bodies, the limits
//! on wrong keys and login attempts, and the wrapper of each request.

mod body;
mod budget;
mod header;
mod login_attempts;
mod origin;
mod proxies;
mod wrong_keys;

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, info_span};

pub use body::{BodyFault, Bounds, read};
pub use header::header;
pub use login_attempts::LoginAttempts;
pub use origin::Origin;
pub use proxies::{Peer, Proxies, behind_proxies, peer};
pub use wrong_keys::WrongKeys;

/// The response header with the request's id, under which the log has the request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id, in the extensions of the request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// A router's type for refusals. Its `IntoResponse` stores the refusal in the response's
/// extensions; [`wrap_request`] takes it out there and writes the final response.
pub trait Refusal: IntoResponse + Clone + Send + Sync + 'static {
    /// The refusal for a failure of the gateway. The log has the cause.
    const INTERNAL: Self;

    /// Returns the stable code, for programs, logs and metrics.
    fn code(&self) -> &'static str;

    /// Returns whether the log already has the refusal, under the request's id.
    fn is_logged(&self) -> bool {
        false
    }
}

/// Runs a request with a request id, turns a panic into a 500, writes a log line and records
/// metrics. `write` builds the response of a refusal from the refusal and the request id.
pub async fn wrap_request<R: Refusal>(
    mut request: Request,
    next: Next,
    write: impl FnOnce(&R, &str) -> Response,
) -> Response {
    let began = Instant::now();
    let id = format!("{:08x}", rand::random::<u32>());
    request.extensions_mut().insert(RequestId(id.clone()));
    let endpoint = request.extensions().get::<MatchedPath>().map_or_else(
        || "none".to_owned(),
        |path| path.as_str().trim_end_matches('/').to_owned(),
    );
    // The handler records the bot after authentication.
    let span = info_span!("request", id, endpoint, bot = tracing::field::Empty);
    let answered = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    // [`waviro_store::panics`] has already logged the panic, within this span.
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
        (Some(refusal), _) if refusal.is_logged() => debug!(status, code, duration_ms, "answered"),
        (Some(_), 500..) => error!(status, code, duration_ms, "failed"),
        (Some(_), _) => info!(status, code, duration_ms, "refused"),
    });
    metrics::counter!("waviro_api_requests_total", "endpoint" => endpoint.clone(), "code" => code)
        .increment(1);
    metrics::histogram!("waviro_api_request_seconds", "endpoint" => endpoint)
        .record(took.as_secs_f64());
    response
}
