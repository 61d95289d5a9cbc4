//! `/v1/…`: the administration API, with proper verbs and status codes, for whoever holds a token.
//!
//! One file for each resource: handlers with `#[utoipa::path]`, and a `routes()` that is merged here. The router and the OpenAPI
//! document are made from the same lines, so neither can have what the other has not. A handler takes, in this order, who asks
//! ([`auth::Caller`], [`auth::Admin`] or [`auth::AtBot`]), which page ([`page::Paging`]), and what ([`body::Body`]); it answers with
//! a type that has a schema, or a [`problem::Problem`].

pub mod answers;
pub mod auth;
pub mod body;
pub mod moment;
pub mod page;
pub mod problem;

mod bots;
mod health;
mod keys;
mod linking;
mod once;
mod openapi;
mod settings;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::bots::{Bots, Profiles};
use crate::clock::Clock;
use crate::config::Limits;
use crate::door::{self, Bounds, WrongKeys};
use crate::once::Once;
use crate::store::Store;
use crate::tokens::Tokens;

use problem::Problem;

/// What the resources work with.
pub struct V1 {
    store: Store,
    bots: Bots,
    tokens: Tokens,
    clock: Clock,
    profiles: Profiles,
    once: Once,
    /// Held while a bot's settings are changed.
    settings: Mutex<()>,
    wrong_keys: Arc<WrongKeys>,
    body: Bounds,
    qr_within: Duration,
    /// Work that must not end with the request that began it.
    tasks: TaskTracker,
    stop: CancellationToken,
    document: OpenApi,
}

impl V1 {
    /// `wrong_keys` counts for every door; what must outlive its request runs on `tasks`; `stop` ends what waits.
    #[must_use]
    pub fn new(
        store: Store,
        bots: Bots,
        clock: Clock,
        profiles: Profiles,
        once: Once,
        limits: &Limits,
        wrong_keys: Arc<WrongKeys>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (_, mut document) = resources().split_for_parts();
        openapi::complete(&mut document);
        Self {
            tokens: Tokens::new(store.clone(), clock.clone()),
            store,
            bots,
            clock,
            profiles,
            once,
            settings: Mutex::default(),
            wrong_keys,
            body: limits.into(),
            qr_within: Duration::from_secs(limits.qr_wait_s),
            tasks,
            stop,
            document,
        }
    }
}

/// The resources, in the order in which a reader needs them.
fn resources() -> OpenApiRouter<Arc<V1>> {
    OpenApiRouter::with_openapi(openapi::begun())
        .merge(bots::routes())
        .merge(linking::routes())
        .merge(keys::routes())
        .merge(settings::routes())
        .merge(tokens::routes())
        .merge(openapi::routes())
}

/// The resources at `/v1/…` and, where `base_path` is not empty, below it too.
pub fn router(v1: Arc<V1>, base_path: &str) -> Router {
    let (resources, _) = resources().split_for_parts();
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
        .layer(from_fn_with_state(Arc::clone(&v1), once::once))
        .layer(from_fn_with_state(v1.body.cap, answer))
        .with_state(v1)
}

/// The frame that every door has, with problem details. Nothing of it is kept by whoever passes it on: answers hold keys.
async fn answer(State(body_cap): State<usize>, request: Request, next: Next) -> Response {
    let mut response = door::frame(request, next, |problem: &Problem, id| {
        problem.respond(id, body_cap)
    })
    .await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
