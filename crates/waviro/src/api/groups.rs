//! `POST /api/groups`: every group that the bot is in.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::reply::Reply;

/// One group, under the document's names.
#[derive(Serialize)]
pub(super) struct Shown {
    groupid: String,
    groupname: String,
    /// Unix seconds of the last message sent or seen, else of the group's making.
    grouplastchat: i64,
}

/// The body is not read: nothing is asked for.
pub(super) async fn groups(
    State(api): State<Arc<Api>>,
    Caller(bot): Caller,
) -> Result<Reply<Vec<Shown>>, ApiError> {
    let groups = api.outbox.groups(&bot).await?;
    let shown = groups.into_iter().map(|(group, spoken)| Shown {
        groupid: group.id.to_string(),
        groupname: group.name,
        grouplastchat: spoken / 1000,
    });
    Ok(Reply(shown.collect()))
}
