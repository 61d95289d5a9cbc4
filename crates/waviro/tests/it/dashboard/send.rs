//! The form that sends a message.

use axum::http::Request;
use serde_json::{Value, json};
use waviro_link::{Status, UnlinkedCause};
use waviro_testing::samples::number;

use crate::pages::{Page, Visitor};
use crate::test_app::TestApp;
use crate::wire::{answering, host};

const SEND: &str = "/dashboard/bots/1/send";
const BUDI: &str = "6281300000001";

/// Returns the error message of `/api` for the same request.
async fn said(app: &TestApp, path: &str, body: Value) -> String {
    let request = Request::post(path)
        .header("SecretKey", &app.key)
        .header("Accept-Language", "en");
    let answer = app.send(request.body(body.to_string().into()).unwrap());
    let said = answer.await.body["errorMessage"].clone();
    said.as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_shows(page: &Page, said: &str) {
    assert!(page.status.is_client_error(), "{page:?}");
    page.has(&[&said.replace('\'', "&#39;")]);
    page.lacks(&["This value is not valid"]);
}

#[tokio::test]
async fn a_refusal_is_shown_with_the_sentence_of_the_api() {
    let app = TestApp::with(&[("outbound.allow", "127.0.0.0/8")]).await;
    let admin = Visitor::admin(&app).await;
    let huge = vec![b'x'; 16 * 1024 * 1024 + 1].leak();
    for url in [
        host("", huge).await,
        host("", b"").await,
        answering("404 Not Found", "", b"").await,
        answering("403 Forbidden", "", b"login").await,
        "http://127.0.0.1:1/a.jpg".to_owned(),
        "http://10.0.0.5/a.jpg".to_owned(),
        "http://ani:rahasia@toko.example/a.jpg".to_owned(),
        "ftp://toko.example/a.jpg".to_owned(),
        "toko.example/a.jpg".to_owned(),
        format!("https://toko.example/{}", "a".repeat(2048)),
    ] {
        let said = said(
            &app,
            "/api/sendmedia",
            json!({"nohp": BUDI, "mediaurl": url}),
        )
        .await;
        let form = [("kind", "media"), ("to", BUDI), ("url", url.as_str())];
        assert_shows(&admin.post(SEND, &form).await, &said);
    }
    for url in ["ftp://toko.example/", "http://10.0.0.5/", "toko"] {
        let body = json!({"nohp": BUDI, "pesan": "halo", "notifyurl": url});
        let said = said(&app, "/api/sendwa", body).await;
        let form = [("to", BUDI), ("text", "halo"), ("notify_url", url)];
        assert_shows(&admin.post(SEND, &form).await, &said);
    }
    let blank = [("to", BUDI), ("text", "\u{200b}")];
    let page = admin.post(SEND, &blank).await;
    page.refused(422);
    page.has(&["a text of only blanks is not sent"]);
    app.link().unregister(number("6281300000009"));
    let body = json!({"nohp": "6281300000009", "pesan": "halo"});
    let nobody = said(&app, "/api/sendwa", body).await;
    let form = [("to", "6281300000009"), ("text", "halo")];
    assert_shows(&admin.post(SEND, &form).await, &nobody);
}

#[tokio::test]
async fn a_refusal_for_a_disconnected_bot_says_what_the_state_requires() {
    for status in [
        Status::Unlinked(UnlinkedCause::LoggedOut("removed on the phone".to_owned())),
        Status::Unlinked(UnlinkedCause::Never),
    ] {
        let app = TestApp::online().await;
        let admin = Visitor::admin(&app).await;
        app.link().set_status(status);
        let body = json!({"nohp": BUDI, "pesan": "halo"});
        let said = said(&app, "/api/sendwa", body).await;
        let form = [("to", BUDI), ("text", "halo")];
        assert_shows(&admin.post(SEND, &form).await, &said);
    }
}

#[tokio::test]
async fn a_number_in_national_form_is_accepted_on_the_page() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let form = [("kind", "text"), ("to", "0813-0000-0001"), ("text", "halo")];
    let sent = admin.post("/dashboard/bots/1/send", &form).await;
    sent.shown();
    sent.has(&["&#34;nohp&#34;: &#34;6281300000001&#34;"]);
}

#[tokio::test]
async fn a_number_that_a_spreadsheet_broke_is_refused_and_never_sent_to_another() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let send = "/dashboard/bots/1/send";
    for broken in ["6.28120000002E+12", "6.28120000002", "6281200000002.0"] {
        let text = [("kind", "text"), ("to", broken), ("text", "halo")];
        let page = admin.post(send, &text).await;
        page.refused(422);
        page.has(&["The recipient must be a number", broken]);
        let card = [
            ("kind", "contact"),
            ("to", "6281300000001"),
            ("name", "Ani"),
            ("numbers", broken),
        ];
        let page = admin.post(send, &card).await;
        page.refused(422);
        page.has(&["Give numbers with their country code"]);
    }
    assert!(app.link().sent().is_empty());
}
