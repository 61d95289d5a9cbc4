//! Sending a message: the same outbox as `/api/send…`, with the request and response of `/v1`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use waviro_core::bots::Bot;
use waviro_core::outbox::{Accepted, NewMessage, Taken};

use super::super::auth::ChangesBot;
use super::super::body::{Body, permitted};
use super::super::problem::Problem;
use super::super::responses::{Conflict, Located, Unavailable, located};
use super::MessageView;
use super::content::SendMessage;
use crate::services::{Services, SharedServices};
use crate::v1::idempotency::{self, Keyed};

/// Send a message
///
/// Works like `/api/send…`, with the same rules: the message is stored durably before the response,
/// and the duplicate rule refuses a message with the same content as the last message to the chat.
/// A file is fetched before the response.
#[utoipa::path(
    post, path = "/v1/bots/{bot}/messages", tag = "messages", request_body = SendMessage,
    responses(
        (status = 202, description = "The message is in the queue.", body = MessageView,
            headers(("location" = String, description = "The message's path."))),
        Conflict, Unavailable,
    )
)]
pub(super) async fn http_send(
    services: SharedServices,
    at: ChangesBot,
    OriginalUri(uri): OriginalUri,
    keyed: Option<Extension<Keyed>>,
    Body(asked): Body<SendMessage>,
) -> Result<Located<MessageView>, Problem> {
    let keyed = keyed.map(|Extension(keyed)| keyed);
    let added = send(&services, &at, keyed, asked).await?;
    Ok(located(StatusCode::ACCEPTED, &uri, added.id.clone(), added))
}

pub(crate) async fn send(
    services: &Services,
    at: &ChangesBot,
    keyed: Option<Keyed>,
    mut asked: SendMessage,
) -> Result<MessageView, Problem> {
    let notify_url = asked.notify_url.take();
    let notify_url = notify_url.map(|url| permitted(services, at.bot(), "notify_url", url));
    let message = NewMessage {
        to: asked.to.0.clone(),
        content: asked.draft()?,
        notify_url: notify_url.transpose()?,
    };
    let id = accept(services, at.bot(), message, keyed).await?;
    let row = services.store.sent(at.bot().id(), &id).await?;
    let row = row.ok_or(Problem::NoSuch("message"))?;
    Ok(row.into())
}

/// Accepts a message, once for an idempotency key; returns the message id.
async fn accept(
    services: &Services,
    bot: &Arc<Bot>,
    message: NewMessage,
    keyed: Option<Keyed>,
) -> Result<String, Problem> {
    let first = match keyed {
        None => {
            let accepted = services.outbox.accept(bot, message).await?;
            return Ok(accepted.id.as_str().to_owned());
        }
        Some(Keyed::Accepted(id)) => return Ok(id),
        Some(Keyed::First(first)) => first,
    };
    // Stores only the id: the rest of the response can be rebuilt from the stored message. The full
    // response replaces the id shortly afterwards.
    let keep = |accepted: &Accepted| {
        let status = StatusCode::ACCEPTED.as_u16();
        first.keeping(status, idempotency::accepted(accepted.id.as_str()))
    };
    match services.outbox.accept_with_key(bot, message, &keep).await? {
        Taken::New(accepted) => Ok(accepted.id.as_str().to_owned()),
        // An earlier request committed the message after its client had disconnected; the current
        // request is the retry.
        Taken::Before(kept) => {
            let kept = first.same(kept)?;
            let id = idempotency::accepted_id(&kept).map(ToOwned::to_owned);
            id.ok_or(Problem::Busy)
        }
    }
}
