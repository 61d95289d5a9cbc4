//! `/control/groups`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use serde::Deserialize;

use super::request::{ApiError, Body, Named};
use crate::number::digits;
use crate::sim::Sim;
use crate::sim::groups::GroupError;
use crate::world::group::{GroupInfo, GroupSetting, GroupSpec};

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
    check(clean.members.iter().chain([&clean.owner]))?;
    Ok((StatusCode::CREATED, Json(sim.add_group(clean).await.info())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    name: Option<String>,
    description: Option<String>,
    announcement: Option<bool>,
    locked: Option<bool>,
}

/// `PATCH /control/groups/{id} {"name","description","announcement","locked"}`: the group.
pub(super) async fn change(
    State(sim): State<Sim>,
    Named(id): Named,
    Body(change): Body<Change>,
) -> Result<Json<GroupInfo>, ApiError> {
    if let Some(name) = &change.name {
        let renamed = sim.rename_group(&id, name).await;
        renamed.map_err(|error| refused(&error))?;
    }
    if let Some(text) = &change.description {
        let described = sim.describe_group(&id, text).await;
        described.map_err(|error| refused(&error))?;
    }
    let settings = [
        (GroupSetting::Announcement, change.announcement),
        (GroupSetting::Locked, change.locked),
    ];
    for (setting, on) in settings {
        if let Some(on) = on {
            let switched = sim.set_group(&id, setting, on).await;
            switched.map_err(|error| refused(&error))?;
        }
    }
    show(&sim, &id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Members {
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    leave: Vec<String>,
    #[serde(default)]
    promote: Vec<String>,
    #[serde(default)]
    demote: Vec<String>,
}

/// `POST /control/groups/{id}/members {"add","remove","leave","promote","demote"}`, each a list of
/// numbers: the group.
pub(super) async fn change_members(
    State(sim): State<Sim>,
    Named(id): Named,
    Body(members): Body<Members>,
) -> Result<Json<GroupInfo>, ApiError> {
    let add: Vec<_> = members.add.iter().map(|number| digits(number)).collect();
    check(&add)?;
    let add: Vec<_> = add.iter().map(String::as_str).collect();
    let remove: Vec<_> = members.remove.iter().map(String::as_str).collect();
    sim.add_members(&id, &add)
        .await
        .map_err(|error| refused(&error))?;
    sim.remove_members(&id, &remove)
        .await
        .map_err(|error| refused(&error))?;
    let promote: Vec<_> = members.promote.iter().map(String::as_str).collect();
    let demote: Vec<_> = members.demote.iter().map(String::as_str).collect();
    sim.promote_members(&id, &promote)
        .await
        .map_err(|error| refused(&error))?;
    sim.demote_members(&id, &demote)
        .await
        .map_err(|error| refused(&error))?;
    for number in &members.leave {
        let phone = sim.find_phone(number).ok_or_else(|| {
            ApiError::not_found(format!(
                "no phone has the number {number}; add it with POST /control/phones"
            ))
        })?;
        phone
            .leave_group(&id)
            .await
            .map_err(|error| refused(&error))?;
    }
    show(&sim, &id)
}

fn show(sim: &Sim, id: &str) -> Result<Json<GroupInfo>, ApiError> {
    let group = sim
        .find_group(id)
        .ok_or_else(|| refused(&GroupError::Unknown(id.to_owned())))?;
    Ok(Json(group.info()))
}

fn refused(error: &GroupError) -> ApiError {
    let status = match error {
        GroupError::Unknown(_) => StatusCode::NOT_FOUND,
        GroupError::Name => StatusCode::BAD_REQUEST,
        GroupError::NotAMember { .. } => StatusCode::CONFLICT,
    };
    ApiError::new(status, error.to_string())
}

fn check<'a>(numbers: impl IntoIterator<Item = &'a String>) -> Result<(), ApiError> {
    let is_number = |number: &String| (5..=15).contains(&number.len());
    if numbers.into_iter().all(is_number) {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "owner and members must be numbers of 5 to 15 digits that start with the country code",
    ))
}
