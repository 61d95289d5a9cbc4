//! The dashboard: HTML pages at `/dashboard`, filled with the results of the operations of the
//! administration API, run for the logged-in user ([`ask`]).
//!
//! Each page has a file with the name of its template. Pages work without JavaScript; with
//! JavaScript, an open page updates itself ([`live`]). Pages load nothing from other hosts.

mod ask;
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
use waviro_core::config::{Config, Retention};
use waviro_core::permits::Permits;

use crate::http::LoginAttempts;
use crate::services::Services;

use login::Setup;

use assets::Assets;

/// The state of the pages: the shared services, and what only the dashboard needs.
pub struct Dashboard {
    services: Arc<Services>,
    /// Limits login attempts.
    tries: LoginAttempts,
    /// The setup link, valid while there is no user.
    setup: Setup,
    /// The URL of the simulator's phones, in a sandbox.
    phones: OnceLock<String>,
    /// Permits for live page updates, by user. A second login does not give a user more permits.
    live: Permits<i64>,
    /// The number of permits reserved for admins.
    live_for_admins: u64,
    /// The retention times.
    retention: Retention,
    /// The path before `/dashboard`.
    base: String,
    assets: Assets,
    /// A random hash key per process. Fingerprints of an earlier process never match, even with the
    /// same number of commits.
    process: RandomState,
}

impl Dashboard {
    /// Builds the state from the services and the configuration.
    #[must_use]
    pub fn new(services: Arc<Services>, config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            tries: LoginAttempts::new(limits, services.clock.clone()),
            setup: Setup::default(),
            phones: OnceLock::new(),
            live: Permits::new(limits.live_pages, limits.live_pages_per_user),
            live_for_admins: limits.live_pages_for_admins,
            retention: config.retention.clone(),
            base: config.server.base_path.clone(),
            assets: Assets::new(),
            process: RandomState::new(),
            services,
        }
    }

    /// Creates a new secret for the setup link; earlier links stop working.
    #[must_use]
    pub fn new_setup_secret(&self) -> String {
        self.setup.secret()
    }

    /// Shows the simulator's phones on the pages.
    pub fn show_phones(&self, url: String) {
        // Set only once, by the sandbox.
        let _ = self.phones.set(url);
    }
}

/// Returns the router of the pages at `/dashboard`. If a proxy passes `server.base_path` on, the
/// pages are only below the base path, because a session cookie is valid for a single path.
pub fn router(dashboard: &Arc<Dashboard>) -> Router {
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
    for asset in dashboard.assets.all() {
        let asset = asset.clone();
        pages = pages.route(
            &format!("/files/{}", asset.name),
            get(async move || asset.respond()),
        );
    }
    let base = dashboard.base.clone();
    let pages = pages
        .fallback(errors::nothing)
        .layer(from_fn_with_state(Arc::clone(dashboard), guard::guard));
    let home = async |State(dashboard): State<Arc<Dashboard>>| {
        Redirect::to(&format!("{}/dashboard", dashboard.base)).into_response()
    };
    Router::new()
        .route(&format!("{base}/dashboard/"), get(home))
        .nest(&format!("{base}/dashboard"), pages)
        .with_state(Arc::clone(dashboard))
}
