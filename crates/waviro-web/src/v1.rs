//! `/v1/…`: the administration API for holders of a token, with the usual HTTP methods and status
//! codes.
//!
//! Each resource has a file. An operation is a function over [`Services`], a proof of the caller's
//! permission ([`auth`]) and typed arguments; the dashboard calls the same function. The handler
//! `http_NAME` with `#[utoipa::path]` extracts the arguments of the operation `NAME` and wraps its
//! result. An operation without a page is its own handler `NAME`. A handler takes its arguments in
//! a fixed order: the proof, the id or the page ([`path::PathId`], [`page::Paging`]), the body
//! ([`body::Body`]). The function `routes()` of each file is merged here. The router and the
//! OpenAPI document are built from the same routes, so the two cannot differ.

pub mod auth;
pub mod body;
pub mod fields;
pub mod page;
pub mod path;
pub mod problem;
pub mod query;
pub mod responses;
mod state;
pub mod timestamp;

pub(crate) mod bots;
pub(crate) mod causes;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
mod events;
pub(crate) mod health;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod linking;
mod media;
pub(crate) mod messages;
mod openapi;
pub(crate) mod rules;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod subscriptions;
mod tokens;
pub(crate) mod users;
pub(crate) mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;
use waviro_core::config::Limits;
use waviro_core::permits::Permits;

use crate::http;
use crate::services::Services;

use problem::Problem;
use state::V1;

/// Returns the routes of all resources, in the order of the documentation.
fn resources() -> OpenApiRouter<V1> {
    OpenApiRouter::with_openapi(openapi::begun())
        .merge(bots::routes())
        .merge(linking::routes())
        .merge(keys::routes())
        .merge(settings::routes())
        .merge(messages::routes())
        .merge(secrets::routes())
        .merge(rules::routes())
        .merge(deliveries::routes())
        .merge(endpoints::routes())
        .merge(subscriptions::routes())
        .merge(events::routes())
        .merge(media::routes())
        .merge(tokens::routes())
        .merge(users::routes())
        .merge(openapi::routes())
}

/// Returns the router of the resources at `/v1/…` and, if `base_path` is not empty, also below
/// `base_path`.
pub fn router(services: &Arc<Services>, limits: &Limits, base_path: &str) -> Router {
    let (resources, mut document) = resources().split_for_parts();
    openapi::complete(&mut document);
    let v1 = V1 {
        services: Arc::clone(services),
        streams: Permits::new(limits.streams, limits.streams_per_token),
        streams_for_admins: limits.streams_for_admins,
        document: Arc::new(document),
    };
    let nothing = || any(async || Problem::NotFound);
    let below = resources
        .route("/v1", nothing())
        .route("/v1/", nothing())
        .route("/v1/{*rest}", nothing())
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed);
    let mut router = below.clone();
    if !base_path.is_empty() {
        router = router.nest(base_path, below);
    }
    router
        .layer(from_fn(viewer::conceal))
        .layer(from_fn_with_state(
            Arc::clone(services),
            idempotency::middleware,
        ))
        .layer(from_fn_with_state(services.body.cap, answer))
        .with_state(v1)
}

/// Wraps each request in [`http::wrap_request`] and writes refusals as problem details. Responses
/// can hold keys, so caches must not store any response.
async fn answer(State(body_cap): State<usize>, request: Request, next: Next) -> Response {
    let mut response = http::wrap_request(request, next, |problem: &Problem, id| {
        problem.respond(id, body_cap)
    })
    .await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
