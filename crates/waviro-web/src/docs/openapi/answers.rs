//! The OpenAPI descriptions of responses and callbacks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::api::error::{ApiError, Language};
use crate::docs::catalogue::{
    ACKS, CALLBACK, Endpoint, REFUSAL, Takes, What, anywhere, endpoints, possible,
};

const NUMBER: &str = "[1-9][0-9]{6,14}";
const GROUP: &str = "[0-9]{5,25}(-[0-9]{5,25})?";

/// The status for a header above the listener's limit. The listener answers before a request
/// exists, so the response has no body.
const HEADER_TOO_LARGE: &str = "431";

/// Returns all responses of an endpoint, by status.
pub(super) fn responses(endpoint: &Endpoint, language: Language) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(endpoint, language));
    let mut by_status: BTreeMap<u16, Vec<ApiError>> = BTreeMap::new();
    for refusal in possible(endpoint) {
        let status = refusal.status().as_u16();
        by_status.entry(status).or_default().push(refusal);
    }
    for (status, refusals) in by_status {
        responses.insert(status.to_string(), refusal(status, &refusals, language));
    }
    let text = match language {
        Language::Indonesian => "Header lebih dari 16 KiB; dijawab tanpa body.",
        Language::English => "The header is above 16 KiB; answered without a body.",
    };
    responses.insert(HEADER_TOO_LARGE.to_owned(), json!({"description": text}));
    Value::Object(responses)
}

