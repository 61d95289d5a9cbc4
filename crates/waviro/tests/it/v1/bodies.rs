//! The bodies of requests, for every operation.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{ApiTest, filled};

const MESSAGES: &str = "/v1/bots/1/messages";

/// A body type of an operation.
struct Asked {
    method: Method,
    path: String,
    schema: Value,
}

/// Returns the operations that read a body.
fn asked(api: &ApiTest) -> Vec<Asked> {
    let mut all = Vec::new();
    for (path, item) in api.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if let Some(schema) = content.get("schema") {
                all.push(Asked {
                    method: method.to_uppercase().parse().unwrap(),
                    path: filled(path),
                    schema: resolved(api, schema),
                });
            }
        }
    }
    assert!(all.len() > 15);
    all
}

/// Follows a reference, also within the choice between a type and null.
fn resolved(api: &ApiTest, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return api.document["components"]["schemas"][name].clone();
    }
    let choice = schema["oneOf"].as_array();
    let one = choice.and_then(|all| all.iter().find(|one| one["type"] != "null"));
    one.map_or_else(|| schema.clone(), |one| resolved(api, one))
}

/// Returns each field below `schema` with its path, its schema, and whether it is required.
fn fields(api: &ApiTest, schema: &Value, above: &[String]) -> Vec<(Vec<String>, Value, bool)> {
    let mut all = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = [above, std::slice::from_ref(name)].concat();
        let field = resolved(api, field);
        let required = schema["required"].as_array();
        let required = required.is_some_and(|names| names.contains(&json!(name)));
        all.extend(fields(api, &field, &path));
        all.push((path, field, required));
    }
    all
}

/// Returns a body with the single field at `path`.
fn with(path: &[String], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |value, name| {
        Value::Object(Map::from_iter([(name.clone(), value)]))
    })
}

#[tokio::test]
async fn a_value_of_a_wrong_kind_is_refused_with_its_path_at_every_depth() {
    let api = ApiTest::online().await;
    let (mut tried, mut nested) = (0, 0);
    for operation in asked(&api) {
        for (path, schema, _) in fields(&api, &operation.schema, &[]) {
            let allowed = |kind: &&str| schema["type"].to_string().contains(kind);
            for (kinds, value) in [
                (&["string"][..], json!("\u{0}")),
                (&["boolean"], json!(true)),
                (&["integer", "number"], json!(1)),
                (&["number"], json!(1e300)),
                (&["number"], json!(-1e300)),
                (&["array"], json!([{}])),
                (&["array"], json!(["https://toko.example/"])),
                (&["object"], json!({})),
            ] {
                if kinds.iter().any(allowed) {
                    continue;
                }
                let body = with(&path, &value);
                let sent = Body::from(body.to_string());
                let (method, uri) = (operation.method.clone(), &operation.path);
                let answer = api.ask(method, uri, &api.admin, sent).await;
                let refused = (422, "invalid_field", &*path.join("."));
                assert_eq!(answer.problem_and_field(), refused, "{uri} {body}");
                tried += 1;
                nested += usize::from(path.len() > 1);
            }
        }
    }
    assert!(tried > 200 && nested > 40, "{tried} {nested}");
}

