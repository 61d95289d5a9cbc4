//! Converts a decrypted message to the entry in the inbox: kind, text and the fields of the kind.

mod choices;
mod entry;
pub(crate) mod media;
mod quoted;

use serde_json::json;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use entry::Content;

/// Returns the content of a message. Returns `None` for a message that a phone does not show (keys,
/// syncs).
pub(crate) fn describe(message: &wa::Message) -> Option<Content> {
    if let Some(wrapped) = unwrap(message) {
        return describe(wrapped);
    }
    let mut content = plain(message)?;
    content.quoted = quoted::of(message);
    Some(content)
}

/// Like [`describe`], for a message without wrapper, and without the quote.
fn plain(message: &wa::Message) -> Option<Content> {
    let content = if let Some(text) = &message.conversation {
        Content::new("text", text, json!({}))
    } else if let Some(text) = message.extended_text_message.as_option() {
        Content::new(
            "text",
            text.text.as_deref().unwrap_or_default(),
            json!({ "link": text.matched_text }),
        )
    } else if let Some(file) = media::describe(message) {
        file
    } else if let Some(location) = message.location_message.as_option() {
        let place = json!({
            "latitude": location.degrees_latitude, "longitude": location.degrees_longitude,
            "name": location.name, "address": location.address,
        });
        Content::new(
            "location",
            location.comment.as_deref().unwrap_or_default(),
            place,
        )
    } else if let Some(contact) = message.contact_message.as_option() {
        let card = json!({ "display_name": contact.display_name, "vcard": contact.vcard });
        Content::new("contact", "", card)
    } else if let Some(contacts) = message.contacts_array_message.as_option() {
        let cards: Vec<_> = contacts
            .contacts
            .iter()
            .map(|contact| json!({ "display_name": contact.display_name, "vcard": contact.vcard }))
            .collect();
        Content::new(
            "contacts",
            "",
            json!({ "display_name": contacts.display_name, "contacts": cards }),
        )
    } else if let Some(reaction) = message.reaction_message.as_option() {
        Content::new(
            "reaction",
            reaction.text.as_deref().unwrap_or_default(),
            json!({ "target_id": reaction.key.id }),
        )
    } else if let Some(poll) = poll(message) {
        let options: Vec<_> = poll
            .options
            .iter()
            .map(|option| json!(option.option_name))
            .collect();
        Content::new(
            "poll",
            poll.name.as_deref().unwrap_or_default(),
            json!({ "options": options }),
        )
    } else if let Some(choice) = choices::describe(message) {
        choice
    } else if let Some(protocol) = message.protocol_message.as_option() {
        return describe_protocol(protocol);
    } else {
        return other(message);
    };
    Some(content)
}

fn describe_protocol(protocol: &wa::message::ProtocolMessage) -> Option<Content> {
    let target = json!({ "target_id": protocol.key.id });
    if protocol
        .r#type
        .is_some_and(|kind| kind == ProtocolType::Revoke)
    {
        return Some(Content::new("revoke", "", target));
    }
    if protocol
        .r#type
        .is_some_and(|kind| kind == ProtocolType::MessageEdit)
    {
        let text = protocol
            .edited_message
            .as_option()
            .and_then(describe)
            .map(|content| content.text);
        return Some(Content::new("edit", &text.unwrap_or_default(), target));
    }
    None
}

/// Names any other kind after its protobuf field, so that no message is lost.
fn other(message: &wa::Message) -> Option<Content> {
    let value = serde_json::to_value(message).ok()?;
    let (name, _) = value.as_object()?.iter().find(|(name, value)| {
        let is_wrapping = name.contains("ontextInfo")
            || name.contains("ontext_info")
            || name.to_lowercase().contains("senderkeydistribution")
            || name.contains("sender_key_distribution");
        !value.is_null() && !is_wrapping
    })?;
    Some(Content::new(name, "", json!({})))
}

/// Returns the inner message of a wrapper (disappearing, view-once, captioned and others).
fn unwrap(message: &wa::Message) -> Option<&wa::Message> {
    [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.document_with_caption_message,
        &message.edited_message,
        &message.group_mentioned_message,
        &message.bot_invoke_message,
        &message.lottie_sticker_message,
    ]
    .into_iter()
    .find_map(|wrapper| wrapper.as_option()?.message.as_option())
}

fn poll(message: &wa::Message) -> Option<&wa::message::PollCreationMessage> {
    [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}

/// Returns a plain text message.
pub(crate) fn text(text: &str) -> wa::Message {
    wa::Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use waproto::buffa::MessageField;
    use waproto::whatsapp as wa;

    use super::{describe, text};

    #[test]
    fn texts_are_shown_as_text() {
        let content = describe(&text("hello"));
        assert_eq!(
            content.map(|content| (content.kind, content.text)),
            Some(("text".to_owned(), "hello".to_owned()))
        );
    }

    #[test]
    fn a_disappearing_text_is_a_text() {
        let message = wa::Message {
            ephemeral_message: MessageField::some(wa::message::FutureProofMessage {
                message: MessageField::some(text("soon gone")),
            }),
            ..Default::default()
        };
        assert_eq!(
            describe(&message).map(|content| content.text),
            Some("soon gone".to_owned())
        );
    }

    #[test]
    fn a_rare_kind_is_named_after_its_field() {
        let message = wa::Message {
            pin_in_chat_message: MessageField::some(wa::message::PinInChatMessage::default()),
            ..Default::default()
        };
        assert!(
            describe(&message).is_some_and(|content| content.kind.to_lowercase().contains("pin"))
        );
    }

    #[test]
    fn an_empty_message_shows_nothing() {
        assert_eq!(describe(&wa::Message::default()), None);
    }
}
