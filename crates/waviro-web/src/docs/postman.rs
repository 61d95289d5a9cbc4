//! The Postman collection (format v2.1), made from the catalogue, with the document's variables.

use serde_json::{Value, json};

use super::catalogue::{
    Endpoint, GROUP_ID, MEDIA_URL, NOTIFY_URL, NUMBER, Section, Text, sections,
};
use super::origin::Origin;
use crate::api::error::Language;

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

const INTRODUCTION: Text = Text {
    id: "Isi variabel secret_key dan nohp, lalu kirim.",
    en: "Fill in the variables secret_key and nohp, then send.",
};

/// Returns the collection for a reader at `origin`.
#[must_use]
pub fn collection(language: Language, origin: &Origin) -> Value {
    let folders: Vec<Value> = sections()
        .iter()
        .map(|section| folder(section, language))
        .collect();
    let variable = |key: &str, value: &str| json!({"key": key, "value": value, "type": "string"});
    json!({
        "info": {
            "name": "WAVIRO API",
            "description": INTRODUCTION.r#in(language),
            "schema": SCHEMA,
        },
        "auth": {
            "type": "apikey",
            "apikey": [
                {"key": "key", "value": "SecretKey", "type": "string"},
                {"key": "value", "value": "{{secret_key}}", "type": "string"},
                {"key": "in", "value": "header", "type": "string"},
            ],
        },
        "variable": [
            variable("bot_url", &origin.url()),
            variable("secret_key", ""),
            variable("nohp", NUMBER),
            variable("groupid", GROUP_ID),
            variable("mediaurl", MEDIA_URL),
            variable("notifyurl", NOTIFY_URL),
        ],
        "item": folders,
    })
}

fn folder(section: &Section, language: Language) -> Value {
    let requests: Vec<Value> = section
        .endpoints
        .iter()
        .map(|endpoint| request(endpoint, language))
        .collect();
    json!({
        "name": section.title.r#in(language),
        "description": section.text.r#in(language),
        "item": requests,
    })
}

fn request(endpoint: &Endpoint, language: Language) -> Value {
    let original = call(endpoint, language);
    let answers: Vec<Value> = endpoint
        .answers
        .iter()
        .map(|(case, sample)| {
            json!({
                "name": case.r#in(language),
                "originalRequest": original,
                "status": "OK",
                "code": 200,
                "_postman_previewlanguage": "json",
                "header": [{"key": "Content-Type", "value": "application/json"}],
                "cookie": [],
                "body": sample,
            })
        })
        .collect();
    json!({"name": endpoint.title.r#in(language), "request": original, "response": answers})
}

fn call(endpoint: &Endpoint, language: Language) -> Value {
    let mut call = json!({
        "method": "POST",
        "header": [],
        "description": endpoint.text.r#in(language),
        "url": {
            "raw": format!("{{{{bot_url}}}}{}", endpoint.path()),
            "host": ["{{bot_url}}"],
            "path": ["api", endpoint.name],
        },
    });
    if let Some(sample) = &endpoint.sample {
        call["body"] = json!({
            "mode": "raw",
            "raw": with_variables(sample),
            "options": {"raw": {"language": "json"}},
        });
    }
    call
}

/// Replaces sample values by the collection's variables.
fn with_variables(sample: &str) -> String {
    [
        (NUMBER, "nohp"),
        (GROUP_ID, "groupid"),
        (MEDIA_URL, "mediaurl"),
        (NOTIFY_URL, "notifyurl"),
    ]
    .into_iter()
    .fold(sample.to_owned(), |text, (value, name)| {
        text.replace(&format!("\"{value}\""), &format!("\"{{{{{name}}}}}\""))
    })
}
