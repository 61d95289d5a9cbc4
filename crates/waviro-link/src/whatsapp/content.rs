//! The content of messages in WhatsApp's format: a module for each kind, in both directions.

mod contact;
mod location;
pub(super) mod media;
pub(super) mod text;

use std::sync::Arc;

use waproto::whatsapp as wa;
use whatsapp_rust::{Client, waproto};

use crate::{Content, InboundKind, LinkError};

/// Returns the message with the content. Uploads the file, if the content has a file.
pub(super) async fn outgoing(
    client: &Arc<Client>,
    content: &Content,
) -> Result<wa::Message, LinkError> {
    Ok(match content {
        Content::Text(text) => text::outgoing(text),
        Content::Location(place) => location::outgoing(place),
        Content::Contact(card) => contact::outgoing(card),
        Content::Media(file) => media::outgoing(client, file).await?,
    })
}

/// Returns the content of an unwrapped message, if the message has one of these kinds.
pub(super) fn inbound(base: &wa::Message, file: &media::Origin<'_>) -> Option<InboundKind> {
    let text = || text::inbound(base).map(InboundKind::Text);
    let media = || Some(InboundKind::Media(Box::new(media::inbound(base, file)?)));
    let place = || location::inbound(base).map(InboundKind::Location);
    let cards = || contact::inbound(base).map(InboundKind::Contacts);
    text().or_else(media).or_else(place).or_else(cards)
}
