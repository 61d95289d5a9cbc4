//! From the gateway's message to a frame on the wire.

use std::sync::Arc;
use std::time::Duration;

use waproto::whatsapp as wa;
use whatsapp_rust::features::{ChatStateError, ChatStateType};
use whatsapp_rust::send::{SendError, SendOptions};
use whatsapp_rust::{Client, ClientError, IqError, Jid, waproto};

use super::{contact, location, media, store, text};
use crate::{Chat, Content, LinkError, Outgoing};

/// A first message to a person costs up to three round trips (devices, prekeys, group info) before it can be written;
/// after this long the wire is not answering.
const DEADLINE: Duration = Duration::from_secs(30);

/// Uploads what there is to upload, encrypts and writes; `Ok` says "on the socket".
///
/// What is not written when the connection is `gone` belongs to it. On the next one the library would write it before the gateway
/// writes again what was lost with the last, and so out of its order. An upload goes on: it has a connection of its own.
pub(super) async fn send(
    client: &Arc<Client>,
    message: &Outgoing,
    gone: impl Future,
) -> Result<(), LinkError> {
    let options = SendOptions::default().with_message_id(message.id.as_str());
    let body = body(client, &message.content).await?;
    let writing = client.send_message_with_options(jid(&message.to), body, options);
    let written = tokio::select! {
        biased;
        written = tokio::time::timeout(DEADLINE, writing) => written,
        _ = gone => return Err(LinkError::Offline),
    };
    match written {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(link_error(error)),
        Err(_) => Err(LinkError::TimedOut),
    }
}

/// Has the next message to a group bring the group's key to everybody again. The library takes the key for handed out as soon as the
/// message that brings it is written; where that was lost, nobody could read what follows, and everybody would ask for each of it.
pub(super) async fn hand_out_again(client: &Arc<Client>, chat: &Chat) -> Result<(), LinkError> {
    let Chat::Group(_) = chat else {
        return Ok(());
    };
    let group = jid(chat).to_string();
    let kept = client.persistence_manager();
    kept.clear_sender_key_devices(&group)
        .await
        .map_err(|error| LinkError::Store(store::cause(&error)))
}

/// Shows that the bot types, or no longer does. Phones show it of those alone who are available, which the library says of the
/// device at each login.
pub(super) async fn typing(client: &Arc<Client>, to: &Chat, on: bool) -> Result<(), LinkError> {
    let to = listening(client, jid(to)).await;
    let state = if on {
        ChatStateType::Composing
    } else {
        ChatStateType::Paused
    };
    match client.chatstate().send(&to, state).await {
        Ok(()) => Ok(()),
        Err(ChatStateError::Client(error)) => Err(client_error(error)),
        Err(error) => Err(LinkError::Failed(format!("{error:#}"))),
    }
}

/// The name that the chat goes by on the other side: of messages the library finds it out by itself, of chat states it does
/// not.
async fn listening(client: &Arc<Client>, to: Jid) -> Jid {
    if !to.is_pn() || !client.is_lid_migrated().await {
        return to;
    }
    match client.get_lid_pn_entry(&to).await {
        Ok(Some(known)) => Jid::lid(&*known.lid),
        // Both names reach the account.
        _ => to,
    }
}

/// The address on the wire. The library itself turns numbers into LIDs for accounts that have moved to them.
pub(super) fn jid(chat: &Chat) -> Jid {
    match chat {
        Chat::Person(number) => Jid::pn(number.as_str()),
        Chat::Group(group) => Jid::group(group.as_str()),
        Chat::Hidden(lid) => Jid::lid(lid.as_str()),
    }
}

async fn body(client: &Arc<Client>, content: &Content) -> Result<wa::Message, LinkError> {
    Ok(match content {
        Content::Text(text) => text::outgoing(text),
        Content::Location(place) => location::outgoing(place),
        Content::Contact(card) => contact::outgoing(card),
        Content::Media(file) => media::outgoing(client, file).await?,
    })
}

fn link_error(error: SendError) -> LinkError {
    match error {
        SendError::NotLoggedIn => LinkError::Offline,
        SendError::Client(error) => client_error(error),
        // A group that is gone, or that the bot is not in: asking again would only be asking again.
        SendError::Iq(IqError::ServerError { code, text, .. })
            if matches!(code, 403 | 404 | 406 | 410) =>
        {
            LinkError::Refused(format!("{code} {text}"))
        }
        SendError::Iq(error) => iq_error(error),
        SendError::InvalidRequest(reason) => LinkError::Refused(reason),
        other => LinkError::Failed(format!("{other:#}")),
    }
}

pub(super) fn client_error(error: ClientError) -> LinkError {
    match error {
        ClientError::NotConnected
        | ClientError::NotLoggedIn
        | ClientError::Socket(_)
        | ClientError::EncryptSend(_) => LinkError::Offline,
        ClientError::Iq(error) => iq_error(error),
        other => LinkError::Failed(format!("{other:#}")),
    }
}

pub(super) fn iq_error(error: IqError) -> LinkError {
    match error {
        IqError::Timeout => LinkError::TimedOut,
        IqError::NotConnected
        | IqError::Socket(_)
        | IqError::EncryptSend(_)
        | IqError::Disconnected(_)
        | IqError::InternalChannelClosed => LinkError::Offline,
        IqError::ClientState(error) => client_error(*error),
        IqError::ServerError { code, text, .. } => LinkError::Failed(format!("{code} {text}")),
        other => LinkError::Failed(format!("{other:#}")),
    }
}
