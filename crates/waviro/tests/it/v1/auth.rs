//! The permissions of tokens.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use waviro_core::tokens::Tokens;
use waviro_store::clock::Clock;
use waviro_store::{Store, TokenRole};

use super::ApiTest;
use crate::test_app::{Answer, START};

async fn with_header(api: &ApiTest, value: &str) -> Answer {
    let request = Request::get("/v1/bots").header("Authorization", value);
    api.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_a_token_nothing_is_done_and_the_answer_says_what_to_send() {
    let api = ApiTest::online().await;
    for (method, path) in api.operations() {
        if path.ends_with("openapi.json") || path.starts_with("/v1/media/") {
            continue;
        }
        let request = Request::builder().method(&method).uri(&path);
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.problem(), (401, "no_token"), "{method} {path}");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"waviro\""
        );
    }
}

#[tokio::test]
async fn a_token_is_taken_in_any_case_of_its_scheme_and_nothing_else_is() {
    let api = ApiTest::with(&[("limits.wrong_keys_per_minute", "1000")]).await;
    let token = api.admin.clone();
    for value in ["Bearer TOKEN", "bearer TOKEN", "BEARER  TOKEN "] {
        let answer = with_header(&api, &value.replace("TOKEN", &token)).await;
        assert_eq!(answer.status, 200, "{value}");
    }
    for value in ["", "TOKEN", "Basic TOKEN", "Bearer", "Bearer  "] {
        let answer = with_header(&api, &value.replace("TOKEN", &token)).await;
        assert_eq!(answer.problem(), (401, "no_token"), "{value}");
    }
    let (upper, secret_key) = (token.to_uppercase(), api.app.key.clone());
    for value in [
        "wvt_",
        "TOKENx",
        "TOKEN;",
        "x",
        "\u{e9}",
        &upper,
        &secret_key,
    ] {
        let value = format!("Bearer {}", value.replace("TOKEN", &token));
        let answer = with_header(&api, &value).await;
        assert_eq!(answer.problem(), (401, "invalid_token"), "{value}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    let two = Request::get("/v1/bots")
        .header("Authorization", format!("Bearer {token}"))
        .header("Authorization", "Bearer other");
    let answer = api.send(two.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn wrong_tokens_and_wrong_secret_keys_count_together_and_right_ones_go_on_working() {
    let api = ApiTest::online().await;
    let wrong_key = async || {
        let request = Request::post("/api/getqr").header("SecretKey", "wrong");
        api.app.send(request.body(Body::empty()).unwrap()).await
    };
    for _ in 0..5 {
        assert_eq!(with_header(&api, "Bearer wvt_wrong").await.problem().0, 401);
        assert_eq!(wrong_key().await.refusal().0, 400);
    }
    let refused = with_header(&api, "Bearer wvt_wrong").await;
    assert_eq!(refused.problem(), (429, "too_many_wrong_keys"));
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(wrong_key().await.refusal().0, 429);
    assert_eq!(with_header(&api, "").await.problem().0, 401);
    api.get("/v1/bots").await.done();
    api.app.clock.advance(Duration::from_mins(1));
    assert_eq!(with_header(&api, "Bearer wvt_wrong").await.problem().0, 401);
}

#[tokio::test]
async fn a_token_revoked_by_another_process_is_refused_at_once() {
    let api = ApiTest::online().await;
    api.get("/v1/bots").await.done();
    let url = format!("sqlite:{}", api.app.data_dir().join("waviro.db").display());
    let other = Store::open(&url).await.unwrap();
    let tokens = Tokens::new(other.clone(), Clock::manual(START));
    assert!(tokens.revoke_named("admin").await.unwrap());
    assert_eq!(api.get("/v1/bots").await.problem(), (401, "invalid_token"));
    let (_, fresh) = tokens.add("fresh", TokenRole::Admin, None).await.unwrap();
    assert!(!format!("{fresh:?}").contains(fresh.reveal()));
    let answer = with_header(&api, &format!("Bearer {}", fresh.reveal())).await;
    assert_eq!(answer.status, 200);
    other.close().await;
}

#[tokio::test]
async fn a_token_is_refused_after_its_expiry() {
    let api = ApiTest::online().await;
    let tokens = api.app.inner.tokens();
    let lives = Some(Duration::from_secs(10));
    let (_, token) = tokens.add("brief", TokenRole::Admin, lives).await.unwrap();
    let value = format!("Bearer {}", token.reveal());
    assert_eq!(with_header(&api, &value).await.status, 200);
    api.app.clock.advance(Duration::from_secs(10));
    assert_eq!(with_header(&api, &value).await.problem().0, 401);
}

#[tokio::test]
async fn a_bots_token_sees_and_changes_its_own_bot_and_other_bots_are_404() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "kedua"})).await.done();
    let token = api.token_of(2).await;
    let own = api
        .ask(Method::GET, "/v1/bots", &token, Body::empty())
        .await;
    let data = own.done()["data"].as_array().unwrap();
    assert_eq!((data.len(), &data[0]["id"]), (1, &json!(2)));
    for path in ["/v1/bots/2", "/v1/bots/kedua"] {
        let answer = api.ask(Method::GET, path, &token, Body::empty()).await;
        assert_eq!(answer.done()["name"], "kedua");
    }
    let body = || Body::from(r#"{"name":"dua"}"#);
    let renamed = api.ask(Method::PATCH, "/v1/bots/2", &token, body()).await;
    assert_eq!(renamed.done()["name"], "dua");
    let rotated = api
        .ask(
            Method::POST,
            "/v1/bots/2/keys/rotate",
            &token,
            Body::empty(),
        )
        .await;
    assert!(rotated.done()["secret_key"].is_string());
    // All operations of another bot.
    let mut others = 0;
    for (method, path) in api.operations() {
        if path.starts_with("/v1/bots/1") {
            others += 1;
            let answer = api.ask(method.clone(), &path, &token, body()).await;
            assert_eq!(answer.problem(), (404, "no_such_bot"), "{method} {path}");
        }
    }
    assert!(others > 8, "{others}");
    let by_name = api
        .ask(Method::GET, "/v1/bots/toko", &token, Body::empty())
        .await;
    assert_eq!(by_name.problem(), (404, "no_such_bot"));
}

#[tokio::test]
async fn a_bots_token_makes_and_removes_no_bots_and_no_tokens() {
    let api = ApiTest::online().await;
    let token = api.token_of(1).await;
    let admin = r#"{"name":"x","role":"admin"}"#;
    for (method, path, body) in [
        (Method::POST, "/v1/bots", r#"{"name":"x"}"#),
        (Method::DELETE, "/v1/bots/1", ""),
        (Method::GET, "/v1/tokens", ""),
        (Method::POST, "/v1/tokens", admin),
        (Method::GET, "/v1/tokens/1", ""),
        (Method::DELETE, "/v1/tokens/1", ""),
    ] {
        let answer = api
            .ask(method.clone(), path, &token, body.to_owned().into())
            .await;
        assert_eq!(answer.problem(), (403, "admin_only"), "{method} {path}");
    }
    assert_eq!(api.app.inner.bots().list().len(), 1);
    assert_eq!(api.app.inner.tokens().list(0, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_bots_token_is_refused_after_its_bot_is_removed() {
    let api = ApiTest::online().await;
    let token = api.token_of(1).await;
    assert_eq!(api.delete("/v1/bots/1").await.status, 202);
    let answer = api
        .ask(Method::GET, "/v1/bots", &token, Body::empty())
        .await;
    assert_eq!(answer.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn neither_tokens_nor_keys_are_in_the_database_in_clear() {
    let api = ApiTest::online().await;
    let rotated = api.post("/v1/bots/1/keys/rotate", json!({})).await;
    let key = rotated.done()["secret_key"].as_str().unwrap().to_owned();
    let secrets = [api.admin.clone(), api.app.key.clone(), key];
    let folder = api.app.data_dir().to_owned();
    for file in ["waviro.db", "waviro.db-wal"] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        for secret in &secrets {
            let bare = secret.trim_start_matches("wvt_").as_bytes();
            assert!(
                !bytes.windows(bare.len()).any(|window| window == bare),
                "{file}"
            );
        }
    }
}
