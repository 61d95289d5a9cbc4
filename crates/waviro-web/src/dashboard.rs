//! The dashboard: HTML pages at `/dashboard`, filled with responses of the administration API to
//! requests as the logged-in user.
//!
//! Each page has a file with the name of its template. Pages work without JavaScript; with
//! JavaScript, an open page updates itself ([`live`]). Pages load nothing from other hosts.

mod assets;
mod bot;
mod bots;
mod causes;
mod deliveries;
mod delivery;
mod errors;
mod form;
mod guard;
mod link;
mod live;
mod login;
mod me;
mod message;
mod message_row;
mod messages;
mod page_context;
mod preferences;
mod rows;
mod rule;
mod rules;
mod send;
mod session;
mod settings;
mod start;
mod state;
mod user;
mod users;

use std::hash::RandomState;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use waviro_core::bots::Bots;
use waviro_core::config::Retention;
use waviro_core::permits::Permits;
use waviro_core::users::Users;
use waviro_store::Store;
use waviro_store::clock::Clock;

use crate::http::{Bounds, LoginAttempts};
use crate::v1::inside::Inside;

pub use login::Setup;

use assets::Assets;

/// The services and limits that the pages use.
pub struct Dashboard {
    /// The administration API: the source of all data and the target of all changes.
    pub inside: Inside,
    /// The users and their login sessions.
    pub users: Users,
    /// The bots, to detect changes while a page is open.
    pub bots: Bots,
    /// The store, to detect changes while a page is open.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Limits login attempts.
    pub tries: LoginAttempts,
    /// The setup link, valid while there is no user.
    pub setup: Setup,
    /// The URL of the simulator's phones, in a sandbox.
    pub phones: OnceLock<String>,
    /// The limits on the body of a form.
    pub body: Bounds,
    /// Permits for live page updates, by user. A second login does not give a user more permits.
    pub live: Permits<i64>,
    /// The number of permits reserved for admins.
    pub live_for_admins: u64,
    /// The retention times.
    pub retention: Retention,
    /// The path before `/dashboard`.
    pub base: String,
    /// Ends open streams at shutdown.
    pub stop: CancellationToken,
}

struct Shared {
    dashboard: Arc<Dashboard>,
    assets: Assets,
    /// A random hash key per process. Fingerprints of an earlier process never match, even with the
    /// same number of commits.
    process: RandomState,
}

impl std::ops::Deref for Shared {
    type Target = Dashboard;

    fn deref(&self) -> &Dashboard {
        &self.dashboard
    }
}

/// Returns the router of the pages at `/dashboard`. If a proxy passes `server.base_path` on, the
/// pages are only below the base path, because a session cookie is valid for a single path.
pub fn router(dashboard: &Arc<Dashboard>) -> Router {
    let assets = Assets::new();
    let mut pages = Router::new()
        .route("/", get(bots::list).post(bots::add))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/setup", get(login::set_up).post(login::create_first_user))
        .route("/look", post(preferences::change))
        .route("/live", get(live::stream))
        .route("/bots/{bot}", get(bot::show).post(bot::change))
        .route("/bots/{bot}/link", get(link::show).post(link::act))
        .route("/bots/{bot}/link/qr.svg", get(link::picture))
        .route("/bots/{bot}/send", get(send::form).post(send::send))
        .route("/bots/{bot}/rules", get(rules::list).post(rules::act))
        .route(
            "/bots/{bot}/rules/{rule}",
            get(rule::show).post(rule::change),
        )
        .route(
            "/bots/{bot}/settings",
            get(settings::show).post(settings::change),
        )
        .route("/users", get(users::list).post(users::add))
        .route("/users/{user}", get(user::show).post(user::change))
        .route("/me", get(me::show).post(me::change))
        .route("/bots/{bot}/messages", get(messages::list))
        .route("/bots/{bot}/messages/{message}", get(message::show))
        .route(
            "/bots/{bot}/deliveries",
            get(deliveries::list).post(deliveries::act),
        )
        .route(
            "/bots/{bot}/deliveries/{delivery}",
            get(delivery::show).post(delivery::again),
        );
    for asset in assets.all() {
        let asset = asset.clone();
        pages = pages.route(
            &format!("/files/{}", asset.name),
            get(async move || asset.respond()),
        );
    }
    let base = dashboard.base.clone();
    let shared = Arc::new(Shared {
        dashboard: Arc::clone(dashboard),
        assets,
        process: RandomState::new(),
    });
    let pages = pages
        .fallback(errors::nothing)
        .layer(from_fn_with_state(Arc::clone(&shared), guard::guard));
    let home = async |State(shared): State<Arc<Shared>>| {
        Redirect::to(&format!("{}/dashboard", shared.base)).into_response()
    };
    Router::new()
        .route(&format!("{base}/dashboard/"), get(home))
        .nest(&format!("{base}/dashboard"), pages)
        .with_state(shared)
}
