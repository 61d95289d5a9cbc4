//! `/v1/bots/{bot}/rules`

mod test;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::ApiTest;

const RULES: &str = "/v1/bots/1/rules";

#[tokio::test]
async fn a_rule_is_stored_unchanged_except_for_blanks_around_it() {
    let api = ApiTest::online().await;
    let body = json!({"keyword": " Penawaran# ", "url": "https://toko.example/hook.php", "groups": true, "timeout_s": 10});
    let added = api.post(RULES, body).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.headers["location"], "/v1/bots/1/rules/1");
    let expected = json!({
        "id": 1, "keyword": "Penawaran#", "url": "https://toko.example/hook.php", "enabled": true, "groups": true, "timeout_s": 10,
        "off_cause": null, "created_at": "2023-03-15T03:02:10Z", "updated_at": "2023-03-15T03:02:10Z",
    });
    assert_eq!(added.body, expected);
    assert_eq!(api.get("/v1/bots/toko/rules/1").await.done(), &expected);
    assert_eq!(api.get(RULES).await.done()["data"], json!([expected]));
}

#[tokio::test]
async fn a_rule_without_keyword_takes_the_rest_and_there_is_one_of_it() {
    let api = ApiTest::online().await;
    let url = "https://toko.example/";
    let added = api.post(RULES, json!({"keyword": null, "url": url})).await;
    assert_eq!(added.done()["keyword"], "");
    for keyword in [json!(""), json!("  "), Value::Null] {
        let again = api.post(RULES, json!({"keyword": keyword, "url": url}));
        assert_eq!(again.await.problem(), (409, "keyword_taken"), "{keyword}");
    }
}

#[tokio::test]
async fn a_keyword_that_matches_the_same_texts_as_another_is_refused_with_the_others_id() {
    let api = ApiTest::online().await;
    let url = "https://toko.example/";
    for keyword in ["Straße", "harga"] {
        api.post(RULES, json!({"keyword": keyword, "url": url}))
            .await
            .done();
    }
    let again = api.post(RULES, json!({"keyword": "STRASSE", "url": url}));
    let again = again.await;
    assert_eq!(again.problem_and_field(), (409, "keyword_taken", "keyword"));
    assert!(again.body["detail"].as_str().unwrap().contains("rule 1;"));
    let renamed = api
        .patch("/v1/bots/1/rules/2", json!({"keyword": "strasse"}))
        .await;
    assert_eq!(renamed.problem(), (409, "keyword_taken"));
    // A rule may change the case of its own keyword.
    let own = api.patch("/v1/bots/1/rules/2", json!({"keyword": "HARGA"}));
    assert_eq!(own.await.done()["keyword"], "HARGA");
    // The keyword of a deleted rule is free again.
    assert_eq!(api.delete("/v1/bots/1/rules/1").await.status, 204);
    let freed = api.post(RULES, json!({"keyword": "STRASSE", "url": url}));
    assert_eq!(freed.await.done()["id"], 3);
}

#[tokio::test]
async fn a_change_leaves_the_rest_as_it_is() {
    let api = ApiTest::online().await;
    let body = json!({"keyword": "harga", "url": "https://toko.example/a", "timeout_s": 5});
    let before = api.post(RULES, body).await.done().clone();
    let path = "/v1/bots/1/rules/1";
    for nothing in [
        json!({}),
        json!({"url": null, "enabled": null, "groups": null}),
    ] {
        assert_eq!(api.patch(path, nothing).await.done(), &before);
    }
    let changed = api
        .patch(
            path,
            json!({"url": "https://toko.example/b", "enabled": false, "timeout_s": null}),
        )
        .await;
    let expected = json!({
        "id": 1, "keyword": "harga", "url": "https://toko.example/b", "enabled": false, "groups": false, "timeout_s": null,
        "off_cause": null, "created_at": before["created_at"], "updated_at": before["updated_at"],
    });
    assert_eq!(changed.done(), &expected);
    let all = api.patch(path, json!({"keyword": null})).await;
    assert_eq!(all.done()["keyword"], "");
}

