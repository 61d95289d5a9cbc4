//! `/v1/bots/{bot}/webhook-key` and `…/signing-secret`

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::ApiTest;

const KEY: &str = "/v1/bots/1/webhook-key";
const SECRET: &str = "/v1/bots/1/signing-secret";

#[tokio::test]
async fn the_webhook_key_stays_until_it_is_replaced_and_is_no_secret_key() {
    let api = ApiTest::online().await;
    let shown = api.get(KEY).await.done()["webhook_key"].clone();
    let text = shown.as_str().unwrap();
    assert!(text.starts_with("whk_") && text.len() > 40, "{text}");
    assert_ne!(text, api.app.key);
    assert_eq!(api.get(KEY).await.done()["webhook_key"], shown);
    let fresh = api.post(&format!("{KEY}/rotate"), Value::Null).await;
    assert_ne!(fresh.done()["webhook_key"], shown);
    assert_eq!(api.get(KEY).await.done(), &fresh.body);
}

#[tokio::test]
async fn a_replaced_signing_secret_signs_beside_the_new_one_for_its_time() {
    let api = ApiTest::online().await;
    let old = api.get(SECRET).await.done().clone();
    assert!(
        old["signing_secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    assert_eq!(old["previous"], Value::Null);
    let rotate = async |body: Value| {
        let answer = api.post(&format!("{SECRET}/rotate"), body).await;
        answer.done().clone()
    };
    let fresh = rotate(json!({"overlap_s": 60})).await;
    assert_ne!(fresh["signing_secret"], old["signing_secret"]);
    let previous =
        json!({"signing_secret": old["signing_secret"], "until": "2023-03-15T03:03:10Z"});
    assert_eq!(fresh["previous"], previous);
    assert_eq!(api.get(SECRET).await.done(), &fresh);
    api.app.clock.advance(Duration::from_mins(1));
    assert_eq!(api.get(SECRET).await.done()["previous"], Value::Null);
    assert_eq!(
        rotate(json!({})).await["previous"]["until"],
        "2023-03-16T03:03:10Z"
    );
    assert_eq!(
        rotate(json!({"overlap_s": 0})).await["previous"],
        Value::Null
    );
    for overlap in [json!(604_801), json!(-1), json!("60")] {
        let path = format!("{SECRET}/rotate");
        let answer = api.post(&path, json!({"overlap_s": overlap})).await;
        assert_eq!(answer.problem(), (422, "invalid_field"), "{overlap}");
    }
}

#[tokio::test]
async fn a_bots_own_token_reads_its_secrets_and_no_other_does() {
    let api = ApiTest::online().await;
    api.post("/v1/bots", json!({"name": "dua"})).await.done();
    let token = api.token_of(1).await;
    for what in ["webhook-key", "signing-secret"] {
        let ask = async |bot: i32| {
            let path = format!("/v1/bots/{bot}/{what}");
            api.ask(Method::GET, &path, &token, Body::empty()).await
        };
        let own = ask(1).await.done().clone();
        assert_eq!(ask(2).await.problem(), (404, "no_such_bot"));
        assert_ne!(api.get(&format!("/v1/bots/2/{what}")).await.done(), &own);
    }
}

#[tokio::test]
async fn a_webhook_key_that_scripts_check_already_is_taken_over_and_is_never_the_secret_key() {
    let api = ApiTest::online().await;
    let rotate = format!("{KEY}/rotate");
    let own = json!({"webhook_key": " YourSecretWebhookKey "});
    let taken = api.post(&rotate, own).await;
    assert_eq!(taken.done()["webhook_key"], "YourSecretWebhookKey");
    assert_eq!(api.get(KEY).await.done(), &taken.body);
    for key in [
        json!(api.app.key),
        json!(" "),
        json!("\u{200b}"),
        json!("a\nb"),
        json!("w".repeat(129)),
        json!(5),
    ] {
        let answer = api.post(&rotate, json!({ "webhook_key": key })).await;
        assert_eq!(
            answer.problem_and_field(),
            (422, "invalid_field", "webhook_key"),
            "{key}"
        );
    }
    let alike = "k3Jx9QpLm2Zt7VbN4wRy";
    let both = json!({"name": "kedua", "secret_key": alike, "webhook_key": alike});
    assert_eq!(
        api.post("/v1/bots", both).await.problem(),
        (422, "invalid_field")
    );
    api.post(&rotate, json!({ "webhook_key": alike }))
        .await
        .done();
    let key = json!({ "secret_key": alike });
    let answer = api.post("/v1/bots/1/keys/rotate", key).await;
    assert_eq!(
        answer.problem_and_field(),
        (422, "invalid_field", "secret_key")
    );
    assert_eq!(api.get(KEY).await.done()["webhook_key"], alike);
}
