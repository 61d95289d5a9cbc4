//! The ways in: the first user's link, logging in and out, and how often a password may be tried.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};

use crate::pages::{PASSWORD, Pages};

#[tokio::test]
async fn the_first_user_is_made_by_the_link_once() {
    let pages = Pages::empty().await;
    let (status, headers, _) = pages.get("/dashboard", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/setup");
    let (status, _, page) = pages.get("/dashboard/setup?token=wrong", "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!page.contains("<form method=\"post\" action=\"/dashboard/setup\""));

    let link = pages.first_link().await.unwrap();
    let token = link.split_once("token=").unwrap().1.to_owned();
    let (status, _, page) = pages.get(&link, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(&token));
    let fields = |token, password, again| {
        [
            ("token", token),
            ("name", "ani"),
            ("password", password),
            ("again", again),
        ]
    };
    for (token, password, again, status) in [
        ("wrong", PASSWORD, PASSWORD, StatusCode::FORBIDDEN),
        (&*token, PASSWORD, "lain", StatusCode::UNPROCESSABLE_ENTITY),
        (
            &*token,
            "pendek",
            "pendek",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let form = fields(token, password, again);
        let (answered, _, _) = pages.post("/dashboard/setup", &form, "").await;
        assert_eq!(answered, status);
    }
    let form = fields(&token, PASSWORD, PASSWORD);
    let (status, headers, _) = pages.post("/dashboard/setup", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = cookie(&headers);
    let (status, _, page) = pages.get("/dashboard", &cookie).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("ani"));

    // The link opens nothing any more.
    assert!(pages.first_link().await.is_none());
    let (status, headers, _) = pages.post("/dashboard/setup", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
    assert!(!headers.contains_key("set-cookie"));
    let (status, headers, _) = pages.get(&link, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
}

/// What a browser would send back.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"));
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_logs_in_comes_back_to_where_they_wanted_to_be_and_nowhere_else() {
    let pages = Pages::with_admin().await;
    let (status, headers, _) = pages.get("/dashboard/bots/1?x=1", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let wanted = "/dashboard/login?to=%2Fdashboard%2Fbots%2F1%3Fx%3D1";
    assert_eq!(headers["location"], wanted);
    for (to, back) in [
        ("/dashboard/bots/1?x=1", "/dashboard/bots/1?x=1"),
        ("/dashboard", "/dashboard"),
        ("https://evil.example/", "/dashboard"),
        ("//evil.example", "/dashboard"),
        ("/dashboardevil", "/dashboard"),
        ("/dashboard/\\evil", "/dashboard"),
        ("/dashboard/\r\nSet-Cookie: a=b", "/dashboard"),
    ] {
        let form = [("name", "admin"), ("password", PASSWORD), ("to", to)];
        let (status, headers, _) = pages.post("/dashboard/login", &form, "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(headers["location"], back, "{to}");
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_a_session_ends_when_it_is_left() {
    let pages = Pages::with_admin().await;
    let wrong = [("name", "admin"), ("password", "salah salah salah")];
    for _ in 0..10 {
        let (status, _, page) = pages.post("/dashboard/login", &wrong, "").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(!page.contains("salah salah"), "a password is never shown");
    }
    let (status, _, _) = pages.post("/dashboard/login", &wrong, "").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // A right one is not looked at either, until a minute is over.
    let right = [("name", "admin"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    pages.front.clock.advance(Duration::from_mins(1));
    let (status, headers, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = cookie(&headers);
    assert_eq!(pages.get("/dashboard", &cookie).await.0, StatusCode::OK);
    pages.post("/dashboard/logout", &[], &cookie).await;
    assert_eq!(
        pages.get("/dashboard", &cookie).await.0,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn nobody_is_kept_out_by_what_others_try() {
    let pages = Pages::with_admin().await;
    for n in 0..20 {
        let wrong = [("name", "orang lain"), ("password", "salah salah salah")];
        pages.post("/dashboard/login", &wrong, "").await;
        let token = format!("Bearer wvt_{n:064}");
        let headers = [("authorization", token.as_str())];
        pages.send(Method::GET, "/v1/bots", "", "", &headers).await;
    }
    let right = [("name", "admin"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    // A stolen session is no way to guess the password.
    let admin = pages.cookie("admin").await;
    let change = |old| {
        [
            ("old", old),
            ("password", "kata sandi baru"),
            ("again", "kata sandi baru"),
        ]
    };
    for _ in 0..10 {
        pages
            .post("/dashboard/me", &change("salah salah"), &admin)
            .await;
    }
    let (status, _, _) = pages.post("/dashboard/me", &change(PASSWORD), &admin).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
}
