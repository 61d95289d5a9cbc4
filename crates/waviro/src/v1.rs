//! `/v1/…`: the administration API, with proper verbs and status codes, for whoever holds a token.
//!
//! One file for each resource: handlers with `#[utoipa::path]`, and a `routes()` that is merged here. The router and the OpenAPI
//! document are made from the same lines, so neither can have what the other has not. A handler takes, in this order, who asks
//! ([`auth::Caller`], [`auth::Admin`] or [`auth::AtBot`]), which page ([`page::Paging`]), and what ([`body::Body`]); it answers with
//! a type that has a schema, or a [`problem::Problem`].

pub mod answers;
pub mod auth;
pub mod body;
pub mod inside;
pub mod moment;
pub mod page;
pub mod problem;
pub mod query;

mod bots;
mod deliveries;
mod endpoints;
mod events;
mod health;
mod keys;
mod linking;
mod media;
mod messages;
mod once;
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

use crate::bots::{Bots, Profiles};
use crate::clock::Clock;
use crate::config::Config;
use crate::door::{self, Bounds, Permits, WrongKeys};
use crate::files::Files;
use crate::net::Net;
use crate::once::Once;
use crate::outbox::Outbox;
use crate::store::Store;
use crate::tokens::Tokens;
use crate::users::Users;

use problem::Problem;

/// What the resources work with.
pub struct V1 {
    rooms: Rooms,
    tokens: Tokens,
    /// Held while a bot's settings are changed.
    settings: Mutex<()>,
    body: Bounds,
    qr_within: Duration,
    /// The longest deadline of a call outward, seconds: `outbound.timeout_s`.
    call_within_s: u64,
    /// Requests with an Idempotency-Key at work, which go on without their clients; by caller.
    at_work: Permits<String>,
    /// Open streams, by the hash of their token.
    streams: Permits<[u8; 32]>,
    /// The last ones, which only admins take.
    streams_for_admins: u64,
    document: OpenApi,
}

/// The rooms that the resources ask.
pub struct Rooms {
    /// The database.
    pub store: Store,
    /// The bots.
    pub bots: Bots,
    /// Calls outward.
    pub net: Net,
    /// The door out for messages.
    pub outbox: Outbox,
    /// What bots prove themselves with.
    pub profiles: Profiles,
    /// Files that came in.
    pub files: Files,
    /// Who may use the dashboard. The dashboard's own, so that all passwords are hashed in one line.
    pub users: Users,
    /// What was answered under an Idempotency-Key.
    pub once: Once,
    /// The time.
    pub clock: Clock,
    /// Counts for every door.
    pub wrong_keys: Arc<WrongKeys>,
    /// Work that must not end with the request that began it.
    pub tasks: TaskTracker,
    /// Ends what waits.
    pub stop: CancellationToken,
}

impl V1 {
    /// Over these rooms, within the limits of this configuration.
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

/// The resources, in the order in which a reader needs them.
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
        .layer(from_fn(viewer::conceal))
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
