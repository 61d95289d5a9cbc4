//! The handles and limits that the routers share. `app.rs` of the binary builds the struct once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waviro_core::bots::{Bots, Profiles};
use waviro_core::files::Files;
use waviro_core::idempotency::Idempotency;
use waviro_core::net::Net;
use waviro_core::outbox::Outbox;
use waviro_core::permits::Permits;
use waviro_core::tokens::Tokens;
use waviro_core::users::Users;
use waviro_store::Store;
use waviro_store::clock::Clock;

use crate::http::{Bounds, WrongKeys};

/// The shared handles, and the limits of the configuration that several routers need.
pub struct Services {
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
    /// The users of the dashboard. A single queue hashes all passwords.
    pub users: Users,
    /// The tokens of the administration API.
    pub tokens: Tokens,
    /// The stored responses to idempotency keys.
    pub idempotency: Idempotency,
    /// The clock.
    pub clock: Clock,
    /// Counts wrong keys and tokens, so that an address has a single budget.
    pub wrong_keys: WrongKeys,
    /// Permits for requests with an idempotency key, by caller. Such a request continues after its
    /// client disconnected.
    pub at_work: Permits<String>,
    /// Locked while a bot's settings are changed.
    pub settings: Mutex<()>,
    /// Tracks work that must continue after its request ended.
    pub tasks: TaskTracker,
    /// Cancels waiting requests at shutdown.
    pub stop: CancellationToken,
    /// The limits on the body of a request.
    pub body: Bounds,
    /// The maximum time to wait for a QR code or a logout.
    pub qr_within: Duration,
    /// The longest timeout of an outward request, in seconds: `outbound.timeout_s`.
    pub call_within_s: u64,
}

/// Extractor: the shared services.
pub type SharedServices = State<Arc<Services>>;
