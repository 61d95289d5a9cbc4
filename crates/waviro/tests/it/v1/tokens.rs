//! `/v1/tokens`

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::ApiTest;

#[tokio::test]
async fn a_token_is_made_with_its_role_shown_once_and_works() {
    let api = ApiTest::online().await;
    for (body, role, bot) in [
        (
            json!({"name": "panel", "role": "admin"}),
            "admin",
            json!(null),
        ),
        (
            json!({"name": "toko", "role": "bot", "bot": 1}),
            "bot",
            json!(1),
        ),
        (
            json!({"name": "sehari", "role": "admin", "bot": null, "expires_in_s": 86_400}),
            "admin",
            json!(null),
        ),
    ] {
        let made = api.post("/v1/tokens", body).await;
        assert_eq!(made.status, 201);
        let path = made.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(path, format!("/v1/tokens/{}", made.body["id"]));
        assert_eq!(
            (&made.body["role"], &made.body["bot"]),
            (&json!(role), &bot)
        );
        let token = made.body["token"].as_str().unwrap();
        assert!(token.starts_with("wvt_") && token.len() == 68, "{token}");
        assert_eq!(
            api.ask(Method::GET, "/v1/bots", token, Body::empty())
                .await
                .status,
            200
        );
        let shown = api.get(&path).await;
        assert!(!shown.body.to_string().contains(token));
        assert!(shown.done()["last_used_at"].is_string());
    }
    let list = api.get("/v1/tokens").await;
    assert_eq!(list.done()["data"].as_array().unwrap().len(), 4);
    assert_eq!(list.body["data"][3]["expires_at"], "2023-03-16T03:02:10Z");
}

#[tokio::test]
async fn an_invalid_token_request_is_refused_with_the_field() {
    let api = ApiTest::online().await;
    for (body, field) in [
        (json!({"role": "admin"}), "name"),
        (json!({"name": "x"}), "role"),
        (json!({"name": "x", "role": "king"}), "role"),
        (json!({"name": "x", "role": "Admin"}), "role"),
        (json!({"name": "x", "role": "bot"}), "bot"),
        (json!({"name": "x", "role": "bot", "bot": 9}), "bot"),
        (json!({"name": "x", "role": "bot", "bot": 0}), "bot"),
        (json!({"name": "x", "role": "bot", "bot": "toko"}), "bot"),
        (json!({"name": "x", "role": "admin", "bot": 1}), "bot"),
        (
            json!({"name": "x", "role": "admin", "expires_in_s": 0}),
            "expires_in_s",
        ),
        (
            json!({"name": "x", "role": "admin", "expires_in_s": 315_360_001}),
            "expires_in_s",
        ),
    ] {
        let answer = api.post("/v1/tokens", body.clone()).await;
        assert_eq!(answer.problem().0, 422, "{body}");
        assert_eq!(answer.body["field"], field, "{body}");
    }
    let taken = json!({"name": "admin", "role": "admin"});
    assert_eq!(
        api.post("/v1/tokens", taken).await.problem(),
        (409, "name_taken")
    );
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_stays_on_the_list() {
    let api = ApiTest::online().await;
    let made = api
        .post("/v1/tokens", json!({"name": "panel", "role": "admin"}))
        .await;
    let token = made.done()["token"].as_str().unwrap().to_owned();
    api.app.clock.advance(Duration::from_secs(1));
    assert_eq!(api.delete("/v1/tokens/2").await.status, 204);
    let refused = api
        .ask(Method::GET, "/v1/bots", &token, Body::empty())
        .await;
    assert_eq!(refused.problem(), (401, "invalid_token"));
    assert_eq!(
        api.delete("/v1/tokens/2").await.problem(),
        (404, "no_such_thing")
    );
    assert_eq!(
        api.get("/v1/tokens/2").await.done()["revoked_at"],
        "2023-03-15T03:02:11Z"
    );
    // The name is free again, but the id is not reused.
    let again = api
        .post("/v1/tokens", json!({"name": "panel", "role": "admin"}))
        .await;
    assert_eq!(again.done()["id"], 3);
}

#[tokio::test]
async fn a_token_may_revoke_itself() {
    let api = ApiTest::online().await;
    assert_eq!(api.delete("/v1/tokens/1").await.status, 204);
    assert_eq!(api.get("/v1/tokens/1").await.problem().0, 401);
}

#[tokio::test]
async fn an_unknown_token_id_is_404() {
    let api = ApiTest::online().await;
    for id in ["0", "9", "-1", "admin", "99999999999999999999", "%FF", "+1"] {
        let path = format!("/v1/tokens/{id}");
        for answer in [api.get(&path).await, api.delete(&path).await] {
            assert_eq!(answer.problem(), (404, "no_such_thing"), "{id}");
        }
    }
    assert_ne!(
        api.get("/v1/tokens/1").await.body["last_used_at"],
        Value::Null
    );
}
