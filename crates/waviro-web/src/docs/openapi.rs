//! `openapi.json` (OpenAPI 3.1): the machine-readable description of `/api`, made from the
//! catalogue.
//!
//! The document is built with `serde_json` instead of utoipa's types. The accepted body depends on
//! other fields (`groupid` in place of `nohp`, `contact` in place of a text), which needs JSON
//! Schema's `contains`, `maxContains` and bare `required`; utoipa's types have none of the three. A
//! test compares the schemas with the gateway.

mod answers;
mod bodies;

use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};
use waviro_core::idempotency::KEY_CAP;

use super::catalogue::{self, Endpoint, Section, Takes, Text};
use super::origin::Origin;
use crate::api::error::Language;

/// A map in insertion order. `serde_json`'s own maps are sorted, and viewers show paths in the
/// order of the file.
struct Ordered(Vec<(String, Value)>);

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[derive(serde::Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    security: Value,
    tags: Value,
    paths: Ordered,
    components: Value,
}

/// Returns the OpenAPI document for a reader at `origin`.
#[must_use]
pub fn document(language: Language, origin: &Origin) -> String {
    let sections = catalogue::sections();
    let tags: Vec<Value> = sections
        .iter()
        .map(|section| {
            json!({"name": section.title.r#in(language), "description": section.text.r#in(language)})
        })
        .collect();
    let paths = sections.iter().flat_map(|section| {
        let of = move |endpoint| path(section, endpoint, language);
        section.endpoints.iter().map(of)
    });
    let document = Document {
        openapi: "3.1.0",
        info: json!({
            "title": "WAVIRO API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION.r#in(language),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        }),
        servers: json!([{"url": origin.url()}]),
        security: json!([{"SecretKey": []}]),
        tags: json!(tags),
        paths: Ordered(paths.collect()),
        components: json!({
            "securitySchemes": {"SecretKey": {
                "type": "apiKey",
                "in": "header",
                "name": "SecretKey",
                "description": KEY.r#in(language),
            }},
            "schemas": schemas(language),
            "headers": answers::headers(language),
        }),
    };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

const INTRODUCTION: Text = Text {
    id: "Semua permintaan memakai method POST dengan body JSON. Menautkan nomor dengan cara ini tidak resmi, dan WhatsApp dapat memblokir nomor itu. Kalimat errorMessage berbahasa Indonesia, atau Inggris bila Accept-Language menghendakinya; program sebaiknya membaca code.",
    en: "Every request is a POST with a JSON body. Linking numbers this way is unofficial, and WhatsApp may ban them. The sentence in errorMessage is Indonesian, or English where Accept-Language prefers it; programs should read code.",
};

const KEY: Text = Text {
    id: "Secret key bot. Kunci ini saja yang menentukan bot mana yang dipakai.",
    en: "The bot's secret key. It alone says which bot is meant.",
};

const ONCE: Text = Text {
    id: "Kunci pilihan Anda untuk permintaan ini, misalnya nomor pesanan. Permintaan yang sama dengan kunci yang sama dalam 24 jam tidak dikirim lagi: jawabannya sama seperti yang pertama, dengan header Idempotent-Replay: true.",
    en: "A key of your choice for this request, such as an order's number. The same request under the same key within 24 hours is not sent again: it is answered as the first was, with the header Idempotent-Replay: true.",
};

fn schemas(language: Language) -> Value {
    let mut all = bodies::schemas(language);
    all.extend(answers::schemas(language));
    Value::Object(all)
}

fn path(section: &Section, endpoint: &Endpoint, language: Language) -> (String, Value) {
    let mut description = vec![endpoint.text.r#in(language)];
    description.extend(endpoint.notes.iter().map(|note| note.r#in(language)));
    let mut operation = json!({
        "operationId": endpoint.name,
        "tags": [section.title.r#in(language)],
        "summary": endpoint.title.r#in(language),
        "description": description.join("\n\n"),
        "responses": answers::responses(endpoint, language),
    });
    if matches!(endpoint.takes, Takes::Message(..)) {
        operation["parameters"] = json!([{
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": ONCE.r#in(language),
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": KEY_CAP},
        }]);
    }
    if let Some(body) = bodies::of(endpoint, language) {
        operation["requestBody"] = body;
    }
    if endpoint
        .fields()
        .iter()
        .any(|field| field.name == "notifyurl")
    {
        operation["callbacks"] = answers::callback(language);
    }
    (endpoint.path(), json!({"post": operation}))
}
