//! `/control/groups`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::{ApiError, Body};
use crate::group::{GroupInfo, GroupSpec};
use crate::sim::Sim;

/// `GET /control/groups`.
pub(super) async fn list(State(sim): State<Sim>) -> Json<Vec<GroupInfo>> {
    Json(sim.groups().iter().map(|group| group.info()).collect())
}

/// `POST /control/groups {"name","owner","members"[,"addressing":"lid|pn"]}`: 201 with the group.
pub(super) async fn create(
    State(sim): State<Sim>,
    Body(spec): Body<GroupSpec>,
) -> Result<(StatusCode, Json<GroupInfo>), ApiError> {
    let addressing = spec.addressing;
    let clean = GroupSpec::new(spec.name, &spec.owner)
        .members(&spec.members)
        .addressing(addressing);
    if clean
        .members
        .iter()
        .chain([&clean.owner])
        .any(|number| !(5..=15).contains(&number.len()))
    {
        return Err(ApiError::bad_request(
            "owner and members must be numbers of 5 to 15 digits, country code first",
        ));
    }
    Ok((StatusCode::CREATED, Json(sim.add_group(clean).await.info())))
}
