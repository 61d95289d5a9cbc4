//! The page of the user's own account.

use axum::http::StatusCode;
use waviro_store::UserRole;

use crate::pages::{NOWHERE, PASSWORD, Visitor};
use crate::test_app::TestApp;

#[tokio::test]
async fn a_change_of_the_own_password_needs_the_old_one_and_ends_the_other_sessions() {
    let app = TestApp::online().await;
    let users = app.inner.users();
    let here = Visitor::new(&app, "ani", UserRole::Viewer).await;
    let there = Visitor::again(&app, "ani").await;
    let id = users.named("ani").await.unwrap().unwrap().id;
    let me = "/dashboard/me";
    here.page(me).await.has(&["ani", "Old password"]);
    let new = "kata sandi yang baru";
    let form = |old, password, again| [("old", old), ("password", password), ("again", again)];
    for (fields, status, says) in [
        (form("salah sekali", new, new), 403, "old password is wrong"),
        (form("", new, new), 403, "old password is wrong"),
        (form(PASSWORD, new, "lain"), 422, "passwords differ"),
        (form(PASSWORD, "pendek", "pendek"), 422, "at least 10"),
    ] {
        let page = here.post(me, &fields).await;
        page.refused(status);
        page.has(&[says]);
    }
    there.page(me).await;
    let done = here.post(me, &form(PASSWORD, new, new)).await;
    assert_eq!(done.leads_to(), "/dashboard/me?done=password");
    let cookie = done.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let fresh = Visitor::with(&app, cookie);
    let page = fresh.get(done.leads_to()).await;
    page.has(&["All other sessions have ended."]);
    for old in [&here, &there] {
        let out = old.get(me).await;
        assert!(out.leads_to().starts_with("/dashboard/login"));
    }
    assert!(
        users
            .knows(NOWHERE, "ani", PASSWORD)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(users.knows(NOWHERE, "ani", new).await.unwrap(), Some(id));
    // Wrong passwords count like failed logins.
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = fresh.post(me, &form("salah", new, new)).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
