//! `Idempotency-Key` on the send endpoints: a repeated request does not send the message again.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures::FutureExt;
use serde_json::{Value, json};
use waviro_core::idempotency::{Idempotency, IdempotencyError, Key, KeyUse};
use waviro_core::outbox::{Accepted, Taken};
use waviro_link::fake::FakeConnector;
use waviro_testing::engine::{TestEngine, message, until};
use waviro_testing::samples::{OWN, number};

use crate::test_app::{Answer, TestApp};

const ANI: &str = "6282386000001";

async fn send(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("SecretKey", &app.key)
        .header("Idempotency-Key", key);
    app.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_one_message_and_one_answer() {
    let app = TestApp::online().await;
    let body = json!({"nohp": ANI, "pesan": "halo"});
    let first = send(&app, "/api/sendwa", "order-7", &body).await;
    // The repeated request needs neither the duplicate rule nor the connection.
    app.link().set_status(waviro_link::Status::Replaced);
    let again = send(&app, "/api/sendwa/", "order-7", &body).await;
    assert_eq!(
        (first.message(), again.message()),
        (again.message(), first.message())
    );
    assert!(first.headers.get("idempotent-replay").is_none());
    assert_eq!(again.headers["idempotent-replay"], "true");
    assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    app.link().set_status(waviro_link::Status::Online);
    // A new key is subject to the duplicate rule, and each path has its own keys.
    let other = send(&app, "/api/sendwa", "order-8", &body).await;
    assert_eq!(other.refusal(), (400, "duplicate_message"));
    let group = json!({"groupid": waviro_testing::samples::GROUP, "pesan": "halo"});
    send(&app, "/api/sendwatogroup", "order-7", &group)
        .await
        .message();
}

#[tokio::test]
async fn identical_parallel_requests_are_one_message() {
    let app = TestApp::online().await;
    let body = json!({"nohp": ANI, "pesan": "halo"});
    let twins = (0..16).map(|_| send(&app, "/api/sendwa", "k", &body));
    let answers = futures::future::join_all(twins).await;
    for answer in &answers {
        assert_eq!(answer.message(), answers[0].message());
    }
    let fresh = answers
        .iter()
        .filter(|answer| answer.headers.get("idempotent-replay").is_none());
    assert_eq!(fresh.count(), 1);
    app.first_sent().await;
    assert_eq!(app.link().sent().len(), 1);
}

#[tokio::test]
async fn a_key_used_for_another_body_and_an_invalid_key_are_refused() {
    let app = TestApp::online().await;
    let body = |text: &str| json!({"nohp": ANI, "pesan": text});
    send(&app, "/api/sendwa", "k", &body("satu"))
        .await
        .message();
    let other = send(&app, "/api/sendwa", "k", &body("dua")).await;
    assert_eq!(other.refusal(), (400, "idempotency_conflict"));
    for bad in ["", "a b", &"k".repeat(256)] {
        let refused = send(&app, "/api/sendwa", bad, &body("tiga")).await;
        assert_eq!(
            refused.refusal(),
            (400, "invalid_idempotency_key"),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_unused() {
    let app = TestApp::online().await;
    let refused = send(&app, "/api/sendwa", "k", &json!({"nohp": ANI})).await;
    assert_eq!(refused.refusal(), (400, "missing_field"));
    let body = json!({"nohp": ANI, "pesan": "halo"});
    send(&app, "/api/sendwa", "k", &body).await.message();
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let app = TestApp::online().await;
    let body = json!({"nohp": ANI, "pesan": "halo"});
    let first = send(&app, "/api/sendwa", "k", &body).await;
    app.clock.advance(Duration::from_hours(24));
    let again = send(&app, "/api/sendwa", "k", &body).await;
    assert_eq!(first.message(), again.message());
    app.clock.advance(Duration::from_secs(1));
    let late = send(&app, "/api/sendwa", "k", &body).await;
    assert_eq!(late.refusal(), (400, "duplicate_message"));
    let other = json!({"nohp": ANI, "pesan": "lain"});
    let new = send(&app, "/api/sendwa", "k", &other).await;
    assert_ne!(new.message()["id"], first.message()["id"]);
}

#[tokio::test]
async fn another_bots_key_is_another_key() {
    let app = TestApp::online().await;
    let body = json!({"nohp": ANI, "pesan": "halo"});
    let first = send(&app, "/api/sendwa", "k", &body).await;
    let (_, key) = app.inner.bots().add("lain").await.unwrap();
    let request = Request::post("/api/sendwa")
        .header("SecretKey", key.reveal())
        .header("Idempotency-Key", "k");
    let other = app
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await;
    assert_ne!(first.message()["id"], other.message()["id"]);
}

/// Does the work of the endpoint without HTTP and returns the message id.
async fn accept(gateway: &TestEngine, idempotency: &Idempotency, key: &Key) -> String {
    let begun = idempotency
        .begin("bot 1", "sendwa", key, b"halo")
        .await
        .unwrap();
    let first = match begun {
        KeyUse::Again(kept) => return kept.answer,
        KeyUse::First(first) => first,
    };
    let keep = |accepted: &Accepted| first.keeping(200, accepted.id.as_str().to_owned());
    let message = message(ANI, "halo", None);
    let outbox = &gateway.engine.outbox;
    match outbox
        .accept_with_key(&gateway.bot, message, &keep)
        .await
        .unwrap()
    {
        Taken::New(accepted) => accepted.id.as_str().to_owned(),
        Taken::Before(kept) => first.same(kept).unwrap().answer,
    }
}

fn key() -> Key {
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("idempotency-key", "k".parse().unwrap());
    Key::of(&headers).unwrap().unwrap()
}

/// Simulates a disconnected client and a crashed process at every point of the request.
#[tokio::test]
async fn wherever_a_request_is_cut_off_the_next_under_its_key_makes_it_one_message() {
    for crash in [false, true] {
        for polls in 0..12 {
            let mut gateway = TestEngine::online().await;
            let idempotency =
                Idempotency::new(gateway.engine.store.clone(), gateway.clock.clone(), 128);
            {
                let key = key();
                let mut cut = pin!(accept(&gateway, &idempotency, &key));
                for _ in 0..polls {
                    if cut.as_mut().now_or_never().is_some() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            if crash {
                gateway
                    .crash_and_restart(FakeConnector::online(number(OWN)))
                    .await;
            }
            let idempotency = if crash {
                Idempotency::new(gateway.engine.store.clone(), gateway.clock.clone(), 128)
            } else {
                idempotency
            };
            let id = accept(&gateway, &idempotency, &key()).await;
            assert_eq!(accept(&gateway, &idempotency, &key()).await, id);
            let id = id.parse().unwrap();
            until(|| gateway.ack_of(&id), |ack| *ack == 1).await;
            until(
                || async { gateway.engine.store.pending_count() },
                |count| *count == 0,
            )
            .await;
            // The link is new after a restart and does not contain the messages of the first
            // process.
            let sent = gateway.link().sent();
            assert!(
                sent.len() <= 1 && sent.iter().all(|sent| sent.id == id),
                "{polls}: {sent:?}"
            );
        }
    }
}

#[tokio::test]
async fn idempotency_keys_older_than_a_day_are_swept() {
    let gateway = TestEngine::online().await;
    let idempotency = Idempotency::new(gateway.engine.store.clone(), gateway.clock.clone(), 128);
    let id = accept(&gateway, &idempotency, &key()).await;
    let other = idempotency.begin("bot 1", "sendwa", &key(), b"lain").await;
    assert!(matches!(other, Err(IdempotencyError::OtherBody)));
    let store = &gateway.engine.store;
    let day = waviro_store::clock::millis(waviro_core::idempotency::KEPT_FOR);
    assert_eq!(
        store
            .forget_kept(gateway.clock.now() - day, 10)
            .await
            .unwrap(),
        (0, false)
    );
    assert_eq!(accept(&gateway, &idempotency, &key()).await, id);
    gateway.pass(Duration::from_hours(25));
    assert_eq!(
        store
            .forget_kept(gateway.clock.now() - day, 10)
            .await
            .unwrap(),
        (1, false)
    );
}