fn success(endpoint: &Endpoint, language: Language) -> Value {
    let examples: Map<String, Value> = endpoint
        .answers
        .iter()
        .enumerate()
        .map(|(at, (case, sample))| {
            let value: Value = serde_json::from_str(sample).unwrap_or_default();
            let example = json!({"summary": case.r#in(language), "value": value});
            (format!("answer{}", at + 1), example)
        })
        .collect();
    let cases = endpoint.answers.iter().map(|(case, _)| case.r#in(language));
    json!({
        "description": cases.collect::<Vec<_>>().join(" / "),
        "headers": {"X-Request-Id": named("headers", "X-Request-Id")},
        "content": {"application/json": {
            "schema": {
                "type": "object",
                "required": ["success", "message"],
                "properties": {"success": {"const": true}, "message": message(endpoint)},
                "additionalProperties": false,
            },
            "examples": examples,
        }},
    })
}

fn message(endpoint: &Endpoint) -> Value {
    match endpoint.takes {
        Takes::Number => json!({"type": "boolean"}),
        Takes::Nothing if endpoint.name == "getqr" => named("schemas", "Link"),
        Takes::Nothing => json!({"type": "array", "items": named("schemas", "GroupShown")}),
        Takes::Message(_, what) => {
            let kinds: &[&str] = match what {
                What::Text => &["text", "chat", "vcard"],
                What::Media => &["image", "video", "audio", "document", "vcard"],
                What::Location => &["chat", "vcard"],
                What::Contact => &["vcard"],
            };
            json!({"allOf": [named("schemas", "Sent"), {"properties": {"type": {"enum": kinds}}}]})
        }
    }
}

fn refusal(status: u16, refusals: &[ApiError], language: Language) -> Value {
    let codes: BTreeSet<&str> = refusals.iter().map(ApiError::code).collect();
    let mut lines: Vec<String> = Vec::new();
    for refusal in refusals {
        let line = format!("- `{}`: {}", refusal.code(), said(refusal, language));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut headers = json!({
        "X-Request-Id": named("headers", "X-Request-Id"),
        "Content-Language": named("headers", "Content-Language"),
    });
    if status == 429 {
        headers["Retry-After"] = named("headers", "Retry-After");
    }
    let mut content = json!({"schema": {"allOf": [
        named("schemas", "Refusal"),
        {"properties": {"code": {"enum": codes}}},
    ]}});
    let example: Value = serde_json::from_str(REFUSAL).unwrap_or_default();
    if example["code"]
        .as_str()
        .is_some_and(|code| codes.contains(code))
    {
        content["example"] = example;
    }
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": {"application/json": content},
    })
}

/// Returns the text of a refusal, without values that depend on the gateway's configuration or on
/// the request.
fn said(refusal: &ApiError, language: Language) -> String {
    match (refusal, language) {
        // The size limit of a body is configurable.
        (ApiError::BodyTooLarge, Language::Indonesian) => "Body terlalu besar.".to_owned(),
        (ApiError::BodyTooLarge, Language::English) => "The body is too large.".to_owned(),
        _ => refusal.sentence(language, "X-Request-Id", 0),
    }
}

/// Returns the description of the callback to the `notifyurl`.
pub(super) fn callback(language: Language) -> Value {
    let lines =
        ACKS.map(|ack| format!("- `{}` {}: {}", ack.ack, ack.word, ack.text.r#in(language)));
    let example: Value = serde_json::from_str(CALLBACK).unwrap_or_default();
    let answered = match language {
        Language::Indonesian => "Diterima. Selain 2xx, panggilan diulang.",
        Language::English => "Received. Anything but a 2xx, and the call is repeated.",
    };
    json!({"notifyurl": {"{$request.body#/notifyurl}": {"post": {
        "description": lines.join("\n"),
        "security": [],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": named("schemas", "Callback"), "example": example}},
        },
        "responses": {"2XX": {"description": answered}},
    }}}})
}

/// Returns the descriptions of the response headers.
pub(super) fn headers(language: Language) -> Value {
    let (id, retry) = match language {
        Language::Indonesian => (
            "Tercatat di log; sebutkan kepada pengelola bila ada masalah.",
            "Detik sampai percobaan berikutnya masuk akal.",
        ),
        Language::English => (
            "Stands in the log; give it to the operator where something is wrong.",
            "Seconds until another try makes sense.",
        ),
    };
    json!({
        "X-Request-Id": {
            "description": id, "required": true, "schema": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
        },
        "Content-Language": {"required": true, "schema": {"type": "string", "enum": ["id", "en"]}},
        "Retry-After": {"description": retry, "required": true, "schema": {"type": "integer", "minimum": 1}},
    })
}

/// Returns the schemas of the responses.
pub(super) fn schemas(language: Language) -> Map<String, Value> {
    let every: Vec<ApiError> = endpoints()
        .flat_map(|endpoint| possible(&endpoint))
        .chain(anywhere())
        .collect();
    let codes: BTreeSet<&str> = every.iter().map(ApiError::code).collect();
    let fields: BTreeSet<&str> = every.iter().filter_map(ApiError::field).collect();
    let number = format!("^{NUMBER}$");
    let acks = ACKS.map(|ack| ack.ack);
    let sentence = match language {
        Language::Indonesian => "Satu kalimat yang mengatakan apa yang harus dilakukan.",
        Language::English => "One sentence that says what to do.",
    };
    let all = json!({
        "Sent": {
            "type": "object",
            "required": ["id", "status", "type", "timestamp", "from", "to"],
            "properties": {
                "id": {"type": "string", "pattern": "^3EB0[0-9A-F]{16}$"},
                "status": {"type": "integer", "const": 0},
                "type": {"type": "string"},
                "timestamp": {"type": "integer", "minimum": 0},
                "from": {"type": "string", "pattern": format!("^{NUMBER}@c\\.us$")},
                "to": {"type": "string", "pattern": format!("^({NUMBER}@c\\.us|{GROUP}@g\\.us)$")},
            },
            "additionalProperties": false,
        },
        "GroupShown": {
            "type": "object",
            "required": ["groupid", "groupname", "grouplastchat"],
            "properties": {
                "groupid": {"type": "string", "pattern": format!("^{GROUP}$")},
                "groupname": {"type": "string"},
                "grouplastchat": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": false,
        },
        "Link": {"oneOf": [
            {
                "type": "object",
                "required": ["isAuthenticated", "number", "name", "qrcode"],
                "properties": {
                    "isAuthenticated": {"const": true},
                    "number": {"type": "string", "pattern": number},
                    "name": {"type": "string", "minLength": 1},
                    "qrcode": {"const": ""},
                },
                "additionalProperties": false,
            },
            {
                "type": "object",
                "required": ["isAuthenticated", "qrcode"],
                "properties": {
                    "isAuthenticated": {"const": false},
                    "qrcode": {"type": "string", "minLength": 1},
                },
                "additionalProperties": false,
            },
        ]},
        "Refusal": {
            "type": "object",
            "required": ["success", "errorMessage", "code"],
            "properties": {
                "success": {"const": false},
                "errorMessage": {"type": "string", "minLength": 1, "description": sentence},
                "code": {"type": "string", "enum": codes},
                "field": {"type": "string", "enum": fields},
            },
            "additionalProperties": false,
        },
        "Callback": {
            "type": "object",
            "required": ["msgid", "ack"],
            "properties": {
                "msgid": {"type": "string", "pattern": "^3EB0[0-9A-F]{16}$"},
                "ack": {"type": "integer", "enum": acks},
            },
            "additionalProperties": false,
        },
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

fn named(room: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{room}/{name}")})
}
