//! Builds the protobuf message for something that a phone sends.

use std::fmt::Write as _;

use rand::RngExt as _;
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::outgoing::{AnswerTo, ContactCard, Outgoing, SendError};
use super::upload::Uploaded;
use super::{Phone, content};
use crate::number::digits;
use crate::world::inbox::InboxMessage;

/// The chat of an outgoing message, as the sending phone sees the chat.
pub(super) struct ChatContext {
    /// A number or a group id.
    pub(super) chat: String,
    pub(super) jid: Jid,
    /// True if people are named by LID in the chat.
    pub(super) by_lid: bool,
    pub(super) is_group: bool,
}

/// Builds the message. If the message has a file, the file is uploaded to the media host.
pub(super) fn message(
    phone: &Phone,
    outgoing: Outgoing,
    place: &ChatContext,
) -> Result<wa::Message, SendError> {
    Ok(match outgoing {
        Outgoing::Text(text) => content::text(&text),
        Outgoing::Media(media) => {
            let key = phone.account.signal.lock().rng().random();
            let file = Uploaded::new(&phone.world, media.kind, &media.bytes, &key)?;
            content::media::message(media, file)
        }
        Outgoing::Location {
            latitude,
            longitude,
            name,
        } => wa::Message {
            location_message: MessageField::some(wa::message::LocationMessage {
                degrees_latitude: Some(latitude),
                degrees_longitude: Some(longitude),
                name,
                ..Default::default()
            }),
            ..Default::default()
        },
        Outgoing::Contact { name, numbers } => wa::Message {
            contact_message: MessageField::some(card(ContactCard { name, numbers })),
            ..Default::default()
        },
        Outgoing::Contacts(cards) => wa::Message {
            contacts_array_message: MessageField::some(wa::message::ContactsArrayMessage {
                display_name: Some(format!("{} contacts", cards.len())),
                contacts: cards.into_iter().map(card).collect(),
                ..Default::default()
            }),
            ..Default::default()
        },
        Outgoing::Reaction { to, emoji } => wa::Message {
            reaction_message: MessageField::some(wa::message::ReactionMessage {
                key: key(phone, place, &shown(phone, place, &to)?),
                text: Some(emoji),
                sender_timestamp_ms: i64::try_from(phone.world.now().saturating_mul(1000)).ok(),
                ..Default::default()
            }),
            ..Default::default()
        },
        Outgoing::Edit { of, text } => {
            // Like a real phone: the edit is inside a wrapper, for readers that do not know edits.
            let new = MessageField::some(content::text(&text));
            let instruction = protocol(phone, place, &of, ProtocolType::MessageEdit, new)?;
            wa::Message {
                edited_message: wrapped(instruction),
                ..Default::default()
            }
        }
        Outgoing::Revoke { of } => protocol(
            phone,
            place,
            &of,
            ProtocolType::Revoke,
            MessageField::none(),
        )?,
        Outgoing::Answer { to, id, title } => answer(to, id, title),
        Outgoing::Reply { to, with } => {
            let target = shown(phone, place, &to)?;
            let mut message = message(phone, *with, place)?;
            message.set_context_info(wa::ContextInfo {
                stanza_id: Some(target.id.clone()),
                participant: author(phone, place, &target),
                quoted_message: MessageField::some(content::text(&target.text)),
                ..Default::default()
            });
            message
        }
        Outgoing::Raw(bytes) => waproto::codec::message_decode(&bytes)
            .map_err(|error| SendError::Unreadable(error.to_string()))?,
        Outgoing::ViewOnce(inner) => wa::Message {
            view_once_message_v2: wrapped(message(phone, *inner, place)?),
            ..Default::default()
        },
        Outgoing::Disappearing(inner) => wa::Message {
            ephemeral_message: wrapped(message(phone, *inner, place)?),
            ..Default::default()
        },
    })
}

fn wrapped(message: wa::Message) -> MessageField<wa::message::FutureProofMessage> {
    MessageField::some(wa::message::FutureProofMessage {
        message: MessageField::some(message),
    })
}

