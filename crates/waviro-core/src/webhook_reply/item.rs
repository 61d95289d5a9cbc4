//! Parses an entry of a reply.
//!
//! Each item is `{"type":…,"content":…}`. A list as content stands for an item for each entry:
//!
//! | type | content |
//! |---|---|
//! | `message`, `text` | the text, or a number |
//! | `location` | `"LAT-LONG"`, with `-`, `,` or `;` between; `{"coordinate":…}`, `{"latitude":…,"longitude":…}`, `[LAT, LONG]` |
//! | `audio`, `image`, `document`, `video` | the URL, or `{"url":…}` |
//! | `contact`, `vcard` | `{"name":…,"numbers":[…]}`, the same as a JSON text, or the URL of a vCard |
//!
//! A file may have a `caption` (or `pesan`, as in the API). A location may have a `name` (or
//! `caption`, `pesan`). Both may be beside `content` or inside `content`.

use serde_json::{Map, Value};
use url::Url;
use waviro_link::{Contact, Content, Location, MediaKind, Number};
use waviro_store::invisible::is_blank;

use super::coordinate;
use super::envelope::field;
use super::reply::{Item, MAX_ITEMS};
use crate::lenient_json;
use crate::limits::{NUMBERS_CAP, TEXT_CAP, URL_CAP};

/// The most characters of an unknown type repeated in the fault's text, enough to find the item.
const TYPE: usize = 30;

/// The fields for the name of a location.
const NAMES: [&str; 3] = ["name", "caption", "pesan"];

/// The fields for the caption of a file.
const CAPTIONS: [&str; 2] = ["caption", "pesan"];

/// The types of entries, as the documents and pages list them. Aliases are left out.
pub const TYPES: &str = "message, location, audio, image, document, video, contact";

/// The kind of an entry, from its type.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Location,
    File(MediaKind),
    Contact,
}

/// Returns the items of an entry: a single item, or an item for each entry of a list. At most
/// `most` items are read, and the result is never empty.
pub(super) fn read(entry: &Value, most: usize) -> Vec<Result<Item, String>> {
    let entry = match entry {
        Value::Object(entry) => entry,
        Value::String(said) => return vec![text(said)],
        _ => return vec![Err("it is no object with type and content".to_owned())],
    };
    let kind = match kind(entry) {
        Ok(kind) => kind,
        Err(why) => return vec![Err(why)],
    };
    let content = match field(entry, "content") {
        None | Some(Value::Null) => return vec![Err("it has no content".to_owned())],
        Some(content) => content.clone(),
    };
    // A text is sent unchanged, even if the text looks like JSON.
    let decoded = match kind {
        Kind::Text => None,
        _ => lenient_json::decode(&content),
    };
    match lenient_json::list(decoded.unwrap_or(content)) {
        Err(content) => vec![one(kind, &content, entry)],
        Ok(pair) if matches!(kind, Kind::Location) && is_pair(&pair) => {
            vec![place(&Value::Array(pair), entry)]
        }
        Ok(list) if list.is_empty() => vec![Err("its content is empty".to_owned())],
        Ok(list) => {
            let more = list.len() > most;
            let mut read: Vec<_> = list
                .iter()
                .take(most)
                .map(|content| one(kind, content, entry))
                .collect();
            if more {
                read.push(Err(format!(
                    "a reply has at most {MAX_ITEMS} items; the rest of this content is left out"
                )));
            }
            read
        }
    }
}

fn kind(entry: &Map<String, Value>) -> Result<Kind, String> {
    let Some(Value::String(name)) = field(entry, "type") else {
        return Err("it has no type".to_owned());
    };
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "message" | "text" => Kind::Text,
        "location" => Kind::Location,
        "audio" => Kind::File(MediaKind::Audio),
        "image" => Kind::File(MediaKind::Image),
        "document" => Kind::File(MediaKind::Document),
        "video" => Kind::File(MediaKind::Video),
        "contact" | "vcard" => Kind::Contact,
        _ => {
            let name: String = name.trim().chars().take(TYPE).collect();
            return Err(format!("its type {name:?} is none of {TYPES}"));
        }
    })
}

fn one(kind: Kind, content: &Value, entry: &Map<String, Value>) -> Result<Item, String> {
    match (kind, content) {
        (Kind::Text, Value::String(said)) => text(said),
        (Kind::Text, Value::Number(number)) => Ok(Item::Ready(Content::Text(number.to_string()))),
        (Kind::Text, _) => Err("its content is no text".to_owned()),
        (Kind::Location, content) => place(content, entry),
        (Kind::File(kind), Value::Object(inside)) => {
            let at = field(inside, "url").or_else(|| field(inside, "mediaurl"));
            Ok(Item::File {
                kind,
                url: url(at)?,
                caption: words(inside, &CAPTIONS)?.or(words(entry, &CAPTIONS)?),
            })
        }
        (Kind::File(kind), content) => Ok(Item::File {
            kind,
            url: url(Some(content))?,
            caption: words(entry, &CAPTIONS)?,
        }),
        (Kind::Contact, Value::Object(inside)) => card(inside),
        (Kind::Contact, Value::String(_)) => match lenient_json::decode(content) {
            Some(Value::Object(inside)) => card(&inside),
            _ => Ok(Item::Card {
                url: url(Some(content))?,
            }),
        },
        (Kind::Contact, _) => {
            Err("its content is neither a name with numbers nor a URL".to_owned())
        }
    }
}

