//! `POST /api/sendwa`: a text to a person, or to a group where only `groupid` is given.

use std::sync::Arc;

use axum::extract::State;
use waviro_link::{Chat, Content};

use super::Api;
use super::auth::Caller;
use super::body::Fields;
use super::error::ApiError;
use super::reply::{Reply, Sent};
use crate::outbox::NewMessage;

pub(super) async fn sendwa(
    State(api): State<Arc<Api>>,
    Caller(bot): Caller,
    fields: Fields,
) -> Result<Reply<Sent>, ApiError> {
    // The document's samples mix the person's and the group's paths: the body decides, and a person wins here.
    let to = match (fields.number("nohp")?, fields.group("groupid")?) {
        (Some(number), _) => Chat::Person(number),
        (None, Some(group)) => Chat::Group(group),
        (None, None) => return Err(ApiError::MissingField("nohp")),
    };
    let message = NewMessage {
        content: Content::Text(fields.text("pesan")?),
        notify_url: fields.notify_url(&api.net)?,
        to,
    };
    let kind = if message.to.is_group() {
        "chat"
    } else {
        "text"
    };
    let accepted = api.outbox.accept(&bot, message).await?;
    Ok(Reply(Sent::new(&accepted, kind)))
}
