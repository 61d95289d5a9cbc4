//! Extracts the text of structured messages: templates, lists, buttons, interactive messages,
//! orders, products, polls.
//!
//! The text contains the parts shown on a phone, with one part per line.

use waproto::whatsapp as wa;
use waproto::whatsapp::message::buttons_message::Header;
use waproto::whatsapp::message::interactive_message::InteractiveMessage as Payload;
use waproto::whatsapp::message::template_message::Format;
use waproto::whatsapp::message::template_message::four_row_template::Title;
use waproto::whatsapp::message::template_message::hydrated_four_row_template::Title as HydratedTitle;
use whatsapp_rust::waproto;

use super::content::text;
use crate::InboundKind;

/// The maximum depth of nested messages, such as a template in a structured message or a card in a
/// carousel.
const DEPTH: usize = 4;

/// Returns the kind with its text; `None` for other kinds and for a message without text.
pub(super) fn inbound(base: &wa::Message) -> Option<InboundKind> {
    let mut lines = Lines::default();
    let word = lines.read(base)?;
    let text = lines.0.join("\n");
    (!text.is_empty()).then(|| InboundKind::Structured {
        word: word.to_owned(),
        text,
    })
}

/// The shown parts, from top to bottom.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, line: Option<&String>) {
        if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
            self.0.push(line.clone());
        }
    }

    /// Adds the text of a structured message and returns the kind. The kinds are the words used by
    /// [`super::inbound`] for a message without text.
    fn read(&mut self, base: &wa::Message) -> Option<&'static str> {
        if let Some(template) = base.template_message.as_option() {
            self.template(template, DEPTH);
            return Some("template");
        }
        if let Some(template) = base.highly_structured_message.as_option() {
            self.highly_structured(template, DEPTH);
            return Some("template");
        }
        if let Some(buttons) = base.buttons_message.as_option() {
            if let Some(Header::Text(title)) = &buttons.header {
                self.add(Some(title));
            }
            self.add(buttons.content_text.as_ref());
            self.add(buttons.footer_text.as_ref());
            return Some("buttons");
        }
        if let Some(list) = base.list_message.as_option() {
            self.add(list.title.as_ref());
            self.add(list.description.as_ref());
            self.add(list.footer_text.as_ref());
            return Some("list");
        }
        if let Some(interactive) = base.interactive_message.as_option() {
            self.interactive(interactive, DEPTH);
            return Some("interactive");
        }
        if let Some(order) = base.order_message.as_option() {
            // The customer's text comes first, because keywords are compared with the start of the
            // text.
            self.add(order.message.as_ref());
            self.add(order.order_title.as_ref());
            return Some("order");
        }
        if let Some(message) = base.product_message.as_option() {
            if let Some(product) = message.product.as_option() {
                self.add(product.title.as_ref());
                self.add(product.description.as_ref());
            }
            self.add(message.body.as_ref());
            self.add(message.footer.as_ref());
            return Some("product");
        }
        self.read_rarer(base)
    }

    fn read_rarer(&mut self, base: &wa::Message) -> Option<&'static str> {
        let polls = [
            &base.poll_creation_message,
            &base.poll_creation_message_v2,
            &base.poll_creation_message_v3,
            &base.poll_creation_message_v5,
            &base.poll_creation_message_v6,
        ];
        if let Some(poll) = polls.into_iter().find_map(|poll| poll.as_option()) {
            self.add(poll.name.as_ref());
            for option in &poll.options {
                self.add(option.option_name.as_ref());
            }
            return Some("poll");
        }
        if let Some(event) = base.event_message.as_option() {
            self.add(event.name.as_ref());
            self.add(event.description.as_ref());
            return Some("event");
        }
        if let Some(invite) = base.group_invite_message.as_option() {
            self.add(invite.caption.as_ref());
            self.add(invite.group_name.as_ref());
            return Some("group_invite");
        }
        if let Some(payment) = base.send_payment_message.as_option() {
            self.note(payment.note_message.as_option());
            return Some("payment");
        }
        if let Some(payment) = base.request_payment_message.as_option() {
            self.note(payment.note_message.as_option());
            return Some("payment_request");
        }
        if let Some(invoice) = base.invoice_message.as_option() {
            self.add(invoice.note.as_ref());
            return Some("invoice");
        }
        let comment = base.comment_message.as_option()?;
        self.note(comment.message.as_option());
        Some("comment")
    }

    /// Adds the text of a nested message.
    fn note(&mut self, message: Option<&wa::Message>) {
        self.add(message.and_then(text::inbound).as_ref());
    }

    fn template(&mut self, template: &wa::message::TemplateMessage, depth: usize) {
        match &template.format {
            Some(Format::HydratedFourRowTemplate(rows)) => self.hydrated(rows),
            Some(Format::FourRowTemplate(rows)) => {
                if let Some(Title::HighlyStructuredMessage(title)) = &rows.title {
                    self.highly_structured(title, depth);
                }
                for row in [&rows.content, &rows.footer] {
                    if let Some(row) = row.as_option() {
                        self.highly_structured(row, depth);
                    }
                }
            }
            Some(Format::InteractiveMessageTemplate(interactive)) => {
                self.interactive(interactive, depth);
            }
            None => {}
        }
        // Older senders repeat the template in a second field.
        if self.0.is_empty()
            && let Some(rows) = template.hydrated_template.as_option()
        {
            self.hydrated(rows);
        }
    }

    fn hydrated(&mut self, rows: &wa::message::template_message::HydratedFourRowTemplate) {
        if let Some(HydratedTitle::HydratedTitleText(title)) = &rows.title {
            self.add(Some(title));
        }
        self.add(rows.hydrated_content_text.as_ref());
        self.add(rows.hydrated_footer_text.as_ref());
    }

    /// Adds a message form. The receiver normally fills the form from its own copy of the form;
    /// without the copy, only the parameters are known.
    fn highly_structured(&mut self, message: &wa::message::HighlyStructuredMessage, depth: usize) {
        let hydrated = message.hydrated_hsm.as_option();
        match (hydrated, depth.checked_sub(1)) {
            (Some(template), Some(depth)) => self.template(template, depth),
            _ => {
                for parameter in &message.params {
                    self.add(Some(parameter));
                }
            }
        }
    }

    fn interactive(&mut self, message: &wa::message::InteractiveMessage, depth: usize) {
        if let Some(header) = message.header.as_option() {
            self.add(header.title.as_ref());
            self.add(header.subtitle.as_ref());
        }
        if let Some(body) = message.body.as_option() {
            self.add(body.text.as_ref());
        }
        if let Some(footer) = message.footer.as_option() {
            self.add(footer.text.as_ref());
        }
        if let (Some(Payload::CarouselMessage(carousel)), Some(depth)) =
            (&message.interactive_message, depth.checked_sub(1))
        {
            for card in &carousel.cards {
                self.interactive(card, depth);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use waproto::buffa::MessageField;

    use super::*;

    fn translated(message: &wa::Message) -> Option<(String, String)> {
        match inbound(message) {
            Some(InboundKind::Structured { word, text }) => Some((word, text)),
            _ => None,
        }
    }

    fn is(word: &str, text: &str) -> (String, String) {
        (word.to_owned(), text.to_owned())
    }

    fn interactive(
        body: &str,
        cards: Vec<wa::message::InteractiveMessage>,
    ) -> wa::message::InteractiveMessage {
        use wa::message::interactive_message::{Body, CarouselMessage, Footer, Header};
        wa::message::InteractiveMessage {
            header: MessageField::some(Header {
                title: Some("Judul".to_owned()),
                ..Default::default()
            }),
            body: MessageField::some(Body {
                text: Some(body.to_owned()),
            }),
            footer: MessageField::some(Footer {
                text: Some(" ".to_owned()),
                ..Default::default()
            }),
            interactive_message: (!cards.is_empty()).then(|| {
                Payload::CarouselMessage(Box::new(CarouselMessage {
                    cards,
                    ..Default::default()
                }))
            }),
            ..Default::default()
        }
    }

    #[test]
    fn templates_are_read_in_every_form() {
        use wa::message::template_message::{FourRowTemplate, HydratedFourRowTemplate};
        let rows = || HydratedFourRowTemplate {
            title: Some(HydratedTitle::HydratedTitleText("Kode OTP".to_owned())),
            hydrated_content_text: Some("Kode Anda 1234".to_owned()),
            hydrated_footer_text: Some("Bank".to_owned()),
            ..Default::default()
        };
        let template = |format| wa::message::TemplateMessage {
            format,
            ..Default::default()
        };
        let message = |template| wa::Message {
            template_message: MessageField::some(template),
            ..Default::default()
        };
        let otp = Some(is("template", "Kode OTP\nKode Anda 1234\nBank"));
        let format = Format::HydratedFourRowTemplate(Box::new(rows()));
        assert_eq!(translated(&message(template(Some(format)))), otp);
        let mut old = template(None);
        old.hydrated_template = MessageField::some(rows());
        assert_eq!(translated(&message(old.clone())), otp);
        let structured = wa::message::HighlyStructuredMessage {
            hydrated_hsm: MessageField::some(old),
            ..Default::default()
        };
        let four = FourRowTemplate {
            content: MessageField::some(structured.clone()),
            ..Default::default()
        };
        let format = Format::FourRowTemplate(Box::new(four));
        assert_eq!(translated(&message(template(Some(format)))), otp);
        let alone = wa::Message {
            highly_structured_message: MessageField::some(structured),
            ..Default::default()
        };
        assert_eq!(translated(&alone), otp);
        let format = Format::InteractiveMessageTemplate(Box::new(interactive("Isi", vec![])));
        let flow = message(template(Some(format)));
        assert_eq!(translated(&flow), Some(is("template", "Judul\nIsi")));
    }

    #[test]
    fn a_carousel_is_read_card_by_card() {
        let cards = vec![interactive("Satu", vec![]), interactive("Dua", vec![])];
        let message = wa::Message {
            interactive_message: MessageField::some(interactive("Isi", cards)),
            ..Default::default()
        };
        let shown = "Judul\nIsi\nJudul\nSatu\nJudul\nDua";
        assert_eq!(translated(&message), Some(is("interactive", shown)));
    }

    #[test]
    fn a_message_without_text_has_no_text() {
        let message = wa::Message {
            order_message: MessageField::some(wa::message::OrderMessage::default()),
            ..Default::default()
        };
        assert_eq!(translated(&message), None);
        assert_eq!(translated(&wa::Message::default()), None);
    }
}
