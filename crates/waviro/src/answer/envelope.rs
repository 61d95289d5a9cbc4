//! What stands around the items.

use serde_json::{Map, Value};

use super::NoReply;
use crate::lenient_json::{self, Cause, Parsed};

/// How much of a refusal's words is kept, characters.
const SAID: usize = 200;

/// How many braces of what was printed before the JSON are tried. A warning has none; a whole page of styles and scripts is
/// no reply, and trying each of its braces would cost the square of its length.
const TRIES: usize = 32;

/// How many of these braces are tried with a repair, see [`lenient_json`]. Each repair walks through the rest of the body.
const REPAIRS: usize = 4;

/// The entries of a reply, each still to be read.
pub(super) struct Entries {
    /// Not empty.
    pub(super) entries: Vec<Value>,
    /// Whether strict JSON would refuse the answer.
    pub(super) tolerant: bool,
}

/// The entries of the reply.
pub(super) fn entries(body: &[u8]) -> Result<Entries, NoReply> {
    let body = lenient_json::bare(body);
    if body.is_empty() {
        return Err(NoReply::Blank);
    }
    let whole = lenient_json::parse(body).or_else(|fault| amid(body).ok_or(fault));
    let whole = whole.map_err(|fault| match (fault.cause, body.first()) {
        (Cause::UnescapedQuote, Some(b'{' | b'[')) => NoReply::UnescapedQuote {
            line: fault.line,
            column: fault.column,
        },
        _ => NoReply::NotJson,
    })?;
    let entries = strip(whole.value)?;
    if entries.is_empty() {
        return Err(NoReply::Empty);
    }
    Ok(Entries {
        entries,
        tolerant: whole.tolerant,
    })
}

/// The document's object in what was printed around it. Only one that says `success`: an inner piece of a broken answer must not
/// be sent as if it were the whole.
fn amid(body: &[u8]) -> Option<Parsed> {
    let braces = body.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    let mut repairs = REPAIRS;
    for (at, _) in braces.take(TRIES) {
        let text = &body[at..];
        // An object of JSON; a brace of a style or a script is followed by anything else.
        let may_repair = repairs > 0 && text[1..].trim_ascii_start().starts_with(b"\"");
        if may_repair {
            repairs -= 1;
        }
        let Some(found) = lenient_json::leading_object(text, may_repair) else {
            continue;
        };
        let is_whole = field(&found.object, "success").is_some();
        if is_whole && matches!(found.next, None | Some(b'<')) {
            return Some(Parsed {
                value: Value::Object(found.object),
                tolerant: found.tolerant,
            });
        }
    }
    None
}

fn strip(whole: Value) -> Result<Vec<Value>, NoReply> {
    let whole = match lenient_json::list(whole) {
        Ok(entries) if are_items(&entries) => return Ok(entries),
        Err(Value::Object(whole)) => whole,
        _ => return Err(NoReply::NoEnvelope),
    };
    let success = field(&whole, "success");
    if success.is_some_and(|said| !is_true(said)) {
        return Err(NoReply::Unsuccessful { said: said(&whole) });
    }
    let message = field(&whole, "message").map(opened);
    let inner = match &message {
        Some(Value::Object(message)) => field(message, "reply").map(opened),
        _ => None,
    };
    let reply = field(&whole, "reply").map(opened).or(inner).or(message);
    match reply.map(lenient_json::list) {
        Some(Ok(entries)) if success.is_some() || are_items(&entries) => Ok(entries),
        Some(Err(Value::Object(entry))) if field(&entry, "type").is_some() => {
            Ok(vec![Value::Object(entry)])
        }
        Some(Err(Value::String(text))) if success.is_some() => Ok(vec![Value::String(text)]),
        None if field(&whole, "type").is_some() => Ok(vec![Value::Object(whole)]),
        _ => Err(NoReply::NoEnvelope),
    }
}

/// A reply, also where it was encoded twice. A text that holds any other JSON is a text to send.
fn opened(reply: &Value) -> Value {
    let is_reply = |value: &Value| match value {
        Value::Array(entries) => !entries.is_empty() && are_items(entries),
        Value::Object(inside) => {
            field(inside, "reply").is_some()
                || field(inside, "type").is_some()
                || lenient_json::list(value.clone()).is_ok_and(|entries| are_items(&entries))
        }
        _ => false,
    };
    let decoded = lenient_json::decode(reply).filter(is_reply);
    decoded.unwrap_or_else(|| reply.clone())
}

/// Without a word of success a list of mere texts or numbers is anything.
fn are_items(entries: &[Value]) -> bool {
    entries.iter().all(Value::is_object)
}

/// A field by its name, in any case; the exact one first.
pub(super) fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let any_case = || {
        object
            .iter()
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
    };
    object
        .get(name)
        .or_else(|| any_case().map(|(_, value)| value))
}

fn is_true(said: &Value) -> bool {
    match said {
        Value::Bool(said) => *said,
        Value::Number(said) => said.as_f64() == Some(1.0),
        Value::String(said) => {
            let said = said.trim();
            said.eq_ignore_ascii_case("true") || said == "1"
        }
        _ => false,
    }
}

fn said(whole: &Map<String, Value>) -> Option<String> {
    let words = ["message", "errorMessage", "error"];
    let text = words.iter().find_map(|name| match field(whole, name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim()),
        _ => None,
    })?;
    Some(text.chars().take(SAID).collect())
}
