//! Parses JSON with the common mistakes of hand-written programs.
//!
//! Many programs build JSON by joining strings. The parser tries strict JSON first. If strict
//! parsing fails, the text is repaired and parsed again. A repair changes only mistakes with a
//! single possible meaning:
//!
//! | in the text | becomes |
//! |---|---|
//! | a byte-order mark, blanks and control characters outside strings | a blank |
//! | a comma after the last field or entry | nothing |
//! | a raw line break, tab or other control character inside a string | its escape |
//! | an escape that JSON does not know, such as `\T` | the same characters, as written |
//!
//! An unescaped quotation mark inside a text has several possible meanings, so the result is a
//! [`Fault`].

use std::fmt::Write;

use serde_json::error::Category;
use serde_json::{Map, Value};

/// A parsed JSON text.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The value.
    pub value: Value,
    /// True if the text is not strict JSON, or if the value was encoded twice.
    pub tolerant: bool,
}

/// The position of the first fault after the repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The likely mistake.
    pub cause: Cause,
}

/// The likely mistake behind a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A quotation mark inside a text is not escaped.
    UnescapedQuote,
    /// The text ends inside a string, list or object.
    EndsEarly,
    /// Anything else.
    Other,
}

/// Parses a JSON text. If the value is a JSON string with a JSON object or list inside (encoded
/// twice), the inner JSON is parsed too.
///
/// # Errors
/// [`Fault`], with the position in `text`.
pub fn parse(text: &[u8]) -> Result<Parsed, Fault> {
    let parsed = parse_once(text)?;
    Ok(match decode(&parsed.value) {
        Some(value) => Parsed {
            value,
            tolerant: true,
        },
        None => parsed,
    })
}

/// A JSON object at the start of a longer text.
#[derive(Debug, Clone, PartialEq)]
pub struct Leading {
    /// The object.
    pub object: Map<String, Value>,
    /// The first byte after the object and the following blanks.
    pub next: Option<u8>,
    /// The same as [`Parsed::tolerant`].
    pub tolerant: bool,
}

/// Parses the JSON object at the start of `text`, with a repair if `may_repair`. `None` if `text`
/// starts with anything else.
#[must_use]
pub fn leading_object(text: &[u8], may_repair: bool) -> Option<Leading> {
    if let Some(strict) = first_object(text, false) {
        return Some(strict);
    }
    if !may_repair {
        return None;
    }
    let readable = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).ok()?,
    };
    first_object(repair(readable, usize::MAX).0.as_bytes(), true)
}

/// Returns the object or list inside a JSON string, if `value` is such a string.
#[must_use]
pub fn decode(value: &Value) -> Option<Value> {
    let Value::String(text) = value else {
        return None;
    };
    let text = bare(text.as_bytes());
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return None;
    }
    parse_once(text).ok().map(|parsed| parsed.value)
}

/// Returns the entries of a list. An object with only numbers as keys counts as a list in the order
/// of the numbers: PHP's `json_encode` writes such an object for an array with a gap.
///
/// # Errors
/// The value itself if the value is no list.
pub fn list(value: Value) -> Result<Vec<Value>, Value> {
    match value {
        Value::Array(entries) => Ok(entries),
        Value::Object(fields) if is_numbered(&fields) => {
            let mut entries: Vec<(u64, Value)> = fields
                .into_iter()
                .map(|(key, value)| (key.parse().unwrap_or(u64::MAX), value))
                .collect();
            entries.sort_by_key(|(number, _)| *number);
            Ok(entries.into_iter().map(|(_, value)| value).collect())
        }
        other => Err(other),
    }
}

/// Returns `text` without byte-order marks and blanks around the text.
#[must_use]
pub fn bare(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    while let Some(rest) = text.strip_prefix(b"\xEF\xBB\xBF") {
        text = rest.trim_ascii_start();
    }
    text
}

fn is_numbered(fields: &Map<String, Value>) -> bool {
    let number = |key: &String| key.bytes().all(|byte| byte.is_ascii_digit());
    !fields.is_empty() && fields.keys().all(|key| !key.is_empty() && number(key))
}

fn first_object(text: &[u8], tolerant: bool) -> Option<Leading> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter();
    let Some(Ok(Value::Object(object))) = values.next() else {
        return None;
    };
    let next = text[values.byte_offset()..].trim_ascii_start().first();
    Some(Leading {
        object,
        next: next.copied(),
        tolerant,
    })
}

