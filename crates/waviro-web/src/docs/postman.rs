//! The Postman collection (format v2.1), made from the OpenAPI document.

use serde_json::{Value, json};

use super::ordered::Ordered;

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// The fields whose sample values are variables of the collection.
const VARIABLES: [&str; 4] = ["nohp", "groupid", "mediaurl", "notifyurl"];

/// Returns the collection for an OpenAPI document: a folder for each tag, and a request for each
/// operation.
pub fn collection(openapi: &Ordered, introduction: &str) -> Value {
    let paths = openapi["paths"].members();
    let mut folders = Vec::new();
    for tag in openapi["tags"].items() {
        let tagged = |it: &Ordered| it["post"]["tags"].items().contains(&tag["name"]);
        let inside = paths.clone().filter(|(_, it)| tagged(it));
        let requests: Vec<Value> = inside
            .map(|(path, it)| request(path, &it["post"]))
            .collect();
        let (name, description) = (&tag["name"], &tag["description"]);
        folders.push(json!({"name": name, "description": description, "item": requests}));
    }
    let variable = |key: &str, value: &str| json!({"key": key, "value": value, "type": "string"});
    let url = openapi["servers"].items().iter().map(|it| it["url"].text());
    let mut variables = vec![variable("bot_url", &url.collect::<String>())];
    variables.push(variable("secret_key", ""));
    for name in VARIABLES {
        let mut samples = paths
            .clone()
            .map(|(_, it)| sample(&it["post"])[name].text());
        let sample = samples.find(|sample| !sample.is_empty());
        variables.push(variable(name, sample.unwrap_or_default()));
    }
    json!({
        "info": {"name": openapi["info"]["title"], "description": introduction, "schema": SCHEMA},
        "auth": {"type": "apikey", "apikey": [
            variable("key", "SecretKey"),
            variable("value", "{{secret_key}}"),
            variable("in", "header"),
        ]},
        "variable": variables,
        "item": folders,
    })
}

/// Returns the sample body of an operation.
fn sample(operation: &Ordered) -> &Ordered {
    &operation["requestBody"]["content"]["application/json"]["example"]
}

fn request(path: &str, operation: &Ordered) -> Value {
    let mut call = json!({
        "method": "POST",
        "header": [],
        // The first paragraph is about the operation; notes follow.
        "description": operation["description"].text().split("\n\n").next(),
        "url": {
            "raw": format!("{{{{bot_url}}}}{path}"),
            "host": ["{{bot_url}}"],
            "path": path.split('/').skip(1).collect::<Vec<_>>(),
        },
    });
    let mut body = sample(operation).clone();
    for (name, _) in sample(operation).members() {
        if VARIABLES.contains(&name.as_str()) {
            body[name] = json!(format!("{{{{{name}}}}}")).into();
        }
    }
    if !matches!(body, Ordered::Null) {
        let options = json!({"raw": {"language": "json"}});
        call["body"] = json!({"mode": "raw", "raw": body.pretty(), "options": options});
    }
    let success = &operation["responses"]["200"]["content"]["application/json"];
    let answers = success["examples"].members().map(|(_, example)| {
        json!({
            "name": example["summary"],
            "originalRequest": call,
            "status": "OK",
            "code": 200,
            "_postman_previewlanguage": "json",
            "header": [{"key": "Content-Type", "value": "application/json"}],
            "cookie": [],
            "body": example["value"].pretty(),
        })
    });
    let answers: Vec<Value> = answers.collect();
    json!({"name": operation["summary"], "request": call, "response": answers})
}