#[tokio::test]
async fn a_required_field_that_is_null_is_missing_like_an_absent_field() {
    let api = ApiTest::online().await;
    let mut tried = 0;
    for operation in asked(&api) {
        for (path, _, required) in fields(&api, &operation.schema, &[]) {
            if !required {
                continue;
            }
            let body = with(&path, &Value::Null);
            let sent = Body::from(body.to_string());
            let (method, uri) = (operation.method.clone(), &operation.path);
            let answer = api.ask(method, uri, &api.admin, sent).await;
            let refused = (422, "missing_field", &*path.join("."));
            assert_eq!(answer.problem_and_field(), refused, "{uri} {body}");
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_every_operation() {
    let api = ApiTest::online().await;
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let deeper = "{\"media\":".repeat(20_000);
    for operation in asked(&api) {
        for body in [
            "[]",
            "\"text\"",
            "7",
            "true",
            "{",
            "{\"name\":\"a\"",
            "{\"name\":\"a\"}{}",
            "{\"name\":\"\\ud800\"}",
            "{\"name\":\"\\udc00\\ud800\"}",
            "{\"a\":1e999}",
            "{\"a\":-1e999}",
            "{\"a\":NaN}",
            "{'a':1}",
            &deep,
            &deeper,
        ] {
            let (method, uri) = (operation.method.clone(), &operation.path);
            let sent = Body::from(body.to_owned());
            let answer = api.ask(method, uri, &api.admin, sent).await;
            let start: String = body.chars().take(30).collect();
            assert_eq!(answer.problem(), (400, "invalid_body"), "{uri} {start}");
        }
        let (method, uri) = (operation.method.clone(), &operation.path);
        let sent = Body::from(&b"{\"name\":\"\xFF\"}"[..]);
        let answer = api.ask(method, uri, &api.admin, sent).await;
        assert_eq!(answer.problem(), (400, "invalid_body"), "{uri}");
    }
}

/// Paths, each with a body that has a wrong value.
const WRONG: &str = r#"
/v1/bots {"name":7}
/v1/bots {"secret_key":7}
/v1/bots {"secret_key":"kort"}
/v1/bots {"webhook_key":" "}
/v1/users {"password":7}
/v1/users {"role":7}
/v1/users {"role":"king"}
/v1/users {"bots":[0]}
/v1/users {"name":"x","password":"0123456789","role":"admin","bots":[]}
/v1/tokens {"role":"king"}
/v1/tokens {"bot":"1"}
/v1/tokens {"expires_in_s":0.5}
/v1/tokens {"name":"x","role":"admin","bot":1}
/v1/bots/1/keys/rotate {"overlap_s":604801}
/v1/bots/1/pairing-code {"number":"081"}
/v1/bots/1/rules {"url":"https://toko.example/LONG"}
/v1/bots/1/rules {"url":"ftp://toko.example/"}
/v1/bots/1/rules {"keyword":"a\n"}
/v1/bots/1/rules {"enabled":"true"}
/v1/bots/1/rules {"timeout_s":"10"}
/v1/bots/1/rules {"timeout_s":18446744073709551616}
/v1/bots/1/rules/test {"text":"\u0000"}
/v1/bots/1/rules/test {"group":"x"}
/v1/bots/1/subscriptions {"kinds":["bot"]}
/v1/bots/1/deliveries/replay {"state":7}
/v1/bots/1/deliveries/replay {"state":"x"}
/v1/bots/1/deliveries/replay {"kind":"x"}
/v1/bots/1/deliveries/replay {"since":"now"}
/v1/bots/1/deliveries/replay {"since":1}
/v1/bots/1/deliveries/replay {"after":-1}
/v1/bots/1/deliveries/1/replay {"body":"{"}
/v1/bots/1/messages {"to":7}
/v1/bots/1/messages {"to":"x"}
/v1/bots/1/messages {"media":["https://toko.example/"]}
/v1/bots/1/messages {"location":7}
/v1/bots/1/messages {"media":{"url":"x"}}
/v1/bots/1/messages {"location":{"latitude":91}}
/v1/bots/1/messages {"location":{"latitude":"1"}}
/v1/bots/1/messages {"contact":{"name":"a","numbers":[]}}
/v1/bots/1/messages {"contact":{"name":"a","numbers":[7]}}
/v1/bots/1/messages {"contact":{"name":"a","numbers":[MANY]}}
/v1/bots/1/messages {"to":"6281234567890","text":"a","contact":{"name":"a","numbers":["6281234567890"]}}
"#;

#[tokio::test]
async fn a_refused_value_is_answered_with_its_expected_form() {
    let api = ApiTest::online().await;
    let mut answers = String::new();
    for line in WRONG.trim().lines() {
        let (path, body) = line.split_once(' ').unwrap();
        let many = vec!["\"6281234567890\""; 51].join(",");
        let body = body
            .replace("LONG", &"a".repeat(2048))
            .replace("MANY", &many);
        let answer = api.ask(Method::POST, path, &api.admin, body.into()).await;
        let (status, code, field) = answer.problem_and_field();
        assert_eq!((status, code), (422, "invalid_field"), "{line}");
        let detail = answer.body["detail"].as_str().unwrap();
        writeln!(answers, "{line}\n    {field}: {detail}").unwrap();
    }
    insta::with_settings!({snapshot_path => "../snapshots"}, {
        insta::assert_snapshot!(answers);
    });
}

#[tokio::test]
async fn the_last_of_two_equal_fields_counts_and_unknown_fields_are_ignored() {
    let api = ApiTest::online().await;
    let post = async |body: &'static str| {
        let sent = Body::from(body);
        api.ask(Method::POST, "/v1/bots", &api.admin, sent).await
    };
    let refused = post(r#"{"name": "satu", "name": 7}"#).await;
    assert_eq!(refused.problem_and_field(), (422, "invalid_field", "name"));
    let refused = post(r#"{"name": "satu", "name": null}"#).await;
    assert_eq!(refused.problem_and_field(), (422, "missing_field", "name"));
    let added =
        post(r#"{"name": 7, "name": "satu", "": {"name": 7}, "a.b": [1], "NAME": 7}"#).await;
    assert_eq!(added.done()["bot"]["name"], "satu");
    // A text may have a character outside the basic plane, also as two escapes.
    let added = post(r#"{"name": "toko \ud83d\ude00"}"#).await;
    assert_eq!(added.done()["bot"]["name"], "toko 😀");
}

#[tokio::test]
async fn an_empty_body_and_null_are_an_object_without_fields() {
    let api = ApiTest::online().await;
    for body in [
        "",
        " \n",
        "null",
        "{}",
        "\u{feff}",
        "\u{feff}null ",
        "\u{feff} {} ",
    ] {
        for (path, code, field) in [
            ("/v1/bots", "missing_field", "name"),
            (MESSAGES, "missing_field", "to"),
        ] {
            let sent = Body::from(body);
            let answer = api.ask(Method::POST, path, &api.admin, sent).await;
            assert_eq!(answer.problem_and_field(), (422, code, field), "{body:?}");
        }
        let sent = Body::from(body);
        let patched = api.ask(Method::PATCH, "/v1/bots/1", &api.admin, sent).await;
        assert_eq!(patched.done()["name"], "toko", "{body:?}");
    }
}
