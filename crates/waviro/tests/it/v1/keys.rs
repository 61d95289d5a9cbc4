//! `/v1/bots/{bot}/keys`

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::ApiTest;

/// Returns whether the API accepts this key.
async fn works(api: &ApiTest, key: &str) -> bool {
    let request = Request::post("/api/getqr").header("SecretKey", key);
    let answer = api.app.send(request.body(Body::empty()).unwrap()).await;
    answer.status == 200
}

async fn rotate(api: &ApiTest, body: Value) -> (String, Value) {
    let answer = api.post("/v1/bots/1/keys/rotate", body).await;
    let key = answer.done()["secret_key"].as_str().unwrap().to_owned();
    (key, answer.body["previous_until"].clone())
}

#[tokio::test]
async fn both_keys_work_until_the_overlap_is_over() {
    let api = ApiTest::online().await;
    let old = api.app.key.clone();
    let (fresh, until) = rotate(&api, json!({"overlap_s": 60})).await;
    assert_eq!(until, "2023-03-15T03:03:10Z");
    assert!(works(&api, &old).await && works(&api, &fresh).await);
    let keys = api.get("/v1/bots/1/keys").await;
    assert_eq!(keys.done()["previous"]["until"], until);
    assert_ne!(
        keys.body["previous"]["fingerprint"],
        keys.body["current"]["fingerprint"]
    );
    assert_eq!(keys.body["current"]["created_at"], "2023-03-15T03:02:10Z");
    api.app.clock.advance(Duration::from_secs(59));
    assert!(works(&api, &old).await);
    api.app.clock.advance(Duration::from_secs(1));
    assert!(!works(&api, &old).await && works(&api, &fresh).await);
    assert_eq!(
        api.get("/v1/bots/1/keys").await.done()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn the_default_overlap_is_a_day_and_an_overlap_of_zero_ends_the_old_key_at_once() {
    let api = ApiTest::online().await;
    for body in [
        json!({}),
        json!({"overlap_s": null}),
        json!({"overlap_s": 86_400.0}),
    ] {
        let (_, until) = rotate(&api, body).await;
        assert_eq!(until, "2023-03-16T03:02:10Z");
    }
    let (old, _) = rotate(&api, json!({})).await;
    let (fresh, until) = rotate(&api, json!({"overlap_s": 0})).await;
    assert_eq!(until, Value::Null);
    assert!(!works(&api, &old).await && works(&api, &fresh).await);
}

#[tokio::test]
async fn a_key_replaced_twice_is_refused_and_the_overlap_can_be_ended() {
    let api = ApiTest::online().await;
    let first = api.app.key.clone();
    let (second, _) = rotate(&api, json!({})).await;
    let (third, _) = rotate(&api, json!({})).await;
    assert!(!works(&api, &first).await);
    assert!(works(&api, &second).await && works(&api, &third).await);
    for _ in 0..2 {
        assert_eq!(api.delete("/v1/bots/1/keys/previous").await.status, 204);
        assert!(!works(&api, &second).await && works(&api, &third).await);
    }
}

#[tokio::test]
async fn an_overlap_beyond_a_week_or_an_invalid_overlap_is_refused_and_changes_nothing() {
    let api = ApiTest::online().await;
    for overlap in [
        json!(604_801),
        json!(-1),
        json!("60"),
        json!(1.5),
        json!(true),
        json!([]),
    ] {
        let answer = api
            .post("/v1/bots/1/keys/rotate", json!({"overlap_s": overlap}))
            .await;
        assert_eq!(
            answer.problem_and_field(),
            (422, "invalid_field", "overlap_s"),
            "{overlap}"
        );
    }
    assert!(works(&api, &api.app.key).await);
    assert_eq!(
        api.get("/v1/bots/1/keys").await.done()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn the_list_of_keys_never_shows_a_key() {
    let api = ApiTest::online().await;
    let (fresh, _) = rotate(&api, json!({})).await;
    let shown = api.get("/v1/bots/1/keys").await.done().to_string();
    assert!(
        !shown.contains(&fresh) && !shown.contains(&api.app.key),
        "{shown}"
    );
}

/// A key in the format of another host.
const OWN: &str = "k3Jx9QpLm2Zt7VbN4wRy";

#[tokio::test]
async fn a_key_that_programs_have_already_is_taken_over_and_stored_as_a_hash() {
    let api = ApiTest::online().await;
    let old = api.app.key.clone();
    let own = json!({"secret_key": OWN, "overlap_s": 60});
    let (key, until) = rotate(&api, own.clone()).await;
    assert_eq!(
        (key.as_str(), &until),
        (OWN, &json!("2023-03-15T03:03:10Z"))
    );
    assert!(works(&api, OWN).await && works(&api, &old).await);
    assert!(
        works(&api, &format!("{OWN};")).await,
        "as the document's samples send it"
    );
    let shown = api.get("/v1/bots/1/keys").await.done().to_string();
    assert!(!shown.contains(OWN), "{shown}");
    // Setting the same key again changes nothing.
    let (_, again) = rotate(&api, own).await;
    assert_eq!(again, until);
    // A new bot can be added with existing keys.
    let other = "A7f0Kd92LmQ81zXcV5pT";
    let body = json!({"name": "pindahan", "secret_key": other, "webhook_key": "rahasia toko"});
    let made = api.post("/v1/bots", body).await;
    assert_eq!(
        (made.status.as_u16(), &made.body["secret_key"]),
        (201, &json!(other))
    );
    assert!(works_for(&api, other, "pindahan").await);
    let webhook_key = api.get("/v1/bots/2/webhook-key").await;
    assert_eq!(webhook_key.done()["webhook_key"], "rahasia toko");
}

/// Returns whether the API accepts this key for the bot with this name.
async fn works_for(api: &ApiTest, key: &str, name: &str) -> bool {
    let bot = api.app.inner.bots().by_secret(key).await;
    bot.is_some_and(|bot| bot.name() == name)
}

#[tokio::test]
async fn a_key_that_is_short_guessable_or_used_by_another_bot_is_refused_and_changes_nothing() {
    let api = ApiTest::online().await;
    let bot = |key: Value| json!({"name": "kedua", "secret_key": key});
    for key in [
        json!(""),
        json!("k3Jx9QpLm2Zt7Vb"),
        json!(OWN.repeat(7)),
        json!("k3Jx9QpLm2 Zt7VbN4wRy"),
        json!("k3Jx9QpLm2Zt7VbN4wRé"),
        json!("aaaaaaaaaaaaaaaaaaaa"),
        json!("12345678901234567890"),
        json!("SecretKeyToko2024"),
        json!(1_234_567_890_123_456_u64),
    ] {
        let (rotated, added) = (
            api.post("/v1/bots/1/keys/rotate", json!({ "secret_key": key }))
                .await,
            api.post("/v1/bots", bot(key.clone())).await,
        );
        for answer in [rotated, added] {
            assert_eq!(
                answer.problem_and_field(),
                (422, "invalid_field", "secret_key"),
                "{key}"
            );
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(!detail.contains(OWN), "{detail}");
        }
    }
    let taken = bot(json!(api.app.key));
    assert_eq!(
        api.post("/v1/bots", taken).await.problem(),
        (409, "key_taken")
    );
    api.post("/v1/bots", bot(json!(OWN))).await.done();
    let taken = json!({ "secret_key": OWN });
    let taken = api.post("/v1/bots/1/keys/rotate", taken).await;
    assert_eq!(taken.problem(), (409, "key_taken"));
    assert!(works(&api, &api.app.key).await);
    // The key of a removed bot is free again.
    assert_eq!(api.delete("/v1/bots/2").await.status, 202);
    api.post("/v1/bots", bot(json!(OWN))).await.done();
    assert!(works_for(&api, OWN, "kedua").await);
}
