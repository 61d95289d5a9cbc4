//! `/v1/…`: the administration API for holders of a token, with the usual HTTP methods and status
//! codes.
//!
//! Each resource has a file with its handlers (`#[utoipa::path]`) and a `routes()` function, merged
//! here. The router and the OpenAPI document are built from the same routes, so the two cannot
//! differ. A handler takes its arguments in a fixed order: the caller ([`auth::Caller`],
//! [`auth::Admin`] or [`auth::AtBot`]), the page ([`page::Paging`]), the body ([`body::Body`]). A
//! handler returns a type with a schema or a [`problem::Problem`].

pub mod auth;
pub mod body;
pub mod inside;
pub mod page;
pub mod problem;
pub mod query;
pub mod responses;
pub mod timestamp;

mod bots;
mod deliveries;
mod endpoints;
mod events;
mod health;
mod idempotency;
mod keys;
mod linking;
mod media;
mod messages;
mod openapi;
mod rules;
mod secrets;
mod settings;
mod subscriptions;
mod tokens;
mod users;
mod viewer;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use waviro_core::bots::{Bots, Profiles};
use waviro_core::config::Config;
use waviro_core::files::Files;
use waviro_core::idempotency::Idempotency;
use waviro_core::net::Net;
use waviro_core::outbox::Outbox;
use waviro_core::permits::Permits;
use waviro_core::tokens::Tokens;
use waviro_core::users::Users;
use waviro_store::Store;
use waviro_store::clock::Clock;

use crate::http::{self, Bounds, WrongKeys};

use problem::Problem;

/// The state that the handlers share.
pub struct V1 {
    rooms: Rooms,
    tokens: Tokens,
    /// Locked while a bot's settings are changed.
    settings: Mutex<()>,
    body: Bounds,
    qr_within: Duration,
    /// The longest timeout of an outward request, in seconds: `outbound.timeout_s`.
    call_within_s: u64,
    /// Permits for requests with an Idempotency-Key, by caller. Such a request continues after its
    /// client disconnected.
    at_work: Permits<String>,
    /// Permits for open event streams, by the hash of the token.
    streams: Permits<[u8; 32]>,
    /// The number of stream permits reserved for admins.
    streams_for_admins: u64,
    document: OpenApi,
}

/// The shared services of the handlers.
pub struct Rooms {
    /// The database.
    pub store: Store,
    /// The bots.
    pub bots: Bots,
    /// Outward HTTP requests.
    pub net: Net,
    /// Accepts messages.
    pub outbox: Outbox,
    /// The webhook keys and signing secrets of the bots.
    pub profiles: Profiles,
    /// Received files.
    pub files: Files,
    /// The users of the dashboard. The dashboard uses the same instance, so a single queue hashes
    /// all passwords.
    pub users: Users,
    /// The stored responses to idempotency keys.
    pub idempotency: Idempotency,
    /// The clock.
    pub clock: Clock,
    /// Counts wrong keys and tokens for all routers.
    pub wrong_keys: Arc<WrongKeys>,
    /// Tracks work that must continue after its request ended.
    pub tasks: TaskTracker,
    /// Cancels waiting requests at shutdown.
    pub stop: CancellationToken,
}

impl V1 {
    /// Builds the state from the services and the limits of the configuration.
    #[must_use]
    pub fn new(rooms: Rooms, config: &Config) -> Self {
        let (_, mut document) = resources().split_for_parts();
        openapi::complete(&mut document);
        Self {
            tokens: Tokens::new(rooms.store.clone(), rooms.clock.clone()),
            rooms,
            settings: Mutex::default(),
            body: (&config.limits).into(),
            qr_within: Duration::from_secs(config.limits.qr_wait_s),
            call_within_s: config.outbound.timeout_s,
            at_work: Permits::new(config.limits.keyed, config.limits.keyed_per_caller),
            streams: Permits::new(config.limits.streams, config.limits.streams_per_token),
            streams_for_admins: config.limits.streams_for_admins,
            document,
        }
    }
}

impl Deref for V1 {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}

/// Returns the routes of all resources, in the order of the documentation.
fn resources() -> OpenApiRouter<Arc<V1>> {
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
        .layer(from_fn(viewer::conceal))
        .layer(from_fn_with_state(Arc::clone(&v1), idempotency::middleware))
        .layer(from_fn_with_state(v1.body.cap, answer))
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
