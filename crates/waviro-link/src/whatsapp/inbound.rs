//! Translates an inbound message into the gateway's types: its author, its chat and its content.

use std::time::SystemTime;

use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use whatsapp_rust::types::durability_hook::InboundMessage;
use whatsapp_rust::types::message::{MessageCategory, MessageSource};
use whatsapp_rust::wacore_binary::JidExt as _;
use whatsapp_rust::{Client, Jid, waproto};

use super::admins::Admins;
use super::content::media;
use super::identity::{names, number, sender};
use super::{content, structured};
use crate::{Chat, Inbound, InboundKind, MessageId};

/// The maximum depth of nested wrappers; real messages have at most three.
const DEPTH: usize = 8;

/// Translates a message. Returns `None` for messages without content for the gateway: key
/// exchanges, the device's own housekeeping, empty messages, and deletions without permission.
pub(super) async fn inbound(
    client: &Client,
    admins: &Admins,
    message: &InboundMessage,
) -> Option<Inbound> {
    let (info, source) = (&message.info, &message.info.source);
    if info.category == MessageCategory::Peer {
        return None;
    }
    let (base, edit) = unwrapped(&message.message);
    let file = media::Origin {
        id: &info.id,
        chat: &source.chat,
        sender: &source.sender,
        from_me: source.is_from_me,
    };
    let mut kind = if edit && base.protocol_message.is_unset() {
        // If the edit does not name the edited message, the stanza may name it.
        let edited = info.meta_info.target_id.as_deref();
        edit_of(edited, Some(base), &file)?
    } else {
        kind(base, &file)?
    };
    let alternative = source.sender_alt.as_ref();
    let (by, alias) = match &mut kind {
        InboundKind::Edited { .. } => names(client, &source.sender, alternative).await,
        InboundKind::Deleted { by_admin, .. } => {
            let (by, alias) = names(client, &source.sender, alternative).await;
            if let Some(author) = named_author(base, source) {
                // The deletion names another person as the author.
                let (author, _) = names(client, &author, None).await;
                if author != by && Some(&author) != alias.as_ref() {
                    let own = [Some(&source.sender), alternative];
                    let own: Vec<&Jid> = own.into_iter().flatten().collect();
                    *by_admin = admins.has(client, &source.chat, &own).await;
                    if !*by_admin {
                        tracing::debug!("deletion ignored: the sender is not a group admin");
                        return None;
                    }
                }
            }
            (by, alias)
        }
        _ => (sender(client, &source.sender, alternative).await, None),
    };
    Some(Inbound {
        id: MessageId::from_wire(&info.id),
        chat: chat(client, source, info.peer_recipient_pn.as_ref()).await?,
        sender: by,
        alias,
        push_name: info.push_name.clone(),
        at: SystemTime::from(info.timestamp),
        from_me: source.is_from_me,
        quoted: quoted(base),
        kind,
    })
}

/// Returns the author of the deleted message if the deletion names the author. Deletions by admins
/// do.
fn named_author(base: &wa::Message, source: &MessageSource) -> Option<Jid> {
    let key = &base.protocol_message.as_option()?.key;
    if !source.chat.is_group() || key.from_me == Some(true) {
        return None;
    }
    key.participant.as_deref()?.parse().ok()
}

async fn chat(client: &Client, source: &MessageSource, recipient: Option<&Jid>) -> Option<Chat> {
    if source.chat.is_group() {
        return Some(Chat::Group(source.chat.user.parse().ok()?));
    }
    let (other, alternative) = if source.broadcast_list_owner.is_some() && !source.is_from_me {
        // A customer sent the message to a broadcast list: it belongs to the chat with the
        // customer, as on a phone.
        (&source.sender, source.sender_alt.as_ref())
    } else if source.is_from_me {
        // A message of the bot names the chat as its recipient; a message of the contact names it
        // as its sender.
        (&source.chat, source.recipient_alt.as_ref().or(recipient))
    } else {
        (&source.chat, source.sender_alt.as_ref())
    };
    if !(other.is_pn() || other.is_lid()) {
        return None;
    }
    Some(match number(client, other, alternative).await {
        Some(number) => Chat::Person(number),
        None => Chat::Hidden(other.user.to_string()),
    })
}

