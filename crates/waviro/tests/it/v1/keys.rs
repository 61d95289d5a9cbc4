//! `/v1/bots/{bot}/keys`

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::Desk;

/// Returns whether the API accepts this key.
async fn works(desk: &Desk, key: &str) -> bool {
    let request = Request::post("/api/getqr").header("SecretKey", key);
    let answer = desk.front.send(request.body(Body::empty()).unwrap()).await;
    answer.status == 200
}

async fn rotate(desk: &Desk, body: Value) -> (String, Value) {
    let answer = desk.post("/v1/bots/1/keys/rotate", body).await;
    let key = answer.done()["secret_key"].as_str().unwrap().to_owned();
    (key, answer.body["previous_until"].clone())
}

#[tokio::test]
async fn both_keys_work_until_the_overlap_is_over() {
    let desk = Desk::online().await;
    let old = desk.front.key.clone();
    let (fresh, until) = rotate(&desk, json!({"overlap_s": 60})).await;
    assert_eq!(until, "2023-03-15T03:03:10Z");
    assert!(works(&desk, &old).await && works(&desk, &fresh).await);
    let keys = desk.get("/v1/bots/1/keys").await;
    assert_eq!(keys.done()["previous"]["until"], until);
    assert_ne!(
        keys.body["previous"]["fingerprint"],
        keys.body["current"]["fingerprint"]
    );
    assert_eq!(keys.body["current"]["created_at"], "2023-03-15T03:02:10Z");
    desk.front.clock.advance(Duration::from_secs(59));
    assert!(works(&desk, &old).await);
    desk.front.clock.advance(Duration::from_secs(1));
    assert!(!works(&desk, &old).await && works(&desk, &fresh).await);
    assert_eq!(
        desk.get("/v1/bots/1/keys").await.done()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn a_day_is_the_usual_overlap_and_none_ends_the_old_key_at_once() {
    let desk = Desk::online().await;
    for body in [
        json!({}),
        json!({"overlap_s": null}),
        json!({"overlap_s": 86_400.0}),
    ] {
        let (_, until) = rotate(&desk, body).await;
        assert_eq!(until, "2023-03-16T03:02:10Z");
    }
    let (old, _) = rotate(&desk, json!({})).await;
    let (fresh, until) = rotate(&desk, json!({"overlap_s": 0})).await;
    assert_eq!(until, Value::Null);
    assert!(!works(&desk, &old).await && works(&desk, &fresh).await);
}

#[tokio::test]
async fn a_key_replaced_twice_is_dead_and_the_overlap_can_be_ended() {
    let desk = Desk::online().await;
    let first = desk.front.key.clone();
    let (second, _) = rotate(&desk, json!({})).await;
    let (third, _) = rotate(&desk, json!({})).await;
    assert!(!works(&desk, &first).await);
    assert!(works(&desk, &second).await && works(&desk, &third).await);
    for _ in 0..2 {
        assert_eq!(desk.delete("/v1/bots/1/keys/previous").await.status, 204);
        assert!(!works(&desk, &second).await && works(&desk, &third).await);
    }
}

#[tokio::test]
async fn an_overlap_beyond_a_week_or_of_no_sense_is_refused_and_changes_nothing() {
    let desk = Desk::online().await;
    for overlap in [
        json!(604_801),
        json!(-1),
        json!("60"),
        json!(1.5),
        json!(true),
        json!([]),
    ] {
        let answer = desk
            .post("/v1/bots/1/keys/rotate", json!({"overlap_s": overlap}))
            .await;
        assert_eq!(answer.problem(), (422, "invalid_field"), "{overlap}");
        assert_eq!(answer.body["field"], "overlap_s");
    }
    assert!(works(&desk, &desk.front.key).await);
    assert_eq!(
        desk.get("/v1/bots/1/keys").await.done()["previous"],
        Value::Null
    );
}

#[tokio::test]
async fn what_is_shown_of_keys_is_never_a_key() {
    let desk = Desk::online().await;
    let (fresh, _) = rotate(&desk, json!({})).await;
    let shown = desk.get("/v1/bots/1/keys").await.done().to_string();
    assert!(
        !shown.contains(&fresh) && !shown.contains(&desk.front.key),
        "{shown}"
    );
}

/// A key in the format of another host.
const OWN: &str = "k3Jx9QpLm2Zt7VbN4wRy";

#[tokio::test]
async fn a_key_that_programs_have_already_is_taken_over_and_stored_as_a_hash() {
    let desk = Desk::online().await;
    let old = desk.front.key.clone();
    let own = json!({"secret_key": OWN, "overlap_s": 60});
    let (key, until) = rotate(&desk, own.clone()).await;
    assert_eq!(
        (key.as_str(), &until),
        (OWN, &json!("2023-03-15T03:03:10Z"))
    );
    assert!(works(&desk, OWN).await && works(&desk, &old).await);
    assert!(
        works(&desk, &format!("{OWN};")).await,
        "as the document's samples send it"
    );
    let shown = desk.get("/v1/bots/1/keys").await.done().to_string();
    assert!(!shown.contains(OWN), "{shown}");
    // Setting the same key again changes nothing.
    let (_, again) = rotate(&desk, own).await;
    assert_eq!(again, until);
    // A new bot can be added with existing keys.
    let other = "A7f0Kd92LmQ81zXcV5pT";
    let body = json!({"name": "pindahan", "secret_key": other, "webhook_key": "rahasia toko"});
    let made = desk.post("/v1/bots", body).await;
    assert_eq!(
        (made.status.as_u16(), &made.body["secret_key"]),
        (201, &json!(other))
    );
    assert!(works_for(&desk, other, "pindahan").await);
    let webhook_key = desk.get("/v1/bots/2/webhook-key").await;
    assert_eq!(webhook_key.done()["webhook_key"], "rahasia toko");
}

/// Returns whether the API accepts this key for the bot with this name.
async fn works_for(desk: &Desk, key: &str, name: &str) -> bool {
    let bot = desk.front.app.bots().by_secret(key).await;
    bot.is_some_and(|bot| bot.name() == name)
}

#[tokio::test]
async fn a_key_that_is_short_guessable_or_somebody_elses_is_refused_and_changes_nothing() {
    let desk = Desk::online().await;
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
            desk.post("/v1/bots/1/keys/rotate", json!({ "secret_key": key }))
                .await,
            desk.post("/v1/bots", bot(key.clone())).await,
        );
        for answer in [rotated, added] {
            assert_eq!(answer.problem(), (422, "invalid_field"), "{key}");
            assert_eq!(answer.body["field"], "secret_key", "{key}");
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(!detail.contains(OWN), "{detail}");
        }
    }
    let taken = bot(json!(desk.front.key));
    assert_eq!(
        desk.post("/v1/bots", taken).await.problem(),
        (409, "key_taken")
    );
    desk.post("/v1/bots", bot(json!(OWN))).await.done();
    let taken = json!({ "secret_key": OWN });
    let taken = desk.post("/v1/bots/1/keys/rotate", taken).await;
    assert_eq!(taken.problem(), (409, "key_taken"));
    assert!(works(&desk, &desk.front.key).await);
    // The key of a removed bot is free again.
    assert_eq!(desk.delete("/v1/bots/2").await.status, 202);
    desk.post("/v1/bots", bot(json!(OWN))).await.done();
    assert!(works_for(&desk, OWN, "kedua").await);
}
