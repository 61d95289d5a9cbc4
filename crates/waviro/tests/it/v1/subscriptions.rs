//! Subscriptions to events.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::ApiTest;

const LIST: &str = "/v1/bots/1/subscriptions";

async fn subscribed(api: &ApiTest, kinds: Value) -> i64 {
    let added = api
        .post(
            LIST,
            json!({"url": "https://toko.example/e", "kinds": kinds}),
        )
        .await;
    added.done()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_subscription_is_added_shown_changed_and_removed() {
    let api = ApiTest::online().await;
    let body = json!({"url": "https://toko.example/e", "kinds": ["bot.state", "message.received"], "timeout_s": 5});
    let added = api.post(LIST, body).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.headers["location"], format!("{LIST}/1"));
    let row = added.done().clone();
    assert_eq!(row["kinds"], json!(["message.received", "bot.state"]));
    assert_eq!(
        (&row["enabled"], &row["timeout_s"]),
        (&json!(true), &json!(5))
    );
    let path = format!("{LIST}/1");
    assert_eq!(*api.get(&path).await.done(), row);
    let change = json!({"url": "https://lain.example/", "kinds": ["*"], "enabled": false, "timeout_s": null});
    let changed = api.patch(&path, change).await.done().clone();
    assert_eq!(changed["url"], "https://lain.example/");
    assert_eq!(changed["kinds"], json!(["*"]));
    assert_eq!(
        (&changed["enabled"], &changed["timeout_s"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(*api.patch(&path, json!({})).await.done(), changed);
    let list = api.get(LIST).await.done().clone();
    assert_eq!(list["data"], json!([changed]));
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(api.delete(&path).await.problem(), (404, "no_such_thing"));
    assert_eq!(api.get(&path).await.problem(), (404, "no_such_thing"));
    assert_eq!(api.patch(&path, json!({})).await.problem().0, 404);
    // The id is not reused.
    assert_eq!(subscribed(&api, json!(["*"])).await, 2);
}

#[tokio::test]
async fn an_invalid_subscription_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    let url = "https://toko.example/e";
    for (body, code, field) in [
        (json!({"kinds": ["*"]}), "missing_field", "url"),
        (json!({"url": url}), "missing_field", "kinds"),
        (json!({"url": url, "kinds": []}), "invalid_field", "kinds"),
        (
            json!({"url": url, "kinds": ["message"]}),
            "invalid_field",
            "kinds",
        ),
        (json!({"url": url, "kinds": "*"}), "invalid_field", "kinds"),
        (json!({"url": url, "kinds": [1]}), "invalid_field", "kinds"),
        (
            json!({"url": "ftp://toko.example", "kinds": ["*"]}),
            "invalid_field",
            "url",
        ),
        (
            json!({"url": "http://10.0.0.1/", "kinds": ["*"]}),
            "url_refused",
            "url",
        ),
        (
            json!({"url": url, "kinds": ["*"], "timeout_s": 0}),
            "invalid_field",
            "timeout_s",
        ),
        (
            json!({"url": url, "kinds": ["*"], "timeout_s": 16}),
            "invalid_field",
            "timeout_s",
        ),
        (
            json!({"url": url, "kinds": ["*"], "enabled": 1}),
            "invalid_field",
            "enabled",
        ),
    ] {
        let answer = api.post(LIST, body.clone()).await;
        assert_eq!(answer.problem_and_field(), (422, code, field), "{body}");
    }
    assert_eq!(api.get(LIST).await.done()["data"], json!([]));
}

#[tokio::test]
async fn a_bots_token_sees_its_own_subscriptions_alone() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    subscribed(&api, json!(["*"])).await;
    let token = api.token_of(2).await;
    let own = "/v1/bots/2/subscriptions";
    let body = r#"{"url":"https://dua.example/","kinds":["call.received"]}"#;
    let added = api.ask(Method::POST, own, &token, body.into()).await;
    assert_eq!(added.done()["id"], 2);
    for path in ["/v1/bots/2/subscriptions/1", "/v1/bots/1/subscriptions/1"] {
        let answer = api.ask(Method::GET, path, &token, Body::empty()).await;
        assert_eq!(answer.problem().0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_bot_has_a_hundred_subscriptions_at_most() {
    let api = ApiTest::online().await;
    for _ in 0..100 {
        let body = json!({"url": "https://toko.example/e", "kinds": ["*"]}).to_string();
        let request = axum::http::Request::post(LIST)
            .header("Authorization", format!("Bearer {}", api.admin));
        let answer = api.app.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, 201);
    }
    let body = json!({"url": "https://toko.example/e", "kinds": ["*"]});
    assert_eq!(api.post(LIST, body).await.problem(), (409, "too_many"));
}
