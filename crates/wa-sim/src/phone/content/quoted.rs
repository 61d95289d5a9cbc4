//! The quoted message of a reply.

use waproto::whatsapp as wa;

use super::entry::Quoted;

/// Returns the quoted message. Each kind of message has its own field for the quote.
pub(super) fn of(message: &wa::Message) -> Option<Quoted> {
    macro_rules! contexts {
        ($($kind:ident),+ $(,)?) => {
            [$(message.$kind.as_option().and_then(|it| it.context_info.as_option())),+]
        };
    }
    let contexts = contexts![
        extended_text_message,
        image_message,
        video_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        contact_message,
        contacts_array_message,
        buttons_message,
        list_message,
        template_message,
        interactive_message,
        buttons_response_message,
        list_response_message,
        template_button_reply_message,
        interactive_response_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
    ];
    let context = contexts
        .into_iter()
        .flatten()
        .find(|context| context.stanza_id.is_some())?;
    // Only the first level of quotes is kept, because a phone shows one level.
    let inside = context.quoted_message.as_option().and_then(super::plain);
    let (kind, text) = inside.map_or_else(
        || ("text".to_owned(), String::new()),
        |content| (content.kind, content.text),
    );
    Some(Quoted {
        id: context.stanza_id.clone()?,
        author: context.participant.clone(),
        kind,
        text,
    })
}
