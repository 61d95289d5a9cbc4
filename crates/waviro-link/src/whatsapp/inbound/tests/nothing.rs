//! Tests of messages without content. The link does not report such messages.

use super::*;

#[test]
fn an_edit_without_a_target_is_ignored() {
    for nameless in [None, Some(String::new())] {
        let mut edit = protocol(ProtocolType::MessageEdit, Some(typed("baru")));
        if let Some(instruction) = edit.protocol_message.as_option_mut() {
            instruction.key = MessageField::some(wa::MessageKey {
                id: nameless,
                ..Default::default()
            });
        }
        assert_eq!(translated(&edit), None);
    }
}

#[test]
fn a_message_without_content_is_ignored() {
    let empty = |text: Option<&str>| wa::Message {
        conversation: text.map(ToOwned::to_owned),
        message_context_info: MessageField::some(wa::MessageContextInfo {
            message_secret: Some(vec![1; 32]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let extended = wa::Message {
        extended_text_message: MessageField::some(wa::message::ExtendedTextMessage::default()),
        ..Default::default()
    };
    let wrapper = wa::Message {
        ephemeral_message: MessageField::some(wa::message::FutureProofMessage::default()),
        ..Default::default()
    };
    for nothing in [
        wa::Message::default(),
        empty(None),
        empty(Some("")),
        extended,
        wrapper,
    ] {
        assert_eq!(translated(&nothing), None, "{nothing:?}");
        let wrapped_nothing = wa::Message {
            ephemeral_message: wrapped(nothing),
            ..Default::default()
        };
        assert_eq!(translated(&wrapped_nothing), None);
    }
    assert_eq!(translated(&empty(Some(" "))), Some(text(" ")));
    // A message of an unknown kind still has content.
    let other = wa::Message {
        payment_invite_message: MessageField::some(wa::message::PaymentInviteMessage::default()),
        ..Default::default()
    };
    assert_eq!(
        translated(&other),
        Some(InboundKind::Other("other".to_owned()))
    );
}
