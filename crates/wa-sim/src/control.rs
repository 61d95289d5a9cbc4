//! The control API: JSON over HTTP on the simulator's port, for tests in other languages and for
//! curl.
//!
//! Every error is `{"error": "a sentence that says what to do"}` with a 4xx status. Two checks keep
//! other web pages out. A simulator on the loopback interface accepts only requests with a loopback
//! `Host`, against DNS rebinding. Every simulator refuses requests from a page of another origin.
//! `docs/simulator.md` describes the endpoints with examples.

mod devices;
mod events;
mod faults;
mod groups;
mod messages;
mod phones;
mod request;
mod send;
mod waiting;
mod wire;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::json;

use crate::base64::encode;
use crate::page;
use crate::sim::Sim;

use request::ApiError;

/// The routes below `/control`.
pub(crate) fn router(is_loopback: bool) -> Router<Sim> {
    let router = Router::new()
        .route("/control/key", get(key))
        .route("/control/ca.pem", get(authority))
        .route("/control/phones", get(phones::list).post(phones::add))
        .route("/control/phones/{number}", patch(phones::change))
        .route("/control/phones/{number}/scan", post(phones::scan))
        .route(
            "/control/phones/{number}/enter-code",
            post(phones::enter_code),
        )
        .route("/control/phones/{number}/messages", get(messages::messages))
        .route(
            "/control/phones/{number}/media/{id}",
            get(messages::media).delete(messages::expire_media),
        )
        .route(
            "/control/phones/{number}/send",
            post(send::send).layer(DefaultBodyLimit::max(send::MAX_BODY)),
        )
        .route("/control/phones/{number}/call", post(send::call))
        .route("/control/phones/{number}/claim", post(send::claim))
        .route("/control/phones/{number}/read", post(phones::read))
        .route(
            "/control/phones/{number}/logout-devices",
            post(phones::logout_devices),
        )
        .route("/control/groups", get(groups::list).post(groups::create))
        .route("/control/groups/{id}", patch(groups::change))
        .route("/control/groups/{id}/members", post(groups::change_members))
        .route("/control/devices", get(devices::list))
        .route("/control/devices/{id}", get(devices::show))
        .route("/control/devices/{id}/drop", post(devices::drop_connection))
        .route("/control/devices/{id}/replace", post(devices::replace))
        .route("/control/devices/{id}/logout", post(devices::logout))
        .route("/control/waiting", get(waiting::list))
        .route("/control/faults", get(faults::show).patch(faults::change))
        .route("/control/events", get(events::stream))
        .route("/control/wire", get(wire::follow))
        .merge(page::router())
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path has no such method; docs/simulator.md lists them",
            )
        })
        .fallback(async || {
            ApiError::not_found("there is no such path; docs/simulator.md lists the paths")
        })
        .layer(middleware::from_fn(only_own_pages));
    if is_loopback {
        router.layer(middleware::from_fn(only_loopback))
    } else {
        router
    }
}

async fn key(State(sim): State<Sim>) -> Json<serde_json::Value> {
    Json(json!({
        "server_key": encode(&sim.server_key()),
        "ws_url": sim.ws_url(),
        "wss_url": sim.wss_url(),
        "ca_certificate": sim.authority(),
        "seed": sim.seed(),
    }))
}

/// Returns the authority's certificate, as a file for the trust store of clients.
async fn authority(State(sim): State<Sim>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "application/x-pem-file")];
    (kind, sim.authority().to_owned())
}

async fn only_loopback(request: Request, next: Next) -> Result<Response, ApiError> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(axum::http::uri::Authority::as_str)
        })
        .unwrap_or_default();
    if is_loopback(host) {
        return Ok(next.run(request).await);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "the Host header must be localhost, 127.0.0.1 or [::1]",
    ))
}

/// Refuses requests from a page of another origin. Without a permission (CORS), such a page can
/// still send a form or plain text, which is enough to change a fault. A browser names the origin
/// of such a request; a program sends no origin.
async fn only_own_pages(request: Request, next: Next) -> Result<Response, ApiError> {
    if is_of_own_page(request.headers()) {
        return Ok(next.run(request).await);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "the request comes from a web page of another origin; send it from the simulator's own page or from a program",
    ))
}

fn is_of_own_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(header::HOST).unwrap_or_default();
    text(header::ORIGIN).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    })
}

fn is_loopback(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split_inclusive(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_hosts_are_served() {
        for host in [
            "localhost",
            "localhost:4000",
            "127.0.0.1:4000",
            "[::1]:4000",
            "[::1]",
            "LOCALHOST",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:4000",
            "localhost.evil.example",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
