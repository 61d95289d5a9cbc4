//! Placeholders and languages of the catalogue's file.

use serde_json::Value;
use waviro_core::idempotency::{KEPT_FOR, KEY_CAP};
use waviro_core::jobs::deliver::PENDING_FOR;
use waviro_core::limits::{NUMBERS_CAP, TEXT_CAP, URL_CAP};
use waviro_core::outbox::{FILE_CAP, FILE_WITHIN};

use crate::api::error::Language;

/// Returns the limit that the code enforces.
fn constant(name: &str) -> Option<Value> {
    Some(match name {
        "VERSION" => env!("CARGO_PKG_VERSION").into(),
        "TEXT_CAP" => TEXT_CAP.into(),
        "URL_CAP" => URL_CAP.into(),
        "NUMBERS_CAP" => NUMBERS_CAP.into(),
        "KEY_CAP" => KEY_CAP.into(),
        "KEPT_HOURS" => (KEPT_FOR.as_secs() / 3600).into(),
        "PENDING_SECONDS" => PENDING_FOR.as_secs().into(),
        "FILE_MB" => (FILE_CAP >> 20).into(),
        "FILE_SECONDS" => FILE_WITHIN.as_secs().into(),
        _ => return None,
    })
}

/// Returns the file in a language: a table of `id` and `en` becomes the text of the language, and
/// placeholders become their values.
pub fn translated(mut file: Value, language: Language) -> Value {
    let parts = file.as_object_mut().and_then(|file| file.remove("parts"));
    let parts = parts.unwrap_or_default();
    Filler { parts, language }.value(&file, &Value::Null)
}

struct Filler {
    parts: Value,
    language: Language,
}

impl Filler {
    /// Returns the constant, the entry of `with`, or the part with this name.
    fn named(&self, name: &str, with: &Value) -> Option<Value> {
        let part = || self.parts.pointer(&format!("/{}", name.replace('.', "/")));
        let value = || Some(self.value(with.get(name).or_else(part)?, with));
        constant(name).or_else(value)
    }

    fn value(&self, value: &Value, with: &Value) -> Value {
        match value {
            Value::Object(members) if members.keys().eq(["en", "id"]) => {
                self.value(&members[self.language.tag()], with)
            }
            Value::Object(members) => {
                let with = members.get("with").unwrap_or(with);
                let mut filled = members.clone();
                filled.remove("with");
                for member in filled.values_mut() {
                    *member = self.value(member, with);
                }
                filled.into()
            }
            Value::Array(items) => {
                let inner = |it: &Value| match self.value(it, with) {
                    Value::Array(inner) if it.is_string() => inner,
                    other => vec![other],
                };
                items.iter().flat_map(inner).collect()
            }
            Value::String(text) => {
                let whole = match text.split(['{', '}']).collect::<Vec<_>>()[..] {
                    ["", name, ""] => self.named(name, with),
                    _ => None,
                };
                let word = |name: &str| Some(self.in_words(&self.named(name, with)?));
                whole.unwrap_or_else(|| fill(text, word).into())
            }
            other => other.clone(),
        }
    }

    /// Returns the value for a sentence. Thousands are separated as usual in the language.
    fn in_words(&self, value: &Value) -> String {
        let (text, number) = (value.as_str(), value.as_u64().unwrap_or_default());
        let (thousands, rest) = (number / 1000, number % 1000);
        match self.language {
            _ if thousands == 0 => text.map_or_else(|| value.to_string(), ToOwned::to_owned),
            Language::Indonesian => format!("{thousands}.{rest:03}"),
            Language::English => format!("{thousands},{rest:03}"),
        }
    }
}

/// Replaces each `{name}` that has a value. Values are not searched for placeholders.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, from)) = rest.split_once('{') {
        filled.push_str(before);
        let named = from.split_once('}');
        let named = named.and_then(|(name, after)| Some((value(name)?, after)));
        let (replaced, after) = named.unwrap_or_else(|| ("{".to_owned(), from));
        filled.push_str(&replaced);
        rest = after;
    }
    filled + rest
}
