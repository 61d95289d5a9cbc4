//! Finds the items of an answer inside their envelope.

use serde_json::{Map, Value};

use super::reply::NoReply;
use crate::lenient_json::{self, Cause, Parsed};

/// The most characters kept of a message beside a false `success`.
const SAID: usize = 200;

/// The most braces tried before the JSON is found. A printed warning has no brace. A whole page
/// with styles and scripts is no reply; trying each of its braces would cost the square of its
/// length.
const TRIES: usize = 32;

/// The most braces tried with a repair, see [`lenient_json`]. Each repair reads the rest of the
/// body.
const REPAIRS: usize = 4;

/// The entries of a reply, not yet parsed.
pub(super) struct Entries {
    /// Not empty.
    pub(super) entries: Vec<Value>,
    /// True if the answer is not strict JSON.
    pub(super) tolerant: bool,
}

/// Returns the entries of a reply.
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

/// Finds the answer's object inside other output. Only an object with `success` counts: an inner
/// part of a broken answer must not be sent as the whole.
fn amid(body: &[u8]) -> Option<Parsed> {
    let braces = body.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    let mut repairs = REPAIRS;
    for (at, _) in braces.take(TRIES) {
        let text = &body[at..];
        // In JSON a quotation mark follows the brace. In a style or a script other characters
        // follow.
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

/// Decodes a reply that was encoded twice. A text with any other JSON is a text to send.
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

/// Returns whether all entries are objects. Without `success` a list of texts or numbers can mean
/// anything.
fn are_items(entries: &[Value]) -> bool {
    entries.iter().all(Value::is_object)
}

/// Returns a field by its name: the exact name, else the name in any case.
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