#[tokio::test]
async fn an_invalid_rule_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    let long = "a".repeat(201);
    let far = format!("https://toko.example/{}", "a".repeat(2048));
    let good = "https://toko.example/";
    for (field, code, body) in [
        ("url", "missing_field", json!({"keyword": "a"})),
        ("url", "invalid_field", json!({"url": "toko.example"})),
        (
            "url",
            "invalid_field",
            json!({"url": "ftp://toko.example/"}),
        ),
        ("url", "invalid_field", json!({"url": far})),
        ("url", "invalid_field", json!({"url": 1})),
        (
            "url",
            "url_refused",
            json!({"url": "https://a:b@toko.example/"}),
        ),
        ("url", "url_refused", json!({"url": "http://10.0.0.5/"})),
        (
            "keyword",
            "invalid_field",
            json!({"url": good, "keyword": long}),
        ),
        (
            "keyword",
            "invalid_field",
            json!({"url": good, "keyword": "a\u{0}"}),
        ),
        (
            "keyword",
            "invalid_field",
            json!({"url": good, "keyword": 5}),
        ),
        (
            "enabled",
            "invalid_field",
            json!({"url": good, "enabled": "ya"}),
        ),
        ("groups", "invalid_field", json!({"url": good, "groups": 1})),
        (
            "timeout_s",
            "invalid_field",
            json!({"url": good, "timeout_s": 0}),
        ),
        // outbound.timeout_s is 15.
        (
            "timeout_s",
            "invalid_field",
            json!({"url": good, "timeout_s": 16}),
        ),
        (
            "timeout_s",
            "invalid_field",
            json!({"url": good, "timeout_s": 61}),
        ),
    ] {
        let answer = api.post(RULES, body.clone()).await;
        assert_eq!(answer.problem_and_field(), (422, code, field), "{body}");
        if body["url"] == "http://10.0.0.5/" {
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(
                detail.contains("add 10.0.0.5/32 to outbound.allow"),
                "{detail}"
            );
        }
    }
    assert_eq!(api.get(RULES).await.done()["data"], json!([]));
}

#[tokio::test]
async fn a_rule_of_another_bot_is_404() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "dua"})).await.done();
    api.post("/v1/bots/2/rules", json!({"url": "https://toko.example/"}))
        .await
        .done();
    for path in [
        "/v1/bots/1/rules/1",
        "/v1/bots/2/rules/9",
        "/v1/bots/2/rules/x",
    ] {
        assert_eq!(api.get(path).await.problem(), (404, "no_such_thing"));
        let changed = api.patch(path, json!({"enabled": false})).await;
        assert_eq!(changed.problem(), (404, "no_such_thing"));
        assert_eq!(api.delete(path).await.problem(), (404, "no_such_thing"));
    }
    let token = api.token_of(1).await;
    let theirs = api
        .ask(Method::GET, "/v1/bots/2/rules", &token, Body::empty())
        .await;
    assert_eq!(theirs.problem(), (404, "no_such_bot"));
    let own = api
        .ask(Method::GET, "/v1/bots/1/rules", &token, Body::empty())
        .await;
    assert_eq!(own.done()["data"], json!([]));
}

#[tokio::test]
async fn a_bot_has_five_hundred_rules_at_most() {
    let api = ApiTest::online().await;
    let add = async |n: usize| {
        let body = json!({"keyword": format!("k{n}"), "url": "https://toko.example/"});
        api.post_unvalidated(RULES, body).await
    };
    for n in 0..500 {
        assert_eq!(add(n).await.status, 201, "{n}");
    }
    assert_eq!(add(500).await.problem(), (409, "too_many"));
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{RULES}?limit=100{cursor}")).await;
        let rows = page.done()["data"].as_array().unwrap();
        ids.extend(rows.iter().map(|rule| rule["id"].as_i64().unwrap()));
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, (1..=500).collect::<Vec<_>>());
}
