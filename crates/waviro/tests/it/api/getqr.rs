//! `/api/getqr`

use serde_json::json;
use waviro_link::{DialFailure, Identity, Status};
use waviro_testing::samples::{OWN, number};
use waviro_web::texts::Language;
use waviro_web::unreachable::why_unreachable;

use crate::test_app::TestApp;

#[tokio::test]
async fn a_linked_bot_shows_its_number_and_name() {
    let app = TestApp::online().await;
    let expected = json!({"isAuthenticated": true, "number": OWN, "name": OWN, "qrcode": ""});
    assert_eq!(app.post("/api/getqr/", "").await.message(), &expected);
}

#[tokio::test]
async fn an_unlinked_bot_shows_a_code_and_after_the_scan_its_number_and_name() {
    let app = TestApp::unlinked().await;
    let answer = app.post("/api/getqr", "").await;
    assert_eq!(
        answer.message(),
        &json!({"isAuthenticated": false, "qrcode": "2@fake,fake,fake,fake,1"})
    );
    app.link().scan(Identity {
        number: number(OWN),
        name: "Toko".to_owned(),
    });
    let expected = json!({"isAuthenticated": true, "number": OWN, "name": "Toko", "qrcode": ""});
    assert_eq!(app.post("/api/getqr", "").await.message(), &expected);
}

#[tokio::test]
async fn an_account_without_a_name_is_shown_by_its_number() {
    let app = TestApp::unlinked().await;
    app.link().scan(Identity {
        number: number(OWN),
        name: String::new(),
    });
    assert_eq!(app.post("/api/getqr", "").await.message()["name"], OWN);
}

#[tokio::test]
async fn no_code_in_time_is_a_400_that_says_what_to_do() {
    let app = TestApp::unlinked().await;
    app.link().set_status(Status::Linking { qr: None });
    let answer = app.pass_until(app.post("/api/getqr", "")).await;
    assert_eq!(answer.refusal(), (400, "qr_not_ready"));
}

#[tokio::test]
async fn no_code_because_of_a_failed_dial_says_why_and_what_to_do() {
    let app = TestApp::unlinked().await;
    for failure in DialFailure::samples() {
        let indonesian = why_unreachable(&failure, Language::Indonesian);
        app.link().set_status(Status::Unreachable(failure));
        let answer = app.pass_until(app.post("/api/getqr", "")).await;
        assert_eq!(answer.refusal(), (400, "qr_not_ready"));
        let says = answer.body["errorMessage"].as_str().unwrap();
        assert!(says.contains(indonesian), "{says}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_code() {
    let app = TestApp::unlinked().await;
    app.link().set_status(Status::Linking { qr: None });
    app.stopping.cancel();
    assert_eq!(
        app.post("/api/getqr", "").await.refusal(),
        (400, "qr_not_ready")
    );
}

#[tokio::test]
async fn a_banned_or_outdated_bot_says_so_instead_of_showing_a_code() {
    let app = TestApp::unlinked().await;
    for status in [
        Status::Banned {
            reason: "spam".to_owned(),
            until: None,
        },
        Status::ClientOutdated,
    ] {
        app.link().set_status(status);
        assert_eq!(
            app.post("/api/getqr", "").await.refusal(),
            (400, "not_connected")
        );
    }
}