fn text(said: &str) -> Result<Item, String> {
    sendable(said)?;
    Ok(Item::Ready(Content::Text(said.to_owned())))
}

/// Checks that WhatsApp would show the text unchanged.
fn sendable(text: &str) -> Result<(), String> {
    if is_blank(text) {
        return Err("its text is empty".to_owned());
    }
    if text.contains('\0') {
        return Err("its text holds a NUL character".to_owned());
    }
    if text.chars().count() > TEXT_CAP {
        return Err(format!("its text is longer than {TEXT_CAP} characters"));
    }
    Ok(())
}

/// Returns the first of the named fields with a text.
fn words(object: &Map<String, Value>, names: &[&str]) -> Result<Option<String>, String> {
    let said = names.iter().find_map(|name| match field(object, name) {
        Some(Value::String(text)) if !is_blank(text) => Some(text),
        _ => None,
    });
    said.map_or(Ok(None), |text| {
        sendable(text).map(|()| Some(text.to_owned()))
    })
}

fn url(content: Option<&Value>) -> Result<Url, String> {
    let Some(Value::String(text)) = content else {
        return Err("its content is no URL".to_owned());
    };
    let text = text.trim();
    if text.len() > URL_CAP {
        return Err(format!("its URL is longer than {URL_CAP} bytes"));
    }
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "its content is no URL that starts with http:// or https://".to_owned())
}

/// Returns whether the list is `[LAT, LONG]` and not a list of locations.
fn is_pair(parts: &[Value]) -> bool {
    let angle = |part: &Value| match part {
        Value::Number(_) => true,
        Value::String(text) => text.trim().parse::<f64>().is_ok(),
        _ => false,
    };
    parts.len() == 2 && parts.iter().all(angle)
}

fn place(content: &Value, entry: &Map<String, Value>) -> Result<Item, String> {
    let (pair, inside) = match content {
        Value::Object(inside) => match field(inside, "coordinate") {
            Some(coordinate) => (pair(coordinate)?, Some(inside)),
            None => (pair(content)?, Some(inside)),
        },
        _ => (pair(content)?, None),
    };
    let inside = inside.map_or(Ok(None), |inside| words(inside, &NAMES))?;
    Ok(Item::Ready(Content::Location(Location {
        latitude: pair.0,
        longitude: pair.1,
        name: inside.or(words(entry, &NAMES)?),
    })))
}

fn pair(content: &Value) -> Result<(f64, f64), String> {
    match content {
        Value::String(text) => coordinate::pair(text),
        Value::Array(parts) if is_pair(parts) => {
            coordinate::within(degrees(parts.first())?, degrees(parts.get(1))?)
        }
        Value::Object(inside) => coordinate::within(
            degrees(field(inside, "latitude"))?,
            degrees(field(inside, "longitude"))?,
        ),
        _ => Err("its content is no coordinate".to_owned()),
    }
}

fn degrees(value: Option<&Value>) -> Result<f64, String> {
    let read = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => return Err("its content is no coordinate".to_owned()),
    };
    read.ok_or_else(|| "its coordinate is no number".to_owned())
}

fn card(inside: &Map<String, Value>) -> Result<Item, String> {
    let Some(Value::String(name)) = field(inside, "name") else {
        return Err("its contact has no name".to_owned());
    };
    sendable(name).map_err(|why| why.replace("its text", "its contact's name"))?;
    let numbers = match field(inside, "numbers") {
        None | Some(Value::Null) => Vec::new(),
        Some(numbers) => {
            let numbers = lenient_json::decode(numbers).unwrap_or_else(|| numbers.clone());
            lenient_json::list(numbers).unwrap_or_else(|single| vec![single])
        }
    };
    if numbers.is_empty() || numbers.len() > NUMBERS_CAP {
        return Err(format!(
            "its contact has {} numbers; 1 to {NUMBERS_CAP} can be sent",
            numbers.len()
        ));
    }
    let read = numbers.iter().map(number).collect::<Option<Vec<_>>>();
    let numbers = read.ok_or_else(|| {
        "a number of its contact is not the country code and digits, like 628123456789".to_owned()
    })?;
    Ok(Item::Ready(Content::Contact(Contact {
        name: name.clone(),
        numbers,
    })))
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) if number.is_u64() => number.to_string().parse().ok(),
        _ => None,
    }
}
