//! The description of the `/api` endpoints, read from `docs/catalogue.toml`.
//!
//! The page and the OpenAPI document are made from the catalogue. Tests compare the catalogue with
//! the router: the endpoints must be the same, each sample must work, each refusal is listed.

mod fill;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::ordered::Ordered;
use crate::api::error::{ApiError, Language};

pub use fill::fill;

/// The catalogue in one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The refusals that are possible at each path, including paths that do not exist.
    pub anywhere: Vec<ApiError>,
    pub sections: Vec<Section>,
    pub acks: Vec<Ack>,
    pub texts: Texts,
    /// The forms of a field's value, in a word or two.
    pub forms: BTreeMap<String, String>,
    /// The OpenAPI document without the parts that follow from the endpoints.
    pub openapi: Value,
    pub programs: Vec<Program>,
}

/// A group of endpoints; a chapter of the document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub anchor: String,
    pub title: String,
    pub text: String,
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint below `/api`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The path below `/api/`.
    pub name: String,
    pub title: String,
    pub text: String,
    /// The fields of the body, in the order of the sample. Without fields, the body is ignored.
    #[serde(default)]
    pub fields: Vec<Field>,
    pub answers: Vec<Answer>,
    #[serde(default)]
    pub notes: Vec<String>,
    /// The refusals that a well-formed request can get, with the document's causes first.
    pub refusals: Vec<ApiError>,
    /// The other refusals, such as the refusals of bodies that are meant for another path.
    pub elsewhere: Vec<ApiError>,
    /// The OpenAPI operation without the parts that follow from the other members.
    pub operation: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    /// True if the endpoint refuses a body without the field.
    #[serde(default)]
    pub required: bool,
    /// The name of the schema, and a key of [`Catalogue::forms`].
    pub form: String,
    pub text: String,
    pub example: Value,
}

/// A success response: the case and a sample of the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub case: String,
    pub body: String,
}

/// A state of a message, as the callback to the `notifyurl` reports the state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    pub ack: i8,
    pub word: String,
    pub text: String,
}

/// Samples of bodies, and sentences.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    pub refusal: String,
    pub callback: String,
    pub webhook: String,
    pub webhook_reply: String,
    pub body_too_large: String,
    pub postman: String,
}

/// A sample program that calls an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub tag: String,
    pub name: String,
    #[serde(default)]
    pub indent: String,
    pub with_body: String,
    pub without_body: String,
}

/// Returns the catalogue in a language.
#[must_use]
pub fn of(language: Language) -> &'static Catalogue {
    static INDONESIAN: LazyLock<Catalogue> = LazyLock::new(|| load(Language::Indonesian));
    static ENGLISH: LazyLock<Catalogue> = LazyLock::new(|| load(Language::English));
    match language {
        Language::Indonesian => &INDONESIAN,
        Language::English => &ENGLISH,
    }
}

#[expect(clippy::expect_used, reason = "tests read the compiled-in file")]
fn load(language: Language) -> Catalogue {
    let file = toml::from_str(include_str!("../../docs/catalogue.toml"));
    let file = fill::translated(file.expect("catalogue.toml is TOML"), language);
    serde_json::from_value(file).expect("catalogue.toml has the members of Catalogue")
}

impl Catalogue {
    /// Returns all endpoints, in the document's order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.sections.iter().flat_map(|section| &section.endpoints)
    }

    /// Returns all refusals, of the endpoints and of paths that do not exist.
    pub fn refusals(&self) -> impl Iterator<Item = &ApiError> {
        let lists = self
            .endpoints()
            .flat_map(|it| [&it.refusals, &it.elsewhere]);
        lists.flatten().chain(&self.anywhere)
    }

    /// Returns the rules for values of the field.
    pub(super) fn rules(&self, field: &Field) -> &str {
        let schema = &self.openapi["components"]["schemas"][&field.form];
        schema["description"].as_str().unwrap_or_default()
    }
}

impl Endpoint {
    /// Returns the path below the base path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/api/{}", self.name)
    }

    /// Returns a sample of the body, or `None` if the endpoint ignores the body.
    #[must_use]
    pub fn sample(&self) -> Option<Ordered> {
        let fields = self.fields.iter();
        let members = fields.map(|field| (field.name.clone(), field.example.clone().into()));
        (!self.fields.is_empty()).then(|| Ordered::Members(members.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Value {
        toml::from_str(include_str!("../../docs/catalogue.toml")).unwrap()
    }

    /// Calls `see` with the path and the value of each entry of the file.
    fn each(path: &str, value: &Value, see: &mut dyn FnMut(&str, &Value)) {
        see(path, value);
        match value {
            Value::Object(members) => members
                .iter()
                .for_each(|(name, it)| each(&format!("{path}.{name}"), it, see)),
            Value::Array(items) => items.iter().for_each(|it| each(path, it, see)),
            _ => {}
        }
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        let mut texts = 0;
        each("", &file(), &mut |path, value| {
            let Some(members) = value.as_object() else {
                return;
            };
            // A schema also has members with these names, among others.
            if members.keys().any(|name| name != "id" && name != "en") || members.is_empty() {
                return;
            }
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let (id, en) = (text("id").unwrap(), text("en").unwrap());
            assert!(!id.is_empty() && !en.is_empty(), "{path}");
            assert_ne!(id, en, "{path}");
            texts += 1;
        });
        assert!(texts > 50);
    }

    #[test]
    fn every_placeholder_has_a_value_and_every_part_is_used() {
        let mut file = file();
        file.as_object_mut().unwrap().remove("programs");
        for language in [Language::Indonesian, Language::English] {
            let filled = fill::translated(file.clone(), language);
            each("", &filled, &mut |path, value| {
                let text = value.as_str().unwrap_or_default();
                let names = text
                    .split('{')
                    .skip(1)
                    .filter_map(|it| it.split('}').next());
                let left = names.filter(|name| {
                    let plain = |it: char| it.is_ascii_alphabetic() || it == '.' || it == '_';
                    !name.is_empty() && name.chars().all(plain)
                });
                assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new(), "{path}");
            });
        }
        let text = include_str!("../../docs/catalogue.toml");
        for (part, entries) in file["parts"].as_object().unwrap() {
            let whole = text.contains(&format!("{{{part}}}"));
            for entry in entries.as_object().unwrap().keys() {
                let used = whole || text.contains(&format!("{{{part}.{entry}}}"));
                assert!(used, "{part}.{entry} is used nowhere");
            }
        }
    }

    #[test]
    fn every_field_has_a_form_and_a_schema() {
        for language in [Language::Indonesian, Language::English] {
            let catalogue = of(language);
            for field in catalogue.endpoints().flat_map(|it| &it.fields) {
                assert!(!catalogue.forms[&field.form].is_empty(), "{}", field.name);
                assert!(!catalogue.rules(field).is_empty(), "{}", field.name);
            }
        }
    }

    #[test]
    fn a_limit_is_a_number_in_a_schema_and_readable_in_a_sentence() {
        let [indonesian, english] = [Language::Indonesian, Language::English].map(of);
        let text =
            |catalogue: &Catalogue| catalogue.openapi["components"]["schemas"]["Text"].clone();
        assert_eq!(text(english)["maxLength"], 65_536);
        assert_eq!(text(english)["description"], "At most 65,536 characters.");
        assert_eq!(
            text(indonesian)["description"],
            "Paling banyak 65.536 karakter."
        );
    }
}
