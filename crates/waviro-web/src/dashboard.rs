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
mod cookies;
mod deliveries;
mod delivery;
mod errors;
mod form;
mod guard;
mod link;
mod link_state;
mod live;
mod login;
mod me;
mod message;
mod message_row;
mod messages;
mod page_context;
mod preferences;
mod refused;
mod rule;
mod rules;
mod send;
mod session;
mod settings;
mod setup;
mod start;
mod state;
mod user;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};

use errors::PageError;
use session::Me;
pub use state::Dashboard;

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
        // The menu of the error page depends on the user.
        .fallback(async |_: Result<Me, Response>| PageError::Nothing)
        .layer(from_fn_with_state(Arc::clone(dashboard), guard::guard));
    let home = async |State(dashboard): State<Arc<Dashboard>>| {
        Redirect::to(&format!("{}/dashboard", dashboard.base))
    };
    Router::new()
        .route(&format!("{base}/dashboard/"), get(home))
        .nest(&format!("{base}/dashboard"), pages)
        .with_state(Arc::clone(dashboard))
}
