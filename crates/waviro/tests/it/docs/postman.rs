//! `/docs/postman.json`: the collection can be imported, and its requests work.

use std::collections::BTreeSet;

use serde_json::Value;
use waviro_web::docs::catalogue::Endpoint;

use super::{english, get};
use crate::test_app::TestApp;

#[tokio::test]
async fn the_collection_has_the_form_of_version_2_1_and_every_endpoint_in_order() {
    let app = TestApp::online().await;
    let answer = get(&app, "/docs/postman.json", &[("Host", "bot.example")]).await;
    let collection = &answer.body;
    assert_eq!(
        collection["info"]["schema"],
        "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    );
    assert!(collection["info"]["name"].is_string());
    let folders = collection["item"].as_array().unwrap();
    let requests: Vec<&Value> = folders
        .iter()
        .flat_map(|folder| folder["item"].as_array().unwrap())
        .collect();
    let mut paths = Vec::new();
    for request in requests {
        let call = &request["request"];
        assert_eq!(call["method"], "POST");
        let url = &call["url"];
        let path: Vec<&str> = url["path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_str().unwrap())
            .collect();
        assert_eq!(url["raw"], format!("{{{{bot_url}}}}/{}", path.join("/")));
        assert!(!request["response"].as_array().unwrap().is_empty());
        paths.push(format!("/{}", path.join("/")));
    }
    let documented: Vec<String> = english().endpoints().map(Endpoint::path).collect();
    assert_eq!(paths, documented);
}

#[tokio::test]
async fn every_variable_that_a_request_uses_has_a_value_and_together_they_work() {
    let app = TestApp::online().await;
    let answer = get(&app, "/docs/postman.json", &[("Host", "bot.example")]).await;
    let variables = answer.body["variable"].as_array().unwrap().clone();
    let names: BTreeSet<&str> = variables
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "bot_url",
            "groupid",
            "mediaurl",
            "nohp",
            "notifyurl",
            "secret_key"
        ])
    );
    let filled = |text: &str| {
        variables.iter().fold(text.to_owned(), |text, one| {
            let name = format!("{{{{{}}}}}", one["key"].as_str().unwrap());
            text.replace(&name, one["value"].as_str().unwrap())
        })
    };
    assert_eq!(filled("{{bot_url}}"), "http://bot.example");
    let text = answer.body.to_string();
    assert!(
        filled(&text).find("{{").is_none(),
        "a variable without a value"
    );
    for (folder, endpoint) in [(0, 0), (0, 2), (0, 3), (0, 4), (2, 1)] {
        let request = &answer.body["item"][folder]["item"][endpoint]["request"];
        let raw = request["body"]["raw"].as_str().unwrap();
        assert!(
            raw.contains("{{nohp}}") || raw.contains("{{groupid}}"),
            "{raw}"
        );
        let path =
            filled(request["url"]["raw"].as_str().unwrap()).replace("http://bot.example", "");
        app.post(&path, filled(raw)).await.message();
    }
}
