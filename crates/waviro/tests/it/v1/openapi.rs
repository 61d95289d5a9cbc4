//! `/v1/openapi.json`: complete, and consistent with the router.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use waviro_web::http::Refusal;
use waviro_web::v1::problem::Problem;

use super::{ApiTest, filled};
use crate::openapi_snapshots::assert_reviewed;

#[tokio::test]
async fn the_description_is_the_one_that_was_reviewed() {
    let api = ApiTest::online().await;
    assert_reviewed(api.document.clone(), "v1/snapshots");
}

#[tokio::test]
async fn every_operation_says_what_it_does_who_may_and_each_answer() {
    let api = ApiTest::online().await;
    let mut ids = BTreeSet::new();
    for (path, item) in api.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            for text in ["summary", "description", "operationId"] {
                assert!(
                    operation[text].as_str().is_some_and(|text| text.len() > 2),
                    "{what}: {text}"
                );
            }
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{what}: the same operationId twice"
            );
            let open = ["/v1/openapi.json", "/v1/media/{media}"].contains(&path.as_str());
            let security = if open {
                json!([{}])
            } else {
                json!([{"bearer": []}])
            };
            assert_eq!(operation["security"], security, "{what}");
            let statuses: BTreeSet<_> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert!(
                statuses.iter().any(|status| status.starts_with('2')),
                "{what}"
            );
            assert!(
                open || statuses.contains("401") && statuses.contains("429"),
                "{what}"
            );
            assert!(!path.contains('{') || statuses.contains("404"), "{what}");
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            assert!(parameters >= path.matches('{').count(), "{what}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"]
                        .as_str()
                        .is_some_and(|text| text.len() > 5),
                    "{what} {status}"
                );
                let refusal = response["content"]["application/problem+json"].is_object();
                assert_eq!(refusal, !status.starts_with('2'), "{what} {status}");
            }
            for tag in operation["tags"].as_array().unwrap() {
                let tags = api.document["tags"].as_array().unwrap();
                assert!(
                    tags.iter().any(|known| known["name"] == *tag),
                    "{what}: {tag}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_field_and_type_says_what_it_is() {
    let api = ApiTest::online().await;
    for (name, schema) in api.document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        let parts = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
        for part in parts {
            for (field, inner) in part["properties"].as_object().into_iter().flatten() {
                let described = [inner, &inner["oneOf"][0]]
                    .iter()
                    .any(|one| one["description"].is_string());
                assert!(described, "{name}.{field}: {inner}");
            }
        }
    }
}

/// Router and document are generated from the same lines. This test compares both with the source,
/// because a handler could be missing in both.
#[tokio::test]
async fn every_handler_is_routed_and_described_and_no_other_method_is() {
    let api = ApiTest::online().await;
    let described: BTreeSet<(String, String)> = api.document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    assert_eq!(described, written());
    for (path, item) in api.document["paths"].as_object().unwrap() {
        for method in [
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ] {
            let known = item[method.as_str().to_ascii_lowercase()].is_object();
            let uri = filled(path);
            let request = Request::builder().method(&method).uri(&uri);
            let answer = api.app.send(request.body(Body::empty()).unwrap()).await;
            let status = answer.status.as_u16();
            assert_eq!(known, status != 405, "{method} {path}");
            assert_ne!(answer.body["code"], "not_found", "{method} {path}");
        }
    }
}

/// Returns method and path of each `#[utoipa::path]` in the source.
fn written() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../waviro-web/src/v1");
    let (mut folders, mut files) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let mut found = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        for handler in text.split("#[utoipa::path(").skip(1) {
            let words: Vec<_> = handler.splitn(2, "path = \"").collect();
            let method = words[0].split(',').next().unwrap().trim();
            let path = words[1].split('"').next().unwrap();
            assert!(
                found.insert((method.to_owned(), path.to_owned())),
                "{method} {path} twice"
            );
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// The guide documents every code with its status, and no other codes.
#[test]
fn every_code_of_a_problem_is_in_the_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("../../docs/admin.md")).unwrap();
    let (_, table) = guide.split_once("## Problems").unwrap();
    let documented: BTreeSet<(String, u16)> = table
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `code` |"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            (
                cells[1].trim_matches('`').to_owned(),
                cells[2].parse().unwrap(),
            )
        })
        .collect();
    let known: BTreeSet<(String, u16)> = Problem::samples()
        .iter()
        .map(|problem| (problem.code().to_owned(), problem.status().as_u16()))
        .collect();
    assert_eq!(documented, known);
    // `samples` contains each kind of problem in the source.
    let kinds = [
        "../waviro-web/src/v1/problem.rs",
        "../waviro-web/src/v1/problem/limit.rs",
    ]
    .map(|file| {
        let source = fs::read_to_string(root.join(file)).unwrap();
        let (_, kinds) = source.split_once("fn kind(").unwrap();
        kinds.split_once("\n    }\n").unwrap().0.to_owned()
    });
    let kinds = kinds.concat();
    for (code, _) in known {
        assert!(kinds.contains(&format!("\"{code}\"")), "{code}");
    }
    assert_eq!(kinds.matches("S::").count(), Problem::samples().len());
}

#[tokio::test]
async fn the_page_of_the_other_api_links_to_the_description() {
    let api = ApiTest::online().await;
    for (page, link) in [
        ("/docs", "\"v1/openapi.json\""),
        ("/docs/", "\"../v1/openapi.json\""),
    ] {
        let request = Request::get(page).body(Body::empty()).unwrap();
        let answer = api.app.send(request).await;
        let Value::String(text) = answer.body else {
            panic!("no page");
        };
        assert!(text.contains(link), "{page}");
    }
}
