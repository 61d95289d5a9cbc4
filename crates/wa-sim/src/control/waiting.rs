//! `GET /control/waiting`: clients that are connected and wait to be linked.

use axum::Json;
use axum::extract::State;

use crate::pairing::WaitingClient;
use crate::sim::Sim;

/// The longest waiting first.
pub(super) async fn list(State(sim): State<Sim>) -> Json<Vec<WaitingClient>> {
    Json(sim.waiting_clients())
}
