//! Tests of the translation from WhatsApp's messages to the gateway's types.

mod nothing;

use super::*;
use crate::{Card, InboundMedia, Location};

fn wrapped(message: wa::Message) -> MessageField<wa::message::FutureProofMessage> {
    MessageField::some(wa::message::FutureProofMessage {
        message: MessageField::some(message),
    })
}

fn typed(text: &str) -> wa::Message {
    wa::Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    }
}

fn picture(caption: &str) -> wa::Message {
    wa::Message {
        image_message: MessageField::some(wa::message::ImageMessage {
            direct_path: Some("/v/x".to_owned()),
            media_key: Some(vec![1; 32]),
            file_sha256: Some(vec![2; 32]),
            file_enc_sha256: Some(vec![3; 32]),
            file_length: Some(9),
            mimetype: Some("image/jpeg".to_owned()),
            caption: Some(caption.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn translated(message: &wa::Message) -> Option<InboundKind> {
    let (chat, sender) = (Jid::pn("6281300000001"), Jid::pn("6281300000001"));
    let origin = media::Origin {
        id: "A1",
        chat: &chat,
        sender: &sender,
        from_me: false,
    };
    kind(unwrapped(message).0, &origin)
}

fn text(text: &str) -> InboundKind {
    InboundKind::Text(text.to_owned())
}

fn media_in(message: &wa::Message) -> InboundMedia {
    let file = match translated(message) {
        Some(InboundKind::Media(file)) => Some(*file),
        _ => None,
    };
    file.unwrap()
}

fn id(text: &str) -> MessageId {
    text.parse().unwrap()
}

fn key(id: &str) -> MessageField<wa::MessageKey> {
    MessageField::some(wa::MessageKey {
        id: Some(id.to_owned()),
        ..Default::default()
    })
}

fn protocol(kind: ProtocolType, new: Option<wa::Message>) -> wa::Message {
    wa::Message {
        protocol_message: MessageField::some(wa::message::ProtocolMessage {
            key: key("B2"),
            r#type: Some(kind),
            edited_message: new.map_or_else(MessageField::none, MessageField::some),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn wrappers_are_removed_in_any_order() {
    let once = wa::Message {
        view_once_message_v2: wrapped(picture("sekali")),
        ..Default::default()
    };
    assert_eq!(media_in(&once).caption.as_deref(), Some("sekali"));
    let soon_gone = wa::Message {
        ephemeral_message: wrapped(once),
        ..Default::default()
    };
    assert_eq!(media_in(&soon_gone).caption.as_deref(), Some("sekali"));
    let other_way_round = wa::Message {
        view_once_message: wrapped(wa::Message {
            ephemeral_message: wrapped(typed("halo")),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(translated(&other_way_round), Some(text("halo")));
    let of_an_album = wa::Message {
        associated_child_message: wrapped(picture("satu")),
        ..Default::default()
    };
    assert_eq!(media_in(&of_an_album).caption.as_deref(), Some("satu"));
    let sent_by_our_phone = wa::Message {
        device_sent_message: MessageField::some(wa::message::DeviceSentMessage {
            message: MessageField::some(typed("dari kami")),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(translated(&sent_by_our_phone), Some(text("dari kami")));
}

#[test]
fn endlessly_nested_wrappers_are_refused() {
    let mut deep = typed("x");
    for _ in 0..=DEPTH {
        deep = wa::Message {
            ephemeral_message: wrapped(deep),
            ..Default::default()
        };
    }
    assert_eq!(
        translated(&deep),
        Some(InboundKind::Other("other".to_owned()))
    );
}

#[test]
fn a_document_with_a_caption_is_a_document() {
    let document = wa::Message {
        document_message: MessageField::some(wa::message::DocumentMessage {
            direct_path: Some("/v/x".to_owned()),
            media_key: Some(vec![1; 32]),
            file_sha256: Some(vec![2; 32]),
            file_enc_sha256: Some(vec![3; 32]),
            title: Some("nota".to_owned()),
            caption: Some("lunas".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let captioned = wa::Message {
        document_with_caption_message: wrapped(document),
        ..Default::default()
    };
    let file = media_in(&captioned);
    assert_eq!(file.kind.word(), "document");
    assert_eq!(file.caption.as_deref(), Some("lunas"));
    assert_eq!(file.file_name.as_deref(), Some("nota"));
    assert_eq!((file.mime.as_str(), file.size), ("", 0));
}

#[test]
fn a_file_without_download_data_is_not_a_file() {
    let mut keyless = picture("lihat");
    if let Some(image) = keyless.image_message.as_option_mut() {
        image.media_key = None;
    }
    assert_eq!(
        translated(&keyless),
        Some(InboundKind::Other("image".to_owned()))
    );
}

#[test]
fn an_edit_is_recognised_in_both_forms_of_clients() {
    let edited = |text: &str| {
        Some(InboundKind::Edited {
            of: id("B2"),
            text: text.to_owned(),
        })
    };
    let bare = protocol(ProtocolType::MessageEdit, Some(typed("baru")));
    assert_eq!(translated(&bare), edited("baru"));
    let in_a_wrapper = wa::Message {
        edited_message: wrapped(bare),
        ..Default::default()
    };
    assert_eq!(translated(&in_a_wrapper), edited("baru"));
    let caption = protocol(ProtocolType::MessageEdit, Some(picture("tulisan baru")));
    assert_eq!(translated(&caption), edited("tulisan baru"));
    let nothing = protocol(ProtocolType::MessageEdit, None);
    assert_eq!(translated(&nothing), edited(""));
}

#[test]
fn an_edit_wrapper_without_an_instruction_is_still_an_edit() {
    let wrapper = wa::Message {
        edited_message: wrapped(typed("baru")),
        ..Default::default()
    };
    assert!(unwrapped(&wrapper).1);
    assert!(!unwrapped(&typed("baru")).1);
}

#[test]
fn a_deletion_names_the_deleted_message() {
    let (of, by_admin) = (id("B2"), false);
    let deleted = Some(InboundKind::Deleted { of, by_admin });
    assert_eq!(translated(&protocol(ProtocolType::Revoke, None)), deleted);
}

#[test]
fn key_sync_and_settings_messages_are_not_inbound_messages() {
    for kind in [
        ProtocolType::HistorySyncNotification,
        ProtocolType::AppStateSyncKeyShare,
        ProtocolType::AppStateSyncKeyRequest,
        ProtocolType::PeerDataOperationRequestResponseMessage,
        ProtocolType::LidMigrationMappingSync,
        ProtocolType::EphemeralSetting,
    ] {
        assert_eq!(translated(&protocol(kind, None)), None, "{kind:?}");
    }
    let keys = wa::Message {
        sender_key_distribution_message: MessageField::some(
            wa::message::SenderKeyDistributionMessage::default(),
        ),
        ..Default::default()
    };
    assert_eq!(translated(&keys), None);
    // The keys add nothing to a text.
    let both = wa::Message {
        conversation: Some("halo".to_owned()),
        ..keys
    };
    assert_eq!(translated(&both), Some(text("halo")));
}

#[test]
fn a_removed_reaction_is_empty() {
    let reaction = |emoji: Option<&str>| wa::Message {
        reaction_message: MessageField::some(wa::message::ReactionMessage {
            key: key("C3"),
            text: emoji.map(ToOwned::to_owned),
            ..Default::default()
        }),
        ..Default::default()
    };
    for (said, emoji) in [(Some("👍"), "👍"), (Some(""), ""), (None, "")] {
        let wanted = InboundKind::Reaction {
            to: id("C3"),
            emoji: emoji.to_owned(),
        };
        assert_eq!(translated(&reaction(said)), Some(wanted));
    }
    let hidden = wa::Message {
        enc_reaction_message: MessageField::some(wa::message::EncReactionMessage::default()),
        ..Default::default()
    };
    assert_eq!(
        translated(&hidden),
        Some(InboundKind::Other("reaction".to_owned()))
    );
}

#[test]
fn an_answer_is_the_shown_text_or_the_id_without_a_text() {
    use waproto::whatsapp::message::interactive_response_message as flow;
    let button = |title: Option<&str>| wa::Message {
        buttons_response_message: MessageField::some(wa::message::ButtonsResponseMessage {
            selected_button_id: Some("b-1".to_owned()),
            response: title.map(|title| {
                wa::message::buttons_response_message::Response::SelectedDisplayText(
                    title.to_owned(),
                )
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(translated(&button(Some("Ya"))), Some(text("Ya")));
    assert_eq!(translated(&button(None)), Some(text("b-1")));
    let answer = |title: Option<&str>| wa::Message {
        interactive_response_message: MessageField::some(wa::message::InteractiveResponseMessage {
            body: title.map_or_else(MessageField::none, |title| {
                MessageField::some(flow::Body {
                    text: Some(title.to_owned()),
                    ..Default::default()
                })
            }),
            interactive_response_message: Some(
                flow::InteractiveResponseMessage::NativeFlowResponseMessage(Box::new(
                    flow::NativeFlowResponseMessage {
                        name: Some("quick_reply".to_owned()),
                        params_json: Some(r#"{"id":"beli-1"}"#.to_owned()),
                        ..Default::default()
                    },
                )),
            ),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(translated(&answer(Some("Beli"))), Some(text("Beli")));
    assert_eq!(translated(&answer(None)), Some(text("beli-1")));
}

#[test]
fn a_location_with_invalid_coordinates_is_ignored() {
    let place = |latitude: f64, longitude: f64| wa::Message {
        location_message: MessageField::some(wa::message::LocationMessage {
            degrees_latitude: Some(latitude),
            degrees_longitude: Some(longitude),
            name: Some("Monas".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let monas = Location {
        latitude: -6.175,
        longitude: 106.827,
        name: Some("Monas".to_owned()),
    };
    assert_eq!(
        translated(&place(-6.175, 106.827)),
        Some(InboundKind::Location(monas))
    );
    for (latitude, longitude) in [(f64::NAN, 0.0), (91.0, 0.0), (0.0, f64::INFINITY)] {
        let other = InboundKind::Other("location".to_owned());
        assert_eq!(translated(&place(latitude, longitude)), Some(other));
    }
}

#[test]
fn one_and_several_contact_cards_are_recognised() {
    let card = |name: &str| wa::message::ContactMessage {
        display_name: Some(name.to_owned()),
        vcard: Some("BEGIN:VCARD".to_owned()),
        ..Default::default()
    };
    let many = wa::Message {
        contacts_array_message: MessageField::some(wa::message::ContactsArrayMessage {
            contacts: vec![card("Ani"), card("Budi")],
            ..Default::default()
        }),
        ..Default::default()
    };
    let shown = |name: &str| Card {
        name: name.to_owned(),
        vcard: "BEGIN:VCARD".to_owned(),
    };
    let wanted = InboundKind::Contacts(vec![shown("Ani"), shown("Budi")]);
    assert_eq!(translated(&many), Some(wanted));
}

#[test]
fn the_quoted_message_is_named_for_every_kind() {
    let context = || {
        MessageField::some(wa::ContextInfo {
            stanza_id: Some("Q1".to_owned()),
            ..Default::default()
        })
    };
    let answer = wa::Message {
        extended_text_message: MessageField::some(wa::message::ExtendedTextMessage {
            text: Some("ya".to_owned()),
            context_info: context(),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(quoted(&answer), Some(id("Q1")));
    let mut image = picture("");
    if let Some(image) = image.image_message.as_option_mut() {
        image.context_info = context();
    }
    assert_eq!(quoted(&image), Some(id("Q1")));
    assert_eq!(quoted(&typed("halo")), None);
}