/// Returns the message with an id in this chat of the phone.
fn shown(phone: &Phone, place: &ChatContext, id: &str) -> Result<InboxMessage, SendError> {
    let inbox = phone.account.inbox.lock();
    let found = inbox.find(&place.chat, id).cloned();
    found.ok_or_else(|| SendError::UnknownMessage(id.to_owned()))
}

/// Returns the key of a message, in the form used by the members of the chat.
fn key(phone: &Phone, place: &ChatContext, target: &InboxMessage) -> MessageField<wa::MessageKey> {
    MessageField::some(wa::MessageKey {
        remote_jid: Some(place.jid.to_string()),
        from_me: Some(target.from_me),
        id: Some(target.id.clone()),
        participant: place
            .is_group
            .then(|| author(phone, place, target))
            .flatten(),
    })
}

fn author(phone: &Phone, place: &ChatContext, target: &InboxMessage) -> Option<String> {
    let account = phone.world.account_by_number(&target.from)?;
    Some(account.jid(place.by_lid).to_string())
}

/// Builds a protocol message about a message of the phone's own account.
fn protocol(
    phone: &Phone,
    place: &ChatContext,
    of: &str,
    kind: ProtocolType,
    new: MessageField<wa::Message>,
) -> Result<wa::Message, SendError> {
    let target = shown(phone, place, of)?;
    if !target.from_me {
        return Err(SendError::NotOwn(of.to_owned()));
    }
    Ok(wa::Message {
        protocol_message: MessageField::some(wa::message::ProtocolMessage {
            key: key(phone, place, &target),
            r#type: Some(kind),
            edited_message: new,
            timestamp_ms: i64::try_from(phone.world.now().saturating_mul(1000)).ok(),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn answer(to: AnswerTo, id: String, title: Option<String>) -> wa::Message {
    use waproto::whatsapp::message::buttons_response_message::Response;
    use waproto::whatsapp::message::interactive_response_message as flow;
    use waproto::whatsapp::message::list_response_message::SingleSelectReply;
    match to {
        AnswerTo::Buttons => wa::Message {
            buttons_response_message: MessageField::some(wa::message::ButtonsResponseMessage {
                selected_button_id: Some(id),
                response: title.map(Response::SelectedDisplayText),
                ..Default::default()
            }),
            ..Default::default()
        },
        AnswerTo::List => wa::Message {
            list_response_message: MessageField::some(wa::message::ListResponseMessage {
                title,
                single_select_reply: MessageField::some(SingleSelectReply {
                    selected_row_id: Some(id),
                }),
                ..Default::default()
            }),
            ..Default::default()
        },
        AnswerTo::Template => wa::Message {
            template_button_reply_message: MessageField::some(
                wa::message::TemplateButtonReplyMessage {
                    selected_id: Some(id),
                    selected_display_text: title,
                    ..Default::default()
                },
            ),
            ..Default::default()
        },
        AnswerTo::Interactive => wa::Message {
            interactive_response_message: MessageField::some(
                wa::message::InteractiveResponseMessage {
                    body: title.map_or_else(MessageField::none, |text| {
                        MessageField::some(flow::Body {
                            text: Some(text),
                            ..Default::default()
                        })
                    }),
                    interactive_response_message: Some(
                        flow::InteractiveResponseMessage::NativeFlowResponseMessage(Box::new(
                            flow::NativeFlowResponseMessage {
                                name: Some("quick_reply".to_owned()),
                                params_json: Some(serde_json::json!({ "id": id }).to_string()),
                                ..Default::default()
                            },
                        )),
                    ),
                    ..Default::default()
                },
            ),
            ..Default::default()
        },
    }
}

fn card(card: ContactCard) -> wa::message::ContactMessage {
    wa::message::ContactMessage {
        vcard: Some(vcard(&card.name, &card.numbers)),
        display_name: Some(card.name),
        ..Default::default()
    }
}

/// Returns a contact card in the format of phones. The parameter `waid` marks a number as a
/// WhatsApp number.
fn vcard(name: &str, numbers: &[String]) -> String {
    let name = name.replace(['\r', '\n'], " ");
    let lines = numbers.iter().fold(String::new(), |mut lines, number| {
        let number = digits(number);
        let _ = writeln!(lines, "TEL;type=CELL;type=VOICE;waid={number}:+{number}");
        lines
    });
    format!("BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{lines}END:VCARD")
}
