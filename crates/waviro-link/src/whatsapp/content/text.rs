//! Text messages, in both directions.

use waproto::whatsapp as wa;
use waproto::whatsapp::message::buttons_response_message::Response;
use waproto::whatsapp::message::interactive_response_message::InteractiveResponseMessage as Flow;
use whatsapp_rust::prelude::MessageBuilderExt;
use whatsapp_rust::serde_json::{self, Value};
use whatsapp_rust::waproto;

/// Creates a plain text message.
pub(in crate::whatsapp) fn outgoing(text: &str) -> wa::Message {
    wa::Message::text(text)
}

/// Returns the typed text, or the chosen option: its title, or its id if the option has no title.
pub(in crate::whatsapp) fn inbound(base: &wa::Message) -> Option<String> {
    let typed = base.conversation.as_deref();
    let extended = base.extended_text_message.as_option();
    [typed, extended.and_then(|it| it.text.as_deref())]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .map(ToOwned::to_owned)
        .or_else(|| chosen(base))
}

fn chosen(base: &wa::Message) -> Option<String> {
    let button = base.buttons_response_message.as_option();
    let label = button
        .and_then(|it| it.response.as_ref())
        .map(|Response::SelectedDisplayText(label)| label.as_str());
    let row = base.list_response_message.as_option();
    let template = base.template_button_reply_message.as_option();
    let flow = base.interactive_response_message.as_option();
    let titles = [
        label,
        row.and_then(|it| it.title.as_deref()),
        template.and_then(|it| it.selected_display_text.as_deref()),
        flow.and_then(|it| it.body.text.as_deref()),
    ];
    let ids = [
        button.and_then(|it| it.selected_button_id.as_deref()),
        row.and_then(|it| it.single_select_reply.selected_row_id.as_deref()),
        template.and_then(|it| it.selected_id.as_deref()),
    ];
    let mut known = titles.into_iter().chain(ids).flatten();
    known
        .find(|text| !text.is_empty())
        .map(ToOwned::to_owned)
        .or_else(|| flow_id(flow?.interactive_response_message.as_ref()?))
}

/// Returns the id in the JSON answer of a native flow: `{"id":"…"}`.
fn flow_id(Flow::NativeFlowResponseMessage(answer): &Flow) -> Option<String> {
    let params: Value = serde_json::from_str(answer.params_json.as_deref()?).ok()?;
    let id = params.get("id")?.as_str()?;
    (!id.is_empty()).then(|| id.to_owned())
}
