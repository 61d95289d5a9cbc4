//! The list of bots.

use axum::http::StatusCode;
use waviro_link::{DialFailure, Status};
use waviro_web::texts::Language;
use waviro_web::unreachable::why_unreachable;

use crate::pages::Visitor;
use crate::test_app::TestApp;

#[tokio::test]
async fn a_hostile_name_stays_a_name() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    let evil = "\"><script>alert(1)</script>";
    let made = admin.post("/dashboard", &[("name", evil)]).await;
    assert_eq!(made.status, StatusCode::CREATED);
    made.lacks(&["<script>alert"]);
    let list = admin.page("/dashboard").await;
    list.has(&["&#60;script&#62;alert"]);
    list.lacks(&["<script>alert"]);
}

#[tokio::test]
async fn a_bot_that_cannot_reach_whatsapp_shows_why_on_the_list_and_on_its_page() {
    let app = TestApp::online().await;
    let admin = Visitor::admin(&app).await;
    for failure in [DialFailure::TlsUnknownCa, DialFailure::UpgradeStatus(429)] {
        let english = why_unreachable(&failure, Language::English);
        let english = english.replace('\'', "&#39;");
        app.link().set_status(Status::Reconnecting {
            cause: failure.into(),
        });
        admin
            .page("/dashboard")
            .await
            .has(&["WhatsApp cannot be reached"]);
        let page = admin.page("/dashboard/bots/1").await;
        page.has(&["WhatsApp cannot be reached", &english]);
    }
}
