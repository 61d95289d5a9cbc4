//! The OpenAPI schemas of request bodies. The schemas describe exactly the bodies that the gateway
//! accepts, except for rules beyond a schema: a number must be on WhatsApp, a host must be public,
//! and a bot must be in the group.

use serde_json::{Map, Value, json};

use crate::api::error::Language;
use crate::docs::catalogue::{Endpoint, Form, Takes, What};

/// A regex for the white space that the gateway trims: Unicode's white space. The set is written in
/// full, because `\s` differs between regex dialects.
const BLANK: &str = r"[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*";

/// A regex for a character that is neither blank nor NUL.
const INK: &str = r"[^\u0000\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// Returns the request body of an endpoint, or `None` if the endpoint ignores the body.
pub(super) fn of(endpoint: &Endpoint, language: Language) -> Option<Value> {
    let schema = match endpoint.takes {
        Takes::Nothing => return None,
        Takes::Number => json!({
            "type": "object",
            "required": ["nohp"],
            "properties": {"nohp": named("Number")},
        }),
        Takes::Message(_, what) => message(what),
    };
    let mut schema = schema;
    for field in endpoint.fields() {
        let known = &mut schema["properties"][field.name];
        if known.is_null() {
            *known = json!({});
        }
        let (text, rules) = (field.text.r#in(language), field.form.rules().r#in(language));
        known["description"] = json!(format!("{text} {rules}"));
        known["examples"] = json!([field.example]);
    }
    let sample: Value = serde_json::from_str(endpoint.sample.as_deref()?).ok()?;
    Some(json!({
        "required": true,
        "content": {"application/json": {"schema": schema, "example": sample}},
    }))
}

/// Returns the schema of a send body: `groupid` or `nohp`, plus the path's own content or a
/// contact. A contact takes precedence over any content except a location. Fields outside the
/// chosen branch are not checked.
fn message(what: What) -> Value {
    let own = match what {
        What::Text => Some(json!({
            "required": ["pesan"],
            "properties": {
                "pesan": named("Text"),
                "contact": named("Absent"),
                "Contact": named("Absent"),
            },
        })),
        What::Media => Some(json!({
            "required": ["mediaurl"],
            "properties": {
                "mediaurl": named("Url"),
                "pesan": optional("Text"),
                "contact": named("Absent"),
                "Contact": named("Absent"),
            },
        })),
        What::Location => Some(json!({
            "required": ["latitude", "longitude"],
            "properties": {
                "latitude": named("Latitude"),
                "longitude": named("Longitude"),
                "pesan": optional("Text"),
            },
        })),
        What::Contact => None,
    };
    let contact = json!({"required": ["contact"], "properties": {"contact": named("Contact")}});
    let capital = json!({
        "required": ["Contact"],
        "properties": {"contact": named("Absent"), "Contact": named("Contact")},
    });
    let absent: &[&str] = match what {
        What::Location => &["latitude", "longitude"],
        What::Text | What::Media | What::Contact => &[],
    };
    let contents = own.into_iter().chain([contact, capital].map(|mut branch| {
        for name in absent {
            branch["properties"][*name] = named("Absent");
        }
        branch
    }));
    json!({
        "type": "object",
        "properties": {
            "nohp": optional("Number"),
            "groupid": optional("Group"),
            "notifyurl": optional("Url"),
        },
        "allOf": [
            {"anyOf": [
                {"required": ["nohp"], "properties": {"nohp": named("Number")}},
                {"required": ["groupid"], "properties": {"groupid": named("Group")}},
            ]},
            {"anyOf": contents.collect::<Vec<_>>()},
        ],
    })
}

fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn optional(name: &str) -> Value {
    json!({"anyOf": [named(name), named("Absent")]})
}

/// Returns the schemas of the field types.
pub(super) fn schemas(language: Language) -> Map<String, Value> {
    let rules = |form: Form| form.rules().r#in(language);
    let absent = match language {
        Language::Indonesian => "Tidak diisi: null dan teks kosong sama dengan tidak ada.",
        Language::English => "Not there: null and blank text are the same as nothing.",
    };
    let all = json!({
        "Absent": {
            "description": absent,
            "anyOf": [{"type": "null"}, {"type": "string", "pattern": format!("^{BLANK}$")}],
        },
        "Number": {
            "description": rules(Form::Number),
            "anyOf": [
                {"type": "string", "pattern": format!("^{BLANK}[1-9][0-9]{{6,14}}{BLANK}$")},
                {"type": "integer", "minimum": 1_000_000, "maximum": 999_999_999_999_999_u64},
            ],
        },
        "Group": {
            "description": rules(Form::Group),
            "type": "string",
            "pattern": format!(r"^{BLANK}[0-9]{{5,25}}(-[0-9]{{5,25}})?(@g\.us)?{BLANK}$"),
        },
        "Text": {
            "description": rules(Form::Text),
            "type": "string",
            "maxLength": crate::api::body::TEXT_CAP,
            "pattern": format!(r"^[^\u0000]*{INK}[^\u0000]*$"),
        },
        "Url": {
            "description": rules(Form::Url),
            "type": "string",
            "maxLength": crate::api::body::URL_CAP,
            "pattern": format!(
                r"^{BLANK}[Hh][Tt][Tt][Pp][Ss]?://[^\u0000- /?#@\\<>^|%]+([/?#][^\u0000]*)?$"
            ),
        },
        "Latitude": degrees(90, "90(\\.0*)?|[0-8]?[0-9](\\.[0-9]*)?", rules(Form::Degrees(90))),
        "Longitude": degrees(
            180,
            "180(\\.0*)?|(1[0-7][0-9]|[0-9]?[0-9])(\\.[0-9]*)?",
            rules(Form::Degrees(180)),
        ),
        "Contact": {
            "description": rules(Form::Contact),
            "anyOf": [
                named("Card"),
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": named("Card"),
                    "pattern": r"^[\t\n\r ]*\{[\s\S]*\}[\t\n\r ]*$",
                },
            ],
        },
        "Card": {
            "type": "object",
            "required": ["name", "numbers"],
            "properties": {
                "name": named("Text"),
                "numbers": {"anyOf": [
                    named("Number"),
                    {
                        "type": "array",
                        "items": optional("Number"),
                        "contains": named("Number"),
                        "maxContains": 50,
                    },
                ]},
            },
        },
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

fn degrees(most: u8, whole: &str, rules: &str) -> Value {
    json!({
        "description": rules,
        "anyOf": [
            {"type": "number", "minimum": -i16::from(most), "maximum": most},
            {"type": "string", "pattern": format!("^{BLANK}[+-]?(0*({whole})|0*\\.[0-9]+){BLANK}$")},
        ],
    })
}
