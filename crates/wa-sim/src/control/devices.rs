//! `/control/devices`: linked devices and their connections.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{ApiError, Body, Named};
use crate::sim::{Drop, Sim};
use crate::world::companion::DeviceInfo;

/// `GET /control/devices`.
pub(super) async fn list(State(sim): State<Sim>) -> Json<Vec<DeviceInfo>> {
    Json(sim.devices().await)
}

/// `GET /control/devices/{id}`: one device, with the counts of its requests and the length of its
/// queue.
pub(super) async fn show(
    State(sim): State<Sim>,
    Named(id): Named,
) -> Result<Json<Value>, ApiError> {
    let companion = sim.world.companion(&id).ok_or_else(|| unknown(&id))?;
    let mut shown = json!(companion.info());
    shown["iqs"] = json!(companion.iq_counts());
    shown["waiting"] = json!(sim.waiting(&id));
    Ok(Json(shown))
}

#[derive(Deserialize)]
pub(super) struct How {
    #[serde(default)]
    how: Drop,
}

/// `POST /control/devices/{id}/drop {"how":"clean|abrupt"}`: `{"dropped": true}` if the device was
/// connected.
pub(super) async fn drop_connection(
    State(sim): State<Sim>,
    Named(id): Named,
    Body(how): Body<How>,
) -> Result<Json<Value>, ApiError> {
    if sim.world.companion(&id).is_none() {
        return Err(unknown(&id));
    }
    Ok(Json(
        json!({ "dropped": sim.drop_device(&id, how.how).await }),
    ))
}

/// `POST /control/devices/{id}/replace`: closes the connection as replaced; `{"replaced": true}` if
/// the device was connected.
pub(super) async fn replace(
    State(sim): State<Sim>,
    Named(id): Named,
) -> Result<Json<Value>, ApiError> {
    if sim.world.companion(&id).is_none() {
        return Err(unknown(&id));
    }
    Ok(Json(json!({ "replaced": sim.replace_device(&id) })))
}

/// `POST /control/devices/{id}/logout`: unlinks the device; `{"logged_out": true}`.
pub(super) async fn logout(
    State(sim): State<Sim>,
    Named(id): Named,
) -> Result<Json<Value>, ApiError> {
    if !sim.logout_device(&id) {
        return Err(unknown(&id));
    }
    Ok(Json(json!({ "logged_out": true })))
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!(
        "no device is called {id}; GET /control/devices lists them as number:device"
    ))
}
