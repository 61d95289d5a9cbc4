//! The pages of users.

use axum::http::StatusCode;
use waviro_store::UserRole;

use super::rules::RULES;
use crate::pages::{NOWHERE, PASSWORD, Visitor};
use crate::test_app::TestApp;

#[tokio::test]
async fn an_admin_makes_changes_and_removes_users_and_the_last_admin_stays() {
    let app = TestApp::online().await;
    let known = app.inner.users();
    let admin = Visitor::admin(&app).await;
    let users = "/dashboard/users";
    admin.page(users).await.has(&["(you)", "Add a user"]);
    let budi = [
        ("name", "budi"),
        ("password", PASSWORD),
        ("role", "operator"),
        ("bot", "1"),
    ];
    assert_eq!(admin.post(users, &budi).await.leads_to(), users);
    admin.page(users).await.has(&["budi", "toko"]);
    let found = admin.page("/dashboard/users?q=BUD").await;
    found.has(&["/dashboard/users/2\""]);
    found.lacks(&["/dashboard/users/1\""]);
    let none = admin.page("/dashboard/users?q=tono").await;
    none.has(&["Nothing fits."]);
    let twice = admin.post(users, &budi).await;
    twice.refused(409);
    twice.has(&["That name is already used"]);
    let short = [("name", "x"), ("password", "pendek"), ("role", "viewer")];
    let short = admin.post(users, &short).await;
    short.refused(422);
    short.has(&["at least 10 characters"]);
    short.lacks(&["pendek"]);
    // A box ticked for another role is ignored.
    let viewer = [("do", "role"), ("role", "viewer"), ("bot", "1")];
    let two = format!("{users}/2");
    assert_eq!(admin.post(&two, &viewer).await.leads_to(), users);
    let changed = known.one(2).await.unwrap().unwrap();
    assert_eq!(changed.role, UserRole::Viewer);
    let budi = Visitor::again(&app, "budi").await;
    budi.page(RULES).await;
    let renew = [("do", "password"), ("password", "kata sandi yang baru")];
    admin.post(&two, &renew).await.leads_to();
    let out = budi.get(RULES).await;
    assert!(out.leads_to().starts_with("/dashboard/login"));
    let wrong = [("do", "remove"), ("name", "bud")];
    let kept = admin.post(&two, &wrong).await;
    kept.refused(422);
    kept.has(&["nothing was removed"]);
    assert!(known.one(2).await.unwrap().is_some());
    let right = [("do", "remove"), ("name", "budi")];
    assert_eq!(admin.post(&two, &right).await.leads_to(), users);
    assert!(known.one(2).await.unwrap().is_none());
    let one = format!("{users}/1");
    let page = admin.page(&one).await;
    page.has(&["This is the last admin"]);
    page.lacks(&["Remove the user", "name=\"role\""]);
    for fields in [
        [("do", "remove"), ("name", "admin")],
        [("do", "role"), ("role", "viewer")],
    ] {
        let page = admin.post(&one, &fields).await;
        page.refused(409);
        page.has(&["make another user an admin first"]);
    }
}

#[tokio::test]
async fn the_own_password_is_not_changed_in_the_list_without_the_old_one() {
    let app = TestApp::online().await;
    let known = app.inner.users();
    let admin = Visitor::admin(&app).await;
    let one = "/dashboard/users/1";
    let new = "kata sandi yang baru";
    let form = |old| [("do", "password"), ("password", new), ("old", old)];
    let without = [("do", "password"), ("password", new)];
    let refused = admin.post(one, &without).await;
    refused.refused(422);
    refused.has(&["The old password is wrong."]);
    let refused = admin.post(one, &form("salah sekali")).await;
    refused.refused(422);
    assert!(known.knows(NOWHERE, "admin", new).await.unwrap().is_none());
    admin.page(one).await;
    admin.post(one, &form(PASSWORD)).await.leads_to();
    assert_eq!(known.knows(NOWHERE, "admin", new).await.unwrap(), Some(1));
    // Wrong passwords count like failed logins.
    let session = known.begin(1).await.unwrap();
    let admin = Visitor::with(&app, format!("waviro_session={}", session.reveal()));
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = admin.post(one, &form("salah")).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
