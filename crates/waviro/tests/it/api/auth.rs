//! The SecretKey header.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;

use crate::test_app::{Answer, TestApp};

async fn ask(app: &TestApp, name: &str, value: &str) -> Answer {
    let request = Request::post("/api/getqr").header(name, value);
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn secret_key_header_in_any_case_with_blanks_and_one_trailing_semicolon() {
    let app = TestApp::online().await;
    for name in ["SecretKey", "secretkey", "secretKey", "SECRETKEY"] {
        for value in ["KEY", "KEY ", " KEY", "KEY;", "KEY; ", "KEY ;"] {
            let answer = ask(&app, name, &value.replace("KEY", &app.key)).await;
            assert_eq!(answer.message()["isAuthenticated"], true, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_400_whatever_else_is_wrong() {
    let app = TestApp::with(&[("limits.wrong_keys_per_minute", "1000")]).await;
    let missing = app
        .send(Request::post("/api/sendwa").body(Body::from("{")).unwrap())
        .await;
    assert_eq!(missing.refusal(), (400, "invalid_secret_key"));
    let upper = app.key.to_uppercase();
    for value in ["", ";", "x", "KEY;;", "KEYKEY", "\u{e9}", upper.as_str()] {
        let answer = ask(&app, "SecretKey", &value.replace("KEY", &app.key)).await;
        assert_eq!(answer.refusal(), (400, "invalid_secret_key"), "{value}");
    }
    let in_the_url = Request::post(format!("/api/getqr?secretkey={}", app.key));
    let answer = app.send(in_the_url.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.refusal(), (400, "invalid_secret_key"));
}

#[tokio::test]
async fn ten_wrong_keys_a_minute_then_429_while_the_right_key_goes_on_working() {
    let app = TestApp::online().await;
    for _ in 0..20 {
        // A missing key does not count as a wrong key.
        assert_eq!(ask(&app, "SecretKey", " ").await.refusal().0, 400);
    }
    for _ in 0..10 {
        assert_eq!(ask(&app, "SecretKey", "wrong").await.refusal().0, 400);
    }
    let refused = ask(&app, "SecretKey", "wrong").await;
    assert_eq!(refused.refusal(), (429, "too_many_wrong_keys"));
    assert_eq!(refused.headers["retry-after"], "60");
    let key = app.key.clone();
    assert_eq!(
        ask(&app, "SecretKey", &key).await.message()["isAuthenticated"],
        true
    );
    app.clock.advance(Duration::from_mins(1));
    assert_eq!(ask(&app, "SecretKey", "wrong").await.refusal().0, 400);
}

#[tokio::test]
async fn a_key_that_was_replaced_or_whose_bot_was_removed_is_refused() {
    let app = TestApp::online().await;
    let bots = app.inner.bots();
    let bot_id = bots.by_name("toko").unwrap().id();
    let fresh = bots.rotate_key(bot_id, Duration::ZERO).await.unwrap();
    assert_eq!(ask(&app, "SecretKey", &app.key).await.refusal().0, 400);
    assert_eq!(
        ask(&app, "SecretKey", fresh.reveal()).await.status.as_u16(),
        200
    );
    bots.remove(bot_id).await.unwrap();
    assert_eq!(
        ask(&app, "SecretKey", fresh.reveal()).await.refusal().0,
        400
    );
}

#[tokio::test]
async fn two_secret_keys_that_differ_are_refused_in_either_order_and_two_alike_are_one() {
    let app = TestApp::with(&[("limits.wrong_keys_per_minute", "1000")]).await;
    let (_, other) = app.inner.bots().add("kedua").await.unwrap();
    let (key, other) = (app.key.clone(), other.reveal().to_owned());
    let both = async |one: &str, two: &str| {
        let request = Request::post("/api/getqr")
            .header("SecretKey", one)
            .header("secretkey", two);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    for (one, two) in [
        (key.as_str(), other.as_str()),
        (&other, &key),
        (&key, "wrong"),
        ("wrong", &key),
        (&key, ""),
        ("", &key),
        (&key, "\u{e9}"),
        ("\u{e9}", &key),
    ] {
        let answer = both(one, two).await;
        assert_eq!(answer.refusal(), (400, "invalid_secret_key"), "{one} {two}");
    }
    let alike = both(&key, &format!("{key};")).await;
    assert_eq!(alike.message()["isAuthenticated"], true);
}
