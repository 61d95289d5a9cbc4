//! Text, in both directions.

use waproto::whatsapp as wa;
use waproto::whatsapp::message::buttons_response_message::Response;
use whatsapp_rust::prelude::{MessageBuilderExt, MessageExt};
use whatsapp_rust::waproto;

/// A plain text message.
pub(super) fn outgoing(text: &str) -> wa::Message {
    wa::Message::text(text)
}

/// What a person typed or chose: text, a caption, a button's or a list row's label.
pub(super) fn inbound(message: &wa::Message) -> Option<String> {
    let base = message.get_base_message();
    let chosen = || {
        let button = base.buttons_response_message.as_option();
        let row = base.list_response_message.as_option();
        let template = base.template_button_reply_message.as_option();
        button
            .and_then(|answer| answer.response.as_ref())
            .map(|Response::SelectedDisplayText(label)| label.as_str())
            .or_else(|| row.and_then(|answer| answer.title.as_deref()))
            .or_else(|| template.and_then(|answer| answer.selected_display_text.as_deref()))
    };
    message
        .text_content()
        .or_else(|| message.get_caption())
        .or_else(chosen)
        .filter(|text| !text.is_empty())
        .map(ToOwned::to_owned)
}