/// Returns the message inside its wrappers, and true if a wrapper marks it as an edit. The
/// library's own `get_base_message` knows fewer wrappers, and only in one order.
fn unwrapped(message: &wa::Message) -> (&wa::Message, bool) {
    let (mut base, mut edit) = (message, false);
    for _ in 0..DEPTH {
        let sent = base.device_sent_message.as_option();
        let wrapped = [
            &base.ephemeral_message,
            &base.view_once_message,
            &base.view_once_message_v2,
            &base.view_once_message_v2_extension,
            &base.document_with_caption_message,
            &base.edited_message,
            &base.associated_child_message,
            &base.group_mentioned_message,
            &base.bot_invoke_message,
            &base.lottie_sticker_message,
            &base.spoiler_message,
        ];
        let inner = sent.and_then(|sent| sent.message.as_option()).or_else(|| {
            wrapped
                .iter()
                .find_map(|it| it.as_option()?.message.as_option())
        });
        let Some(inner) = inner else { break };
        edit |= base.edited_message.is_set();
        base = inner;
    }
    (base, edit)
}

/// Returns the content of an unwrapped message; `None` if the message has no content for the
/// gateway.
fn kind(base: &wa::Message, file: &media::Origin<'_>) -> Option<InboundKind> {
    if let Some(content) = content::inbound(base, file) {
        return Some(content);
    }
    if let Some(structured) = structured::inbound(base) {
        return Some(structured);
    }
    if let Some(reaction) = base.reaction_message.as_option() {
        let emoji = reaction.text.clone().unwrap_or_default();
        return Some(match id(&reaction.key) {
            Some(to) => InboundKind::Reaction { to, emoji },
            None => InboundKind::Other("reaction".to_owned()),
        });
    }
    if let Some(protocol) = base.protocol_message.as_option() {
        return about_another(protocol, file);
    }
    other(base)
}

/// Returns the content of a protocol message for a deletion or an edit. The other protocol messages
/// are settings, keys and syncs.
fn about_another(
    protocol: &wa::message::ProtocolMessage,
    file: &media::Origin<'_>,
) -> Option<InboundKind> {
    // A missing field means the first value of the enum: the revocation.
    let kind = protocol.r#type.unwrap_or(ProtocolType::Revoke);
    if kind == ProtocolType::Revoke {
        let of = id(&protocol.key)?;
        let by_admin = false;
        return Some(InboundKind::Deleted { of, by_admin });
    }
    if kind == ProtocolType::MessageEdit {
        let new = protocol.edited_message.as_option();
        return edit_of(protocol.key.id.as_deref(), new, file);
    }
    None
}

/// Returns an edit; `None` if the edited message is not named.
fn edit_of(
    of: Option<&str>,
    new: Option<&wa::Message>,
    file: &media::Origin<'_>,
) -> Option<InboundKind> {
    let of = MessageId::from_wire(of.filter(|of| !of.is_empty())?);
    let new = new.and_then(|new| kind(unwrapped(new).0, file));
    let text = new.as_ref().and_then(InboundKind::text);
    Some(InboundKind::Edited {
        of,
        text: text.unwrap_or_default().to_owned(),
    })
}

