//! The options in a business message, and a person's choice: buttons, lists, templates, native
//! flows.

use serde_json::{Value, json};
use waproto::whatsapp as wa;
use waproto::whatsapp::hydrated_template_button::HydratedButton;
use waproto::whatsapp::message::buttons_response_message::Response;
use waproto::whatsapp::message::interactive_message::InteractiveMessage as Payload;
use waproto::whatsapp::message::interactive_response_message::InteractiveResponseMessage as Chosen;
use waproto::whatsapp::message::template_message::Format;

use super::entry::Content;

/// Describes a message with options or a choice. Returns `None` for any other message.
pub(super) fn describe(message: &wa::Message) -> Option<Content> {
    offer(message).or_else(|| choice(message))
}

fn offer(message: &wa::Message) -> Option<Content> {
    if let Some(buttons) = message.buttons_message.as_option() {
        let options = buttons.buttons.iter().map(|button| {
            let title = button.button_text.as_option();
            option(
                button.button_id.as_ref(),
                title.and_then(|text| text.display_text.as_ref()),
                None,
            )
        });
        return Some(shown(
            "buttons",
            buttons.content_text.as_ref(),
            &options.collect::<Vec<_>>(),
        ));
    }
    if let Some(list) = message.list_message.as_option() {
        let rows = list.sections.iter().flat_map(|section| &section.rows);
        let options = rows.map(|row| {
            option(
                row.row_id.as_ref(),
                row.title.as_ref(),
                row.description.as_ref(),
            )
        });
        let text = list.description.as_ref().or(list.title.as_ref());
        return Some(shown("list", text, &options.collect::<Vec<_>>()));
    }
    if let Some(template) = message.template_message.as_option() {
        let inside = match &template.format {
            Some(Format::HydratedFourRowTemplate(rows)) => Some(&**rows),
            _ => template.hydrated_template.as_option(),
        };
        let options = inside.into_iter().flat_map(|rows| &rows.hydrated_buttons);
        let options = options.filter_map(|button| match button.hydrated_button.as_ref()? {
            HydratedButton::QuickReplyButton(reply) => {
                Some(option(reply.id.as_ref(), reply.display_text.as_ref(), None))
            }
            // These buttons open a page or a call and have no answer.
            HydratedButton::UrlButton(_) | HydratedButton::CallButton(_) => None,
        });
        let text = inside.and_then(|rows| rows.hydrated_content_text.as_ref());
        return Some(shown("template", text, &options.collect::<Vec<_>>()));
    }
    let interactive = message.interactive_message.as_option()?;
    let options = match &interactive.interactive_message {
        Some(Payload::NativeFlowMessage(flow)) => flow
            .buttons
            .iter()
            .flat_map(|button| {
                let params = button.button_params_json.as_deref().unwrap_or_default();
                flow_options(&serde_json::from_str(params).unwrap_or_default())
            })
            .collect(),
        _ => Vec::new(),
    };
    let text = interactive
        .body
        .as_option()
        .and_then(|body| body.text.as_ref());
    Some(shown("interactive", text, &options))
}

/// Returns the options of a native flow: a quick reply is one option, and a `single_select` has
/// rows in sections. A button without an id has no answer.
fn flow_options(params: &Value) -> Vec<Value> {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let mut options = Vec::new();
    if let Some(id) = text(params, "id") {
        options.push(option(
            Some(&id),
            text(params, "display_text").as_ref(),
            None,
        ));
    }
    let sections = params["sections"].as_array().into_iter().flatten();
    for row in sections.flat_map(|section| section["rows"].as_array().into_iter().flatten()) {
        options.push(option(
            text(row, "id").as_ref(),
            text(row, "title").as_ref(),
            text(row, "description").as_ref(),
        ));
    }
    options
}

fn choice(message: &wa::Message) -> Option<Content> {
    let (to, id, title) = if let Some(reply) = message.buttons_response_message.as_option() {
        let title = reply.response.as_ref().map(|response| match response {
            Response::SelectedDisplayText(text) => text.clone(),
        });
        ("buttons", reply.selected_button_id.clone(), title)
    } else if let Some(reply) = message.list_response_message.as_option() {
        let row = reply.single_select_reply.as_option();
        (
            "list",
            row.and_then(|row| row.selected_row_id.clone()),
            reply.title.clone(),
        )
    } else if let Some(reply) = message.template_button_reply_message.as_option() {
        (
            "template",
            reply.selected_id.clone(),
            reply.selected_display_text.clone(),
        )
    } else {
        let reply = message.interactive_response_message.as_option()?;
        let id = reply
            .interactive_response_message
            .as_ref()
            .and_then(|chosen| {
                let Chosen::NativeFlowResponseMessage(flow) = chosen;
                let params = serde_json::from_str::<Value>(flow.params_json.as_deref()?).ok()?;
                params["id"].as_str().map(str::to_owned)
            });
        let title = reply.body.as_option().and_then(|body| body.text.clone());
        ("interactive", id, title)
    };
    let fields = json!({ "answer_to": to, "answer_id": id });
    let text = title.or(id).unwrap_or_default();
    Some(Content::new("answer", &text, fields))
}

fn shown(kind: &str, text: Option<&String>, options: &[Value]) -> Content {
    let text = text.map(String::as_str).unwrap_or_default();
    Content::new(kind, text, json!({ "options": options }))
}

fn option(id: Option<&String>, title: Option<&String>, description: Option<&String>) -> Value {
    json!({ "id": id.or(title), "title": title.or(id), "description": description })
}
