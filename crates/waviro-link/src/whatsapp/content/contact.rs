//! Contacts in vCard 3.0 (RFC 2426), the version of WhatsApp's clients.

use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use whatsapp_rust::waproto;

use crate::{Card, Contact};

pub(super) fn outgoing(contact: &Contact) -> wa::Message {
    let card = wa::message::ContactMessage {
        display_name: Some(contact.name.clone()),
        vcard: Some(vcard(contact)),
        ..Default::default()
    };
    wa::Message {
        contact_message: MessageField::some(card),
        ..Default::default()
    }
}

/// Returns the contact cards in a message.
pub(super) fn inbound(base: &wa::Message) -> Option<Vec<Card>> {
    let one = base.contact_message.as_option();
    let many = base.contacts_array_message.as_option();
    let cards: Vec<_> = one
        .into_iter()
        .chain(many.into_iter().flat_map(|many| &many.contacts))
        .map(|card| Card {
            name: card.display_name.clone().unwrap_or_default(),
            vcard: card.vcard.clone().unwrap_or_default(),
        })
        .collect();
    (!cards.is_empty()).then_some(cards)
}

/// Creates one card with all numbers. WhatsApp's own parameter `waid` makes the phone offer a chat
/// with the number.
fn vcard(contact: &Contact) -> String {
    let name = escaped(&contact.name);
    let mut lines = vec![
        "BEGIN:VCARD".to_owned(),
        "VERSION:3.0".to_owned(),
        // The five parts of a name are: family, given, additional, prefixes, suffixes. The gateway
        // has only one text.
        format!("N:;{name};;;"),
        format!("FN:{name}"),
    ];
    for number in &contact.numbers {
        lines.push(format!("TEL;type=CELL;waid={number}:+{number}"));
    }
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// Escapes a text (RFC 2426, section 4): a backslash before separators, and `\n` for a line break.
/// All seven Unicode line breaks (UTS #18, RL1.6) are escaped, because readers differ in the line
/// breaks that they accept. A name therefore cannot add a line to the card.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' | ',' | ';' => escaped.extend(['\\', letter]),
            '\r' => {
                letters.next_if_eq(&'\n');
                escaped.push_str("\\n");
            }
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str("\\n");
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_are_on_one_card() {
        let contact = Contact {
            name: "Test".to_owned(),
            numbers: vec![
                "6281240000001".parse().unwrap(),
                "6281250000002".parse().unwrap(),
            ],
        };
        assert_eq!(
            vcard(&contact),
            "BEGIN:VCARD\nVERSION:3.0\nN:;Test;;;\nFN:Test\n\
             TEL;type=CELL;waid=6281240000001:+6281240000001\n\
             TEL;type=CELL;waid=6281250000002:+6281250000002\nEND:VCARD"
        );
    }

    #[test]
    fn a_name_cannot_add_a_line_to_the_card() {
        let name = "Toko; \"Budi\", Jl. A\\B\r\nTEL:+1\rEND:VCARD\nx\u{2028}y\u{b}z";
        assert_eq!(
            escaped(name),
            "Toko\\; \"Budi\"\\, Jl. A\\\\B\\nTEL:+1\\nEND:VCARD\\nx\\ny\\nz"
        );
    }
}
