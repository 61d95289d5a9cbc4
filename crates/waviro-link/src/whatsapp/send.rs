//! Sends the gateway's messages.

use std::sync::Arc;
use std::time::Duration;

use whatsapp_rust::features::{ChatStateError, ChatStateType};
use whatsapp_rust::send::{SendError, SendOptions};
use whatsapp_rust::{Client, ClientError, IqError, Jid};

use super::{content, store};
use crate::{Chat, LinkError, Outgoing};

/// The timeout of a send. The first message to a chat needs up to three round trips (devices,
/// prekeys, group info) before the write. After 30 seconds WhatsApp is not answering.
const DEADLINE: Duration = Duration::from_secs(30);

/// Uploads the file of the message, if any, encrypts the message and writes it to the socket. `Ok`
/// means that the message is written to the socket.
///
/// If the connection ends (`gone`) before the write, the send fails. Otherwise the library would
/// write the message on the next connection before the gateway resends earlier lost messages, so in
/// the wrong order. An upload continues, because it uses its own connection.
pub(super) async fn send(
    client: &Arc<Client>,
    message: &Outgoing,
    gone: impl Future,
) -> Result<(), LinkError> {
    let options = SendOptions::default().with_message_id(message.id.as_str());
    let body = content::outgoing(client, &message.content).await?;
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

/// Makes the library distribute the group's sender key again with the next message. The library
/// marks the key as distributed as soon as it writes the message with the key. If the message was
/// lost, no member could read the following messages, and each member would ask for a resend of
/// each message.
pub(super) async fn forget_sender_key_distribution(
    client: &Arc<Client>,
    chat: &Chat,
) -> Result<(), LinkError> {
    let Chat::Group(_) = chat else {
        return Ok(());
    };
    let group = jid(chat).to_string();
    let kept = client.persistence_manager();
    kept.clear_sender_key_devices(&group)
        .await
        .map_err(|error| LinkError::Store(store::cause(&error)))
}

/// Shows in a chat that the bot types, or has stopped typing. Phones show the sign only for
/// contacts that are available; at each login the library reports the device as available.
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

/// Returns the recipient's name (number or LID) on the wire. For messages the library chooses the
/// name itself, but not for chat states.
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

/// Returns the recipient's JID. For accounts that have moved to LIDs the library converts numbers
/// to LIDs.
pub(super) fn jid(chat: &Chat) -> Jid {
    match chat {
        Chat::Person(number) => Jid::pn(number.as_str()),
        Chat::Group(group) => Jid::group(group.as_str()),
        Chat::Hidden(lid) => Jid::lid(lid.as_str()),
    }
}

fn link_error(error: SendError) -> LinkError {
    match error {
        SendError::NotLoggedIn => LinkError::Offline,
        SendError::Client(error) => client_error(error),
        // The group is gone, or the bot is not a member. A retry cannot help.
        SendError::Iq(IqError::ServerError { code, text, .. })
            if matches!(code, 403 | 404 | 406 | 410) =>
        {
            LinkError::Denied { code, text }
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
