//! `/control/faults`: the faults, all or some.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::request::{ApiError, Body};
use crate::sim::Sim;
use crate::world::fault::FaultState;

/// `GET /control/faults`.
pub(super) async fn show(State(sim): State<Sim>) -> Json<FaultState> {
    Json(sim.faults().state())
}

/// `PATCH /control/faults {"ack_delay_ms": 200, …}`: changes only the given faults, and returns all
/// faults.
pub(super) async fn change(
    State(sim): State<Sim>,
    Body(changes): Body<Map<String, Value>>,
) -> Result<Json<FaultState>, ApiError> {
    let mut state = json!(sim.faults().state());
    for (fault, value) in changes {
        let Some(slot) = state.get_mut(&fault) else {
            return Err(ApiError::bad_request(format!(
                "there is no fault {fault}; GET /control/faults lists all faults"
            )));
        };
        *slot = value;
    }
    let state: FaultState = serde_json::from_value(state)
        .map_err(|error| ApiError::bad_request(format!("a fault has the wrong type: {error}")))?;
    sim.faults().set_state(state.clone());
    Ok(Json(state))
}
