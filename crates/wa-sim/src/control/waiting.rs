//! `GET /control/waiting`: connected clients that wait for a link.

use axum::Json;
use axum::extract::State;

use crate::sim::Sim;
use crate::world::pairings::WaitingClient;

/// Returns the clients, the longest wait first.
pub(super) async fn list(State(sim): State<Sim>) -> Json<Vec<WaitingClient>> {
    Json(sim.waiting_clients())
}
