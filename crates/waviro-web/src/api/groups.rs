//! `POST /api/groups`: lists the groups that the bot is a member of.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::auth::Caller;
use super::error::ApiError;
use super::reply::Reply;
use crate::services::Services;

/// A group, under the field names of the document.
#[derive(Serialize)]
pub(super) struct GroupResponse {
    groupid: String,
    groupname: String,
    /// The Unix seconds of the last message in either direction, or else of the group's creation.
    grouplastchat: i64,
}

/// Handles `/api/groups`. The handler ignores the body, because the endpoint has no fields.
pub(super) async fn groups(
    State(services): State<Arc<Services>>,
    Caller(bot): Caller,
) -> Result<Reply<Vec<GroupResponse>>, ApiError> {
    let groups = services.outbox.groups(&bot).await?;
    let shown = groups.into_iter().map(|(group, spoken)| GroupResponse {
        groupid: group.id.to_string(),
        groupname: group.name,
        grouplastchat: spoken / 1000,
    });
    Ok(Reply(shown.collect()))
}
