//! What stands around the items.

use serde_json::{Map, Value};

use super::NoReply;

/// How much of a refusal's words is kept, characters.
const SAID: usize = 200;

/// How many braces of what was printed before the JSON are tried. A warning has none; a whole page of styles and scripts is
/// no reply, and trying each of its braces would cost the square of its length.
const TRIES: usize = 32;

/// The entries of the reply, not empty, each still to be read.
pub(super) fn entries(body: &[u8]) -> Result<Vec<Value>, NoReply> {
    let mut body = body.trim_ascii();
    while let Some(rest) = body.strip_prefix(b"\xEF\xBB\xBF") {
        body = rest.trim_ascii_start();
    }
    if body.is_empty() {
        return Err(NoReply::Blank);
    }
    let whole = serde_json::from_slice(body).ok();
    let whole = whole.or_else(|| amid(body)).ok_or(NoReply::NotJson)?;
    let entries = strip(whole)?;
    if entries.is_empty() {
        return Err(NoReply::Empty);
    }
    Ok(entries)
}

/// The document's object in what was printed around it. Only one that says `success`: an inner piece of a broken answer must not
/// be sent as if it were the whole.
fn amid(body: &[u8]) -> Option<Value> {
    let braces = body.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    for (at, _) in braces.take(TRIES) {
        let mut values = serde_json::Deserializer::from_slice(&body[at..]).into_iter();
        let Some(Ok(Value::Object(found))) = values.next() else {
            continue;
        };
        let after = body[at + values.byte_offset()..].trim_ascii_start();
        if field(&found, "success").is_some() && matches!(after.first(), None | Some(b'<')) {
            return Some(Value::Object(found));
        }
    }
    None
}

fn strip(whole: Value) -> Result<Vec<Value>, NoReply> {
    let whole = match whole {
        Value::Object(whole) => whole,
        Value::Array(entries) if are_items(&entries) => return Ok(entries),
        _ => return Err(NoReply::NoEnvelope),
    };
    let success = field(&whole, "success");
    if success.is_some_and(|said| !is_true(said)) {
        return Err(NoReply::Unsuccessful { said: said(&whole) });
    }
    let inner = field(&whole, "message").and_then(|message| match message {
        Value::Object(message) => field(message, "reply"),
        _ => None,
    });
    let reply = field(&whole, "reply").or(inner);
    let reply = reply.or_else(|| field(&whole, "message"));
    match reply {
        Some(Value::Array(entries)) if success.is_some() || are_items(entries) => {
            Ok(entries.clone())
        }
        Some(Value::Object(entry)) if field(entry, "type").is_some() => {
            Ok(vec![Value::Object(entry.clone())])
        }
        Some(Value::String(text)) if success.is_some() => Ok(vec![Value::from(text.clone())]),
        None if field(&whole, "type").is_some() => Ok(vec![Value::Object(whole)]),
        _ => Err(NoReply::NoEnvelope),
    }
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
