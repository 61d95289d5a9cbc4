//! The page to send a message: a form for each kind of content, the API's response, and the same
//! call as sample programs.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use super::state::Dashboard;
use crate::api::number::meant;
use crate::docs::{Sample, samples_of};
use crate::http::Origin;
use crate::v1::bots::BotView;
use crate::v1::messages;

/// A kind of content with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormKind {
    Text,
    Media,
    Location,
    Contact,
}

/// The placeholder for the bot's key, because the dashboard does not know the key.
pub(super) const MASKED: &str = "••••••••";

#[derive(Template)]
#[template(path = "dashboard/send.html")]
struct Page<'p> {
    context: PageContext,
    bot: BotView,
    kind: FormKind,
    form: &'p Form,
    sent: Option<Sent>,
    wrong: Option<Refused>,
}

/// The result of a form.
struct Sent {
    id: String,
    answer: String,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
pub(super) struct SendQuery {
    #[serde(default)]
    kind: String,
}

impl FormKind {
    /// All kinds. The first is the default.
    const ALL: [Self; 4] = [Self::Text, Self::Media, Self::Location, Self::Contact];

    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Media => "media",
            Self::Location => "location",
            Self::Contact => "contact",
        }
    }

    /// Returns the name of the kind in the menu.
    fn label(self, context: &PageContext) -> &'static str {
        let text = context.text;
        text.message_kind
            .named(self.word())
            .unwrap_or(text.common.file)
    }

    fn named(word: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.word() == word).unwrap_or(Self::Text)
    }
}

/// Shows the form for a kind of content.
pub(super) async fn form(
    me: Me,
    Path(bot): Path<i32>,
    Query(asked): Query<SendQuery>,
) -> Result<Response, PageError> {
    if !me.context.may_change() {
        return Err(Refused::read_only().into());
    }
    let kind = FormKind::named(&asked.kind);
    page(me, bot, kind, &Form::default(), None, None).await
}

/// Sends the message.
pub(super) async fn send(
    State(dashboard): State<Arc<Dashboard>>,
    mut me: Me,
    Path(bot): Path<i32>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, PageError> {
    let kind = FormKind::named(form.raw("kind"));
    let path = format!("/v1/bots/{bot}/messages");
    let sent = me.once(
        &form,
        &path,
        message(kind, &form),
        move |asked| async move {
            let (at, keyed) = (asked.changes(bot)?, asked.keyed.clone());
            messages::send::send(&asked.services, &at, keyed, asked.body()?).await
        },
    );
    match sent.await {
        Ok((message, before)) => {
            me.context.repeated = before;
            let origin = Origin::of(&headers, &dashboard.base);
            let (path, call) = as_call(kind, &form);
            let answer = serde_json::to_value(&message).unwrap_or_default();
            let sent = Sent {
                id: message.id,
                answer: serde_json::to_string_pretty(&answer).unwrap_or_default(),
                samples: samples_of(&origin, &path, MASKED, &call),
            };
            page(me, bot, kind, &form, Some(sent), None).await
        }
        Err(refused) => page(me, bot, kind, &form, None, Some(refused)).await,
    }
}

/// Returns the body for the administration API. The API refuses a text in place of a number, with
/// the name of the field.
fn message(kind: FormKind, form: &Form) -> Value {
    let mut message = Map::from_iter([("to".to_owned(), Value::from(chat(form)))]);
    let (field, value) = match kind {
        FormKind::Media => (
            "media",
            json!({"url": form.raw("url").trim(), "caption": form.get("caption")}),
        ),
        FormKind::Location => (
            "location",
            json!({"latitude": degrees(form, "latitude"), "longitude": degrees(form, "longitude"), "name": form.get("name")}),
        ),
        FormKind::Contact => (
            "contact",
            json!({"name": form.raw("name"), "numbers": numbers(form.raw("numbers"))}),
        ),
        FormKind::Text => ("text", Value::from(form.raw("text").replace("\r\n", "\n"))),
    };
    message.insert(field.to_owned(), value);
    if let Some(url) = form.get("notify_url") {
        message.insert("notify_url".to_owned(), url.into());
    }
    Value::Object(message)
}

/// Returns the recipient: a number in any common form, or a group id. The API refuses any other
/// text.
fn chat(form: &Form) -> String {
    as_number(form.raw("to").trim())
}

/// Returns a typed number in the API's form; an ambiguous number stays unchanged.
pub(super) fn as_number(typed: &str) -> String {
    meant(typed).map_or_else(|| typed.to_owned(), |number| number.to_string())
}

/// Parses degrees, also with a decimal comma. The API refuses any other text.
fn degrees(form: &Form, name: &str) -> Value {
    let said = form.raw(name).trim().replace(',', ".");
    said.parse::<f64>().map_or(Value::from(said), Value::from)
}

fn numbers(text: &str) -> Vec<String> {
    let parts = text.split([',', ';', '\n']).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(as_number)
        .collect()
}

/// Returns the path and body of the same call of the `/api` endpoints.
fn as_call(kind: FormKind, form: &Form) -> (String, Value) {
    let to = chat(form);
    // A group id is longer than any phone number.
    let group = to.len() > 15;
    let (name, fields) = match kind {
        FormKind::Media => (
            "sendmedia",
            json!({"mediaurl": form.raw("url").trim(), "pesan": form.get("caption").unwrap_or_default()}),
        ),
        FormKind::Location => (
            "sendlocation",
            json!({"latitude": degrees(form, "latitude"), "longitude": degrees(form, "longitude"), "pesan": form.get("name").unwrap_or_default()}),
        ),
        FormKind::Contact => (
            "sendcontact",
            json!({"contact": {"name": form.raw("name"), "numbers": numbers(form.raw("numbers"))}}),
        ),
        FormKind::Text => (
            "sendwa",
            json!({"pesan": form.raw("text").replace("\r\n", "\n")}),
        ),
    };
    let mut body = Map::new();
    let (path, to_field) = if group {
        (format!("/api/{name}togroup"), "groupid")
    } else {
        (format!("/api/{name}"), "nohp")
    };
    body.insert(to_field.to_owned(), to.into());
    if let Value::Object(fields) = fields {
        body.extend(fields);
    }
    if let Some(url) = form.get("notify_url") {
        body.insert("notifyurl".to_owned(), url.into());
    }
    (path, Value::Object(body))
}

async fn page(
    me: Me,
    bot: i32,
    kind: FormKind,
    form: &Form,
    sent: Option<Sent>,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let bot = me.bot(bot).await?;
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        kind,
        form,
        sent,
        wrong,
    };
    Ok(me.context.show(status, &page))
}
