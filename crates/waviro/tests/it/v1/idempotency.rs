//! `Idempotency-Key` on the administration API.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::ApiTest;
use crate::test_app::Answer;
use crate::wire::Stalled;

async fn post(api: &ApiTest, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("Authorization", format!("Bearer {token}"))
        .header("Idempotency-Key", key);
    api.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn a_repeated_post_is_answered_as_the_first_and_done_once() {
    let api = ApiTest::online().await;
    let body = json!({"name": "warung"});
    let ask = async |body: &Value| post(&api, &api.admin, "/v1/bots", "k-1", body).await;
    let (first, again) = (ask(&body).await, ask(&body).await);
    assert_eq!(
        (first.status, again.status),
        (201.try_into().unwrap(), 201.try_into().unwrap())
    );
    assert_eq!(first.body, again.body);
    assert_eq!(again.headers["location"], "/v1/bots/2");
    assert_eq!(again.headers["idempotent-replay"], "true");
    assert!(first.headers.get("idempotent-replay").is_none());
    assert_eq!(
        api.get("/v1/bots").await.done()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let other = ask(&json!({"name": "toko lain"})).await;
    assert_eq!(other.problem(), (422, "idempotency_conflict"));
    api.app.clock.advance(Duration::from_hours(25));
    assert_eq!(ask(&body).await.problem(), (409, "name_taken"));
}

#[tokio::test]
async fn identical_parallel_requests_are_done_once() {
    let api = ApiTest::online().await;
    let body = json!({"name": "warung"});
    let twins = (0..8).map(|_| post(&api, &api.admin, "/v1/bots", "k", &body));
    let answers = futures::future::join_all(twins).await;
    for answer in &answers {
        assert_eq!(answer.done(), answers[0].done());
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_key_unused_and_an_invalid_key_is_refused_with_its_name() {
    let api = ApiTest::online().await;
    let refused = post(&api, &api.admin, "/v1/bots", "k", &json!({"name": "toko"})).await;
    assert_eq!(refused.problem(), (409, "name_taken"));
    post(&api, &api.admin, "/v1/bots", "k", &json!({"name": "lain"}))
        .await
        .done();
    let bad = post(&api, &api.admin, "/v1/bots", "k k", &json!({"name": "x"})).await;
    assert_eq!(
        bad.problem_and_field(),
        (422, "invalid_field", "Idempotency-Key")
    );
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_token_and_is_removed_with_it() {
    let api = ApiTest::online().await;
    let path = "/v1/bots/1/keys/rotate";
    let token = api.token_of(1).await;
    let one = post(&api, &api.admin, path, "k", &json!({})).await;
    let other = post(&api, &token, path, "k", &json!({})).await;
    assert_ne!(one.done()["secret_key"], other.done()["secret_key"]);
    let again = post(&api, &token, path, "k", &json!({})).await;
    assert_eq!(again.done(), other.done());
    api.delete("/v1/tokens/2").await.done();
    let dead = post(&api, &token, path, "k", &json!({})).await;
    assert_eq!(dead.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn a_stored_response_shows_no_secret() {
    let api = ApiTest::online().await;
    let body = json!({"name": "dasbor", "role": "admin"});
    let made = post(&api, &api.admin, "/v1/tokens", "order-7", &body).await;
    let secret = made.done()["token"].as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for file in std::fs::read_dir(api.app.data_dir()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            found.extend(std::fs::read(path).unwrap());
        }
    }
    let text = String::from_utf8_lossy(&found);
    assert!(text.contains("dasbor"), "the database was not found");
    for hidden in [secret.clone(), hex::encode(&secret), "order-7".to_owned()] {
        assert!(!text.contains(&hidden), "{hidden}");
    }
}

#[tokio::test]
async fn a_message_is_sent_once_also_where_only_its_id_was_kept() {
    let api = ApiTest::online().await;
    let body = json!({"to": "6282386000001", "text": "halo"});
    let path = "/v1/bots/1/messages";
    let first = post(&api, &api.admin, path, "k", &body).await;
    let again = post(&api, &api.admin, path, "k", &body).await;
    assert_eq!(first.done(), again.done());
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert_eq!(again.headers["idempotent-replay"], "true");
    // Creates the state after a kill directly behind the commit of the message.
    let id = first.body["id"].as_str().unwrap();
    let url = format!("sqlite:{}", api.app.data_dir().join("waviro.db").display());
    let mut database = <sqlx::AnyConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    let kept = sqlx::query("UPDATE idempotency SET answer = $1")
        .bind(format!("accepted {id}"))
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(kept.rows_affected(), 1);
    let shown = post(&api, &api.admin, path, "k", &body).await;
    assert_eq!(shown.done()["id"], id);
    assert_eq!(shown.headers["idempotent-replay"], "true");
    let sent = api.app.first_sent().await;
    assert_eq!(sent.id.as_str(), id);
    assert_eq!(api.app.link().sent().len(), 1);
}

#[tokio::test]
async fn the_download_of_a_file_ends_when_the_client_of_its_keyed_request_disconnects() {
    let api = ApiTest::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let slow = Stalled::new().await;
    let body = json!({"to": "6282386000001", "media": {"url": slow.url}});
    let path = "/v1/bots/1/messages";
    tokio::select! {
        answer = post(&api, &api.admin, path, "k", &body) => panic!("its host is silent: {answer:?}"),
        () = slow.until_open(1) => {}
    }
    slow.until_open(0).await;
    // The key is free, because the first request stored nothing.
    let other = json!({"to": "6282386000001", "text": "halo"});
    post(&api, &api.admin, path, "k", &other).await.done();
}

#[tokio::test]
async fn a_caller_has_a_limit_of_concurrent_keyed_requests_also_without_their_clients() {
    let api = ApiTest::with(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.keyed_per_caller", "1"),
    ])
    .await;
    let slow = Stalled::new().await;
    let rule = json!({"keyword": "halo", "url": slow.url});
    post(&api, &api.admin, "/v1/bots/1/rules", "rule", &rule)
        .await
        .done();
    let path = "/v1/bots/1/rules/test";
    let tried = json!({"text": "halo", "send": true});
    tokio::select! {
        answer = post(&api, &api.admin, path, "k-1", &tried) => panic!("its host is silent: {answer:?}"),
        () = slow.until_open(1) => {}
    }
    let refused = post(&api, &api.admin, path, "k-2", &tried).await;
    assert_eq!(refused.problem(), (429, "too_many_at_work"));
    assert_eq!(refused.headers["retry-after"], "5");
    // Another caller has separate permits, and sending a message needs no permit.
    let token = api.token_of(1).await;
    let quick = json!({"text": "lain"});
    post(&api, &token, path, "k-2", &quick).await.done();
    let text = json!({"to": "6282386000001", "text": "halo"});
    post(&api, &api.admin, "/v1/bots/1/messages", "k-3", &text)
        .await
        .done();
}

/// Returns the size in bytes of the only stored answer.
async fn kept(api: &ApiTest) -> usize {
    let path = api.app.data_dir().join("waviro.db");
    let url = format!("sqlite:{}", path.display());
    let mut database = <sqlx::AnyConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    let rows = sqlx::query("SELECT answer FROM idempotency").fetch_all(&mut database);
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 1);
    sqlx::Row::get::<String, _>(&rows[0], 0).len()
}

#[tokio::test]
async fn a_stored_response_with_many_control_characters_is_smaller_than_its_request() {
    let api = ApiTest::online().await;
    let path = "/v1/bots/1/messages";
    // Each of these characters needs six bytes in JSON, and seven in JSON inside JSON.
    let mut state = 7_u32;
    let mut text = "halo".to_owned();
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(['\u{1}', '\u{2}', '\u{3}', '\u{4}'][(state >> 30) as usize]);
    }
    let body = json!({"to": "6282386000001", "text": text});
    let first = post(&api, &api.admin, path, "k", &body).await;
    let again = post(&api, &api.admin, path, "k", &body).await;
    assert_eq!(first.done()["id"], again.done()["id"]);
    assert_eq!(again.headers["idempotent-replay"], "true");
    let (kept, asked) = (kept(&api).await, body.to_string().len());
    assert!(kept < asked, "{kept} bytes are kept of {asked}");
}

#[tokio::test]
async fn the_oldest_stored_responses_of_a_caller_are_removed_above_the_limit() {
    let api = ApiTest::with(&[("limits.kept_answers_mib", "1")]).await;
    let path = "/v1/bots/1/messages";
    let random = |seed: u32| {
        let mut state = seed.wrapping_add(1);
        let letters = (0..15_000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("{:04x}", state >> 16)
        });
        let letters = letters.collect::<Vec<_>>().concat();
        json!({"to": "6282386000001", "text": letters})
    };
    let ask = async |n: u32| {
        let body = random(n);
        api.app.clock.advance(Duration::from_secs(1));
        post(&api, &api.admin, path, &format!("k-{n}"), &body).await
    };
    let other = api.token_of(1).await;
    let own = post(&api, &other, path, "k", &random(1000)).await;
    for n in 0..50 {
        ask(n).await.done();
    }
    let last = ask(49).await;
    assert_eq!(last.headers["idempotent-replay"], "true");
    let first = ask(0).await;
    assert!(
        !first.headers.contains_key("idempotent-replay"),
        "it is not forgotten"
    );
    // The stored answers of another caller are unaffected.
    let again = post(&api, &other, path, "k", &random(1000)).await;
    assert_eq!(again.done()["id"], own.done()["id"]);
    assert_eq!(again.headers["idempotent-replay"], "true");
}
