//! The list of bots.

use axum::http::StatusCode;

use crate::front::Front;
use crate::pages::Visitor;

#[tokio::test]
async fn a_hostile_name_stays_a_name() {
    let front = Front::online().await;
    let admin = Visitor::admin(&front).await;
    let evil = "\"><script>alert(1)</script>";
    let made = admin.post("/dashboard", &[("name", evil)]).await;
    assert_eq!(made.status, StatusCode::CREATED);
    made.lacks(&["<script>alert"]);
    let list = admin.page("/dashboard").await;
    list.has(&["&#60;script&#62;alert"]);
    list.lacks(&["<script>alert"]);
}
