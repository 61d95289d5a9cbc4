//! The page of a delivery: each attempt with its request and response, and a replay with the same
//! or another body.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::causes;
use super::errors::PageError;
use super::form::Form;
use super::page_context::PageContext;
use super::refused::Refused;
use super::session::Me;
use crate::v1::bots::{self, BotView};
use crate::v1::causes::AttemptCauseCode;
use crate::v1::deliveries::{self, AttemptView, FullDelivery, replay};

#[derive(Template)]
#[template(path = "dashboard/delivery.html")]
struct Page {
    context: PageContext,
    bot: BotView,
    delivery: FullDelivery,
    /// The content of the field for another body.
    draft: String,
    wrong: Option<Refused>,
}

/// Shows the delivery.
pub(super) async fn show(me: Me, Path((bot, id)): Path<(i32, i64)>) -> Result<Response, PageError> {
    page(me, bot, id, None, None).await
}

/// Replays the delivery.
pub(super) async fn again(
    me: Me,
    Path((bot, id)): Path<(i32, i64)>,
    form: Form,
) -> Result<Response, PageError> {
    let draft = match form.raw("do") {
        "again" => None,
        "edited" => Some(form.raw("body").replace("\r\n", "\n")),
        _ => return Err(PageError::BadForm),
    };
    let mut body = json!({"reply": form.get("reply").is_some()});
    if let Some(draft) = &draft {
        body["body"] = Value::from(draft.as_str());
    }
    let path = format!("/v1/bots/{bot}/deliveries/{id}/replay");
    let asked = me.once(&form, &path, body, move |asked| async move {
        replay::again(&asked.services, &asked.changes(bot)?, id, asked.body()?).await
    });
    match asked.await {
        // A replay with another body creates a new delivery.
        Ok((due, before)) => {
            let back = format!("{}/bots/{bot}/deliveries/{}", me.context.home, due.id);
            Ok(PageContext::onward(&back, before).into_response())
        }
        Err(refused) => page(me, bot, id, draft, Some(refused)).await,
    }
}

async fn page(
    me: Me,
    bot: i32,
    id: i64,
    draft: Option<String>,
    wrong: Option<Refused>,
) -> Result<Response, PageError> {
    let shown = me.ask(async {
        let (services, at) = (&me.services, me.sees(bot)?);
        Ok((
            bots::show(services, &at).await?,
            deliveries::show(services, &at, id).await?,
        ))
    });
    let (bot, mut delivery) = shown.await?;
    // The latest attempt comes first.
    delivery.attempts.reverse();
    let status = Refused::status_of(wrong.as_ref());
    let page = Page {
        context: me.context.clone(),
        bot,
        draft: draft.unwrap_or_else(|| delivery.posting().unwrap_or_default()),
        delivery,
        wrong,
    };
    Ok(me.context.show(status, &page))
}

/// Returns the type of the event in a body; the body of a keyword webhook has none.
fn event(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["type"].as_str().map(ToOwned::to_owned)
}

/// The maximum number of bytes of a body to format; a longer body is shown unchanged.
const PRETTIEST: usize = 16 * 1024;

/// The maximum number of brackets of a body to format.
const DEEPEST: usize = 400;

/// Formats JSON with line breaks and indentation. Only white space changes: an edited body must
/// keep the order of its fields. A text that is not JSON is returned unchanged.
pub(super) fn pretty(text: &str) -> String {
    // A long and deeply nested body would grow a thousandfold with indentation.
    let deep = text.bytes().filter(|byte| b"[{".contains(byte)).count();
    if text.len() > PRETTIEST || deep > DEEPEST || serde_json::from_str::<IgnoredAny>(text).is_err()
    {
        return text.to_owned();
    }
    let (mut written, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let mut all = text.chars().peekable();
    while let Some(one) = all.next() {
        if quoted {
            written.push(one);
            quoted = escaped || one != '"';
            escaped = !escaped && one == '\\';
            continue;
        }
        match one {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                written.push(one);
                while all.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = all.next_if(|next| matches!(next, '}' | ']')) {
                    written.push(end);
                } else {
                    depth += 1;
                    new_line(&mut written, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut written, depth);
                written.push(one);
            }
            ',' => {
                written.push(one);
                new_line(&mut written, depth);
            }
            ':' => written.push_str(": "),
            _ => {
                quoted = one == '"';
                written.push(one);
            }
        }
    }
    written
}

fn new_line(written: &mut String, depth: usize) {
    written.push('\n');
    written.extend(std::iter::repeat_n("  ", depth));
}

/// The words of a delivery with its attempts on all pages.
impl FullDelivery {
    /// Returns the type of the event that the delivery is about, if any.
    pub(super) fn event(&self) -> Option<String> {
        let body = self.body.as_deref().filter(|_| self.row.is_event())?;
        event(body)
    }

    /// Returns the formatted body. A callback has none, because each attempt has its own body.
    fn posting(&self) -> Option<String> {
        self.body.as_deref().map(pretty)
    }
}

/// The words of an attempt on all pages.
impl AttemptView {
    /// Returns the CSS class of the outcome.
    pub(super) fn tone(&self) -> &'static str {
        if self.cause.is_none() { "good" } else { "bad" }
    }

    /// Returns the remedy for the failure, or an empty text.
    pub(super) fn advice(&self, context: &PageContext) -> &'static str {
        let code = self.cause_code.unwrap_or(AttemptCauseCode::Unknown);
        causes::of_attempt(code, self.status, context)
    }

    /// Returns the formatted body of the attempt.
    pub(super) fn posted(&self) -> String {
        pretty(&self.body)
    }

    /// Returns the type of the posted event.
    pub(super) fn event(&self) -> Option<String> {
        event(&self.body)
    }

    /// Returns the ack in the body of a callback.
    pub(super) fn ack(&self) -> Option<i64> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body.as_object()?.get("msgid")?;
        body["ack"].as_i64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_otherwise_left_alone() {
        let text = r#"{"b":1,"a":["x\",{[\\",12345678901234567890123],"c":{ },"d":[]}"#;
        let laid_out = "{\n  \"b\": 1,\n  \"a\": [\n    \"x\\\",{[\\\\\",\n    12345678901234567890123\n  ],\n  \"c\": {},\n  \"d\": []\n}";
        assert_eq!(pretty(text), laid_out);
        assert_eq!(pretty(laid_out), laid_out);
        assert_eq!(pretty("<h1>{"), "<h1>{");
    }
}