/// Returns the word for a message of another kind.
fn other(base: &wa::Message) -> Option<InboundKind> {
    let polls = [
        &base.poll_creation_message,
        &base.poll_creation_message_v2,
        &base.poll_creation_message_v3,
        &base.poll_creation_message_v5,
        &base.poll_creation_message_v6,
    ];
    let words = [
        // A file without the data for a download.
        (base.image_message.is_set(), "image"),
        (
            base.video_message.is_set() || base.ptv_message.is_set(),
            "video",
        ),
        (base.audio_message.is_set(), "audio"),
        (base.document_message.is_set(), "document"),
        (base.sticker_message.is_set(), "sticker"),
        (base.sticker_pack_message.is_set(), "sticker_pack"),
        // A location with invalid coordinates.
        (
            base.location_message.is_set() || base.live_location_message.is_set(),
            "location",
        ),
        (base.contacts_array_message.is_set(), "contact"),
        (polls.iter().any(|poll| poll.is_set()), "poll"),
        (base.poll_creation_message_v4.is_set(), "poll"),
        (base.poll_update_message.is_set(), "poll_vote"),
        // The content has a second encryption, with a key that the device never got.
        (base.enc_reaction_message.is_set(), "reaction"),
        (base.secret_encrypted_message.is_set(), "encrypted"),
        (
            base.comment_message.is_set() || base.enc_comment_message.is_set(),
            "comment",
        ),
        (base.event_message.is_set(), "event"),
        (base.group_invite_message.is_set(), "group_invite"),
        (base.product_message.is_set(), "product"),
        (base.order_message.is_set(), "order"),
        (base.send_payment_message.is_set(), "payment"),
        (base.request_payment_message.is_set(), "payment_request"),
        (base.invoice_message.is_set(), "invoice"),
        (base.buttons_message.is_set(), "buttons"),
        (base.list_message.is_set(), "list"),
        (base.template_message.is_set(), "template"),
        (base.interactive_message.is_set(), "interactive"),
        (base.album_message.is_set(), "album"),
        (base.pin_in_chat_message.is_set(), "pin"),
        (base.keep_in_chat_message.is_set(), "keep"),
        (base.call_log_messsage.is_set(), "call_log"),
        (
            base.scheduled_call_creation_message.is_set(),
            "scheduled_call",
        ),
    ];
    let word = words.iter().find_map(|(is, word)| is.then_some(*word));
    // The sender keys of a group arrive together with messages or alone.
    let keys = base.sender_key_distribution_message.is_set()
        || base
            .fast_ratchet_key_sender_key_distribution_message
            .is_set()
        || base.message_history_bundle.is_set()
        || base.message_history_notice.is_set();
    match word {
        Some(word) => Some(InboundKind::Other(word.to_owned())),
        None if keys || is_empty(base) => None,
        None => Some(InboundKind::Other("other".to_owned())),
    }
}

/// Returns true if a message without any known content has no other content either, apart from
/// wrappers and context.
fn is_empty(base: &wa::Message) -> bool {
    let mut rest = base.clone();
    // The caller has already checked for text.
    rest.conversation = None;
    rest.extended_text_message = MessageField::none();
    rest.message_context_info = MessageField::none();
    if !rest.device_sent_message.message.is_set() {
        rest.device_sent_message = MessageField::none();
    }
    for wrapper in [
        &mut rest.ephemeral_message,
        &mut rest.view_once_message,
        &mut rest.view_once_message_v2,
        &mut rest.view_once_message_v2_extension,
        &mut rest.document_with_caption_message,
        &mut rest.edited_message,
        &mut rest.associated_child_message,
        &mut rest.group_mentioned_message,
        &mut rest.bot_invoke_message,
        &mut rest.lottie_sticker_message,
        &mut rest.spoiler_message,
    ] {
        if !wrapper.message.is_set() {
            *wrapper = MessageField::none();
        }
    }
    waproto::codec::message_encoded_len(&rest) == 0
}

fn id(key: &wa::MessageKey) -> Option<MessageId> {
    let id = key.id.as_deref().filter(|id| !id.is_empty())?;
    Some(MessageId::from_wire(id))
}

/// Returns the quoted message. Each kind of message has its own field for the quote.
fn quoted(base: &wa::Message) -> Option<MessageId> {
    macro_rules! contexts {
        ($($kind:ident),+ $(,)?) => {
            [$(base.$kind.as_option().and_then(|it| it.context_info.as_option())),+]
        };
    }
    let contexts = contexts![
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        buttons_response_message,
        list_response_message,
        template_button_reply_message,
        interactive_response_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
        product_message,
        order_message,
        group_invite_message,
        event_message,
    ];
    let quoted = contexts
        .into_iter()
        .flatten()
        .find_map(|context| context.stanza_id.as_deref())?;
    (!quoted.is_empty()).then(|| MessageId::from_wire(quoted))
}

#[cfg(test)]
mod tests;
