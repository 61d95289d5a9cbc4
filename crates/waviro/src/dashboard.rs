//! The dashboard: pages for people at `/dashboard`, filled by asking the administration API as whoever is logged in.
//!
//! One page a file, and its template has its name. Pages are whole without JavaScript; with it they stay true while they are
//! open ([`live`]). Nothing comes from another host.

mod assets;
mod bot;
mod bots;
mod causes;
mod deliveries;
mod delivery;
mod entry;
mod form;
mod frame;
mod guard;
mod link;
mod live;
mod look;
mod me;
mod message;
mod message_row;
mod messages;
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
mod wrong;

use std::hash::RandomState;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::bots::Bots;
use crate::clock::Clock;
use crate::config::Retention;
use crate::door::{Bounds, LoginAttempts, Permits};
use crate::store::Store;
use crate::users::Users;
use crate::v1::inside::Inside;

pub use entry::Setup;

use assets::Assets;

/// What the pages work with.
pub struct Dashboard {
    /// Everything that is shown and done.
    pub inside: Inside,
    /// Who may log in.
    pub users: Users,
    /// For what changes while a page is open.
    pub bots: Bots,
    /// The same.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Counts attempts to log in.
    pub tries: LoginAttempts,
    /// The way in while there is no user.
    pub setup: Setup,
    /// Where the simulator's phones are, in a sandbox.
    pub phones: OnceLock<String>,
    /// Of a form.
    pub body: Bounds,
    /// Pages that are followed, by user: whoever logs in again has no more of them.
    pub live: Permits<i64>,
    /// The last ones, which only admins take.
    pub live_for_admins: u64,
    /// How long things are kept.
    pub retention: Retention,
    /// What stands before `/dashboard`.
    pub base: String,
    /// Ends what stays open.
    pub stop: CancellationToken,
}

struct Shared {
    dashboard: Arc<Dashboard>,
    assets: Assets,
    /// Tells this process from the one before, which may have committed as often.
    process: RandomState,
}

impl std::ops::Deref for Shared {
    type Target = Dashboard;

    fn deref(&self) -> &Dashboard {
        &self.dashboard
    }
}

/// The pages at `/dashboard`. Behind a proxy that leaves `server.base_path` on, below that alone: a session
/// belongs to one path.
pub fn router(dashboard: &Arc<Dashboard>) -> Router {
    let assets = Assets::new();
    let mut pages = Router::new()
        .route("/", get(bots::list).post(bots::add))
        .route("/login", get(entry::ask).post(entry::log_in))
        .route("/logout", post(entry::log_out))
        .route("/setup", get(entry::set_up).post(entry::make_first))
        .route("/look", post(look::change))
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
        .fallback(wrong::nothing)
        .layer(from_fn_with_state(Arc::clone(&shared), guard::guard));
    let home = async |State(shared): State<Arc<Shared>>| {
        Redirect::to(&format!("{}/dashboard", shared.base)).into_response()
    };
    Router::new()
        .route(&format!("{base}/dashboard/"), get(home))
        .nest(&format!("{base}/dashboard"), pages)
        .with_state(shared)
}
