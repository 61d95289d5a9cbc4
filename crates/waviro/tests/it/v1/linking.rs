//! `/v1/bots/{bot}/relink`, `/qr`, `/pairing-code`, `/logout`

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use waviro_link::{Identity, OfflineCause, Status, UnlinkedCause};
use waviro_testing::samples::{OWN, number};

use super::ApiTest;
use crate::test_app::Answer;

async fn picture(api: &ApiTest, accept: &str) -> Answer {
    let request = Request::get("/v1/bots/1/qr")
        .header("Authorization", format!("Bearer {}", api.admin))
        .header("Accept", accept);
    api.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn relink_shows_a_code_and_later_who_scanned_it() {
    let api = ApiTest::unlinked().await;
    let asked = api.post("/v1/bots/1/relink", json!({})).await;
    let linking = asked.done();
    assert_eq!(
        (&linking["state"], &linking["linked"]),
        (&json!("linking"), &json!(false))
    );
    assert!(linking["qrcode"].as_str().unwrap().starts_with("2@"));
    assert!(linking["expires_at"].is_string());
    assert_eq!(api.get("/v1/bots/1/qr").await.done(), linking);
    api.app.link().scan(Identity {
        number: number(OWN),
        name: "Toko".to_owned(),
    });
    for answer in [
        api.post("/v1/bots/1/relink", json!({})).await,
        api.get("/v1/bots/1/qr").await,
    ] {
        let linked = json!({
            "state": "online", "linked": true, "number": OWN, "account_name": "Toko", "qrcode": null, "expires_at": null
        });
        assert_eq!(answer.done(), &linked);
    }
}

#[tokio::test]
async fn looking_at_the_code_starts_nothing() {
    let api = ApiTest::unlinked().await;
    let shown = api.get("/v1/bots/1/qr").await;
    assert_eq!(
        (&shown.done()["state"], &shown.body["qrcode"]),
        (&json!("unlinked"), &Value::Null)
    );
    assert_eq!(api.get("/v1/bots/1").await.done()["state"], "unlinked");
}

#[tokio::test]
async fn the_code_comes_as_a_picture_to_whoever_accepts_one() {
    let api = ApiTest::unlinked().await;
    assert_eq!(
        picture(&api, "image/svg+xml").await.problem(),
        (409, "wrong_state")
    );
    api.post("/v1/bots/1/relink", json!({})).await.done();
    for accept in ["image/svg+xml", "image/svg+xml,image/*;q=0.8"] {
        let answer = picture(&api, accept).await;
        assert_eq!(answer.headers["content-type"], "image/svg+xml");
        let text = answer.body.as_str().unwrap();
        assert!(text.contains("<svg") && text.contains("</svg>"), "{text}");
        assert!(!text.contains("script"));
    }
    for accept in ["application/json", "*/*"] {
        let answer = picture(&api, accept).await;
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn relink_connects_a_replaced_device_again() {
    let api = ApiTest::online().await;
    let link = api.app.link();
    link.set_status(Status::Replaced);
    let answer = api.post("/v1/bots/1/relink", json!({})).await;
    assert_eq!(
        (answer.done()["linked"].clone(), link.reconnects()),
        (json!(true), 1)
    );
    // A relink of an online bot does nothing, because it would interrupt a working link.
    link.set_status(Status::Online);
    api.post("/v1/bots/1/relink", json!({})).await.done();
    assert_eq!(link.reconnects(), 1);
}

#[tokio::test]
async fn relink_dials_again_after_whatsapp_refused_the_login() {
    let api = ApiTest::online().await;
    let link = api.app.link();
    let banned = Status::Banned {
        reason: "spam".to_owned(),
        until: None,
    };
    for (tries, status) in [(1, banned), (2, Status::ClientOutdated)] {
        link.set_status(status);
        let answer = api.post("/v1/bots/1/relink", json!({})).await;
        // WhatsApp still refuses the login.
        assert_eq!(answer.problem(), (409, "wrong_state"));
        assert_eq!(link.reconnects(), tries);
    }
    api.post("/v1/bots/1/pairing-code", json!({"number": OWN}))
        .await
        .problem();
    assert_eq!(link.reconnects(), 2, "a code to type is no login");
}

#[tokio::test]
async fn if_linking_is_not_possible_the_state_gives_the_reason() {
    let api = ApiTest::online().await;
    let banned = Status::Banned {
        reason: "spam".to_owned(),
        until: None,
    };
    for (status, word) in [
        (banned, "banned"),
        (Status::ClientOutdated, "client_outdated"),
    ] {
        api.app.link().set_status(status);
        for (path, body) in [
            ("relink", json!({})),
            ("pairing-code", json!({"number": OWN})),
        ] {
            let answer = api.post(&format!("/v1/bots/1/{path}"), body).await;
            assert_eq!(answer.problem(), (409, "wrong_state"), "{path}");
            assert!(answer.body["detail"].as_str().unwrap().contains(word));
        }
    }
}

#[tokio::test]
async fn a_missing_qr_code_is_answered_in_time() {
    let api = ApiTest::unlinked().await;
    // Linking has started, but no code arrives.
    api.app.link().set_status(Status::Linking { qr: None });
    let answer = api
        .app
        .pass_until(api.post("/v1/bots/1/relink", json!({})))
        .await;
    assert_eq!(answer.problem(), (503, "whatsapp_unavailable"));
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_pairing_code_needs_a_phones_number_and_an_unlinked_bot() {
    let api = ApiTest::unlinked().await;
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"number": "081200000001"}), "invalid_field"),
        (json!({"number": "+6281200000001"}), "invalid_field"),
        (json!({"number": 6_281_200_000_001_u64}), "invalid_field"),
    ] {
        let answer = api.post("/v1/bots/1/pairing-code", body.clone()).await;
        assert_eq!(answer.problem_and_field(), (422, code, "number"), "{body}");
    }
    let answer = api
        .post("/v1/bots/1/pairing-code", json!({"number": OWN}))
        .await;
    assert_eq!(answer.done()["code"], "FAKE-CODE");
    let linked = ApiTest::online().await;
    let answer = linked
        .post("/v1/bots/1/pairing-code", json!({"number": OWN}))
        .await;
    assert_eq!(answer.problem(), (409, "wrong_state"));
}

#[tokio::test]
async fn a_bot_is_logged_out_and_can_be_linked_again() {
    let api = ApiTest::online().await;
    assert_eq!(api.post("/v1/bots/1/logout", json!({})).await.status, 204);
    assert_eq!(api.get("/v1/bots/1").await.done()["state"], "logged_out");
    assert_eq!(
        api.post("/v1/bots/1/logout", json!({})).await.problem(),
        (409, "wrong_state")
    );
    let again = api.post("/v1/bots/1/relink", json!({})).await;
    assert!(again.done()["qrcode"].is_string());
}

#[tokio::test]
async fn a_logout_while_the_bot_is_not_online_is_refused() {
    let api = ApiTest::online().await;
    for status in [
        Status::Reconnecting {
            cause: OfflineCause::Ended(String::new()),
        },
        Status::Replaced,
        Status::Unlinked(UnlinkedCause::Never),
        Status::Linking { qr: None },
    ] {
        api.app.link().set_status(status.clone());
        let answer = api.post("/v1/bots/1/logout", json!({})).await;
        assert_eq!(answer.problem(), (409, "wrong_state"), "{status:?}");
        assert_eq!(api.app.inner.bots().list()[0].status(), status);
    }
}
