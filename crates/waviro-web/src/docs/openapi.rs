//! `openapi.json` (OpenAPI 3.1), made from the catalogue.
//!
//! The document is built with `serde_json` instead of utoipa's types. The accepted body depends on
//! other fields (`groupid` in place of `nohp`, `contact` in place of a text), which needs JSON
//! Schema's `contains`, `maxContains` and bare `required`; utoipa's types have none of the three.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::catalogue::{self, Catalogue, Endpoint, Section};
use super::ordered::Ordered;
use crate::api::error::{ApiError, Language};
use crate::http::Origin;

/// Returns the OpenAPI document for a reader at `origin`.
pub fn document(language: Language, origin: &Origin) -> Ordered {
    let catalogue = catalogue::of(language);
    let mut all = catalogue.openapi.clone();
    let tag = |it: &Section| json!({"name": it.title, "description": it.text});
    all["servers"] = json!([{"url": origin.url()}]);
    all["tags"] = catalogue.sections.iter().map(tag).collect();
    let refusal = &mut all["components"]["schemas"]["Refusal"]["properties"];
    let fields: BTreeSet<&str> = catalogue.refusals().filter_map(ApiError::field).collect();
    refusal["code"]["enum"] = json!(codes(catalogue.refusals()));
    refusal["field"]["enum"] = json!(fields);
    let mut document = Ordered::default();
    for name in ["openapi", "info", "servers", "security", "tags"] {
        document[name] = all[name].take().into();
    }
    for section in &catalogue.sections {
        for endpoint in &section.endpoints {
            document["paths"][&endpoint.path()]["post"] = operation(section, endpoint, language);
        }
    }
    document["components"] = all["components"].take().into();
    document
}

fn operation(section: &Section, endpoint: &Endpoint, language: Language) -> Ordered {
    let catalogue = catalogue::of(language);
    let paragraphs = [std::slice::from_ref(&endpoint.text), &endpoint.notes].concat();
    let mut operation = endpoint.operation.clone();
    operation["operationId"] = json!(endpoint.name);
    operation["tags"] = json!([section.title]);
    operation["summary"] = json!(endpoint.title);
    operation["description"] = json!(paragraphs.join("\n\n"));
    let mut by_status: BTreeMap<String, Vec<&ApiError>> = BTreeMap::new();
    for refusal in endpoint.refusals.iter().chain(&endpoint.elsewhere) {
        let status = refusal.status().as_str().to_owned();
        by_status.entry(status).or_default().push(refusal);
    }
    for (status, refusals) in by_status {
        operation["responses"][&status] = refused(&status, &refusals, language);
    }
    for field in &endpoint.fields {
        let content = &mut operation["requestBody"]["content"]["application/json"];
        let known = &mut content["schema"]["properties"][&field.name];
        known["description"] = json!(format!("{} {}", field.text, catalogue.rules(field)));
        known["examples"] = json!([field.example]);
    }
    let mut operation = Ordered::from(operation);
    if let Some(sample) = endpoint.sample() {
        operation["requestBody"]["content"]["application/json"]["example"] = sample;
    }
    let success = &mut operation["responses"]["200"]["content"]["application/json"];
    for (at, answer) in endpoint.answers.iter().enumerate() {
        let example = &mut success["examples"][&format!("answer{}", at + 1)];
        example["summary"] = json!(answer.case).into();
        example["value"] = serde_json::from_str(&answer.body).unwrap_or_default();
    }
    operation
}

/// Returns the description of the refusals with a status.
fn refused(status: &str, refusals: &[&ApiError], language: Language) -> Value {
    let Catalogue { texts, .. } = catalogue::of(language);
    let codes = codes(refusals.iter().copied());
    let mut lines: Vec<String> = Vec::new();
    for refusal in refusals {
        let sentence = match refusal {
            // The size limit of a body is configurable.
            ApiError::BodyTooLarge => texts.body_too_large.clone(),
            _ => refusal.sentence(language, "X-Request-Id", 0),
        };
        let line = format!("- `{}`: {sentence}", refusal.code());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut described = json!({
        "description": lines.join("\n"),
        "headers": {
            "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
            "Content-Language": {"$ref": "#/components/headers/Content-Language"},
        },
        "content": {"application/json": {"schema": {"allOf": [
            {"$ref": "#/components/schemas/Refusal"},
            {"properties": {"code": {"enum": codes}}},
        ]}}},
    });
    if status == "429" {
        described["headers"]["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    }
    let sample: Value = serde_json::from_str(&texts.refusal).unwrap_or_default();
    if sample["code"]
        .as_str()
        .is_some_and(|code| codes.contains(code))
    {
        described["content"]["application/json"]["example"] = sample;
    }
    described
}

fn codes<'r>(refusals: impl Iterator<Item = &'r ApiError>) -> BTreeSet<&'r str> {
    refusals.map(ApiError::code).collect()
}