fn parse_once(text: &[u8]) -> Result<Parsed, Fault> {
    let json = bare(text);
    if let Ok(value) = serde_json::from_slice(json) {
        let tolerant = json.len() < text.trim_ascii().len();
        return Ok(Parsed { value, tolerant });
    }
    let json = std::str::from_utf8(text).map_err(|error| {
        let before = String::from_utf8_lossy(&text[..error.valid_up_to()]);
        fault(&before, before.len(), Cause::Other)
    })?;
    // A NUL behind the text is the end of a string in a C program. Elsewhere a NUL means that the
    // text is UTF-16.
    let json = json.trim_end_matches(is_blank);
    if let Some(at) = json.find('\0') {
        return Err(fault(json, at, Cause::Other));
    }
    let (repaired, _) = repair(json, usize::MAX);
    serde_json::from_str(&repaired)
        .map(|value| Parsed {
            value,
            tolerant: true,
        })
        .map_err(|error| {
            let (_, at) = repair(json, offset(&repaired, &error));
            let ends = error.classify() == Category::Eof;
            match unescaped_quote(json, at).filter(|_| !ends) {
                Some(quote) => fault(json, quote, Cause::UnescapedQuote),
                None if ends => fault(json, at, Cause::EndsEarly),
                None => fault(json, at, Cause::Other),
            }
        })
}

/// Repairs `text` until the result is longer than `stop_at` bytes. Returns the result, and the
/// number of bytes read of `text`.
fn repair(text: &str, stop_at: usize) -> (String, usize) {
    let mut repaired = String::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text;
    let mut at = 0;
    while let Some(letter) = rest.chars().next() {
        at = text.len() - rest.len();
        let mut length = letter.len_utf8();
        match letter {
            '"' => {
                in_string = !in_string;
                repaired.push('"');
            }
            '\\' if in_string => match known_escape(rest) {
                Some(escape) => {
                    repaired.push_str(escape);
                    length = escape.len();
                }
                None => repaired.push_str("\\\\"),
            },
            _ if in_string && letter < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(repaired, "\\u{:04x}", u32::from(letter));
            }
            _ if in_string => repaired.push(letter),
            '\n' => repaired.push('\n'),
            _ if is_blank(letter) => repaired.push(' '),
            ',' if rest[1..]
                .trim_start_matches(is_blank)
                .starts_with(['}', ']']) =>
            {
                repaired.push(' ');
            }
            _ => repaired.push(letter),
        }
        if repaired.len() > stop_at {
            return (repaired, at);
        }
        rest = &rest[length..];
    }
    (
        repaired,
        if stop_at == usize::MAX {
            at
        } else {
            text.len()
        },
    )
}

/// Returns the JSON escape at the start of `text`, if valid.
fn known_escape(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let length = match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
        b'u' if bytes.len() >= 6 && bytes[2..6].iter().all(u8::is_ascii_hexdigit) => 6,
        _ => return None,
    };
    Some(&text[..length])
}

/// Returns whether a character is allowed between tokens: blanks of any alphabet, control
/// characters, and invisible characters from copied web pages and documents.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Returns the parser's stop position in `text`, in bytes.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    if error.classify() == Category::Eof {
        return text.len();
    }
    let lines = text.split_inclusive('\n').take(error.line() - 1);
    let before: usize = lines.map(str::len).sum();
    (before + error.column()).saturating_sub(1)
}

/// Returns the quotation mark that probably belongs to the surrounding text, if such a quotation
/// mark explains the parser's stop at `at`. After a string's closing quotation mark comes a comma,
/// a colon or a bracket; after a comma in an object comes the next field's name. If anything else
/// follows, the text continues.
fn unescaped_quote(text: &str, at: usize) -> Option<usize> {
    let before = text[..at].trim_end_matches(is_blank);
    if let Some(inside) = before.strip_suffix('"') {
        return Some(inside.len());
    }
    let word_end =
        text[at..].trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
    if word_end.trim_start().starts_with(':') {
        // A field's name without quotation marks.
        return None;
    }
    let before = before.strip_suffix(',')?.trim_end_matches(is_blank);
    before.strip_suffix('"').map(str::len)
}

fn fault(text: &str, at: usize, cause: Cause) -> Fault {
    let before = &text[..at.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Fault {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        cause,
    }
}

#[cfg(test)]
mod tests;
