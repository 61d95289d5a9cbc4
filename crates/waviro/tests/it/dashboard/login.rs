//! Access to the dashboard: the first user's setup link, login and logout, and the limits of login
//! attempts.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tower::ServiceExt;
use url::form_urlencoded;
use waviro_store::UserRole;
use waviro_web::http::Peer;

use crate::pages::{PASSWORD, Pages, Visitor};
use crate::test_app::TestApp;

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

    // The used link is no longer valid.
    assert!(pages.first_link().await.is_none());
    let (status, headers, _) = pages.post("/dashboard/setup", &form, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
    assert!(!headers.contains_key("set-cookie"));
    let (status, headers, _) = pages.get(&link, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/dashboard/login");
}

/// Returns the cookie that a browser would send back.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"));
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_leads_to_the_requested_page_and_to_no_other_host() {
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
    // The right password is refused as well until a minute has passed.
    let right = [("name", "admin"), ("password", PASSWORD)];
    let (status, _, _) = pages.post("/dashboard/login", &right, "").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    pages.app.clock.advance(Duration::from_mins(1));
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
async fn failed_logins_of_others_lock_out_no_user() {
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
    // A stolen session must not allow guessing the password.
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

/// Returns the status of a login from this address; `forwarded` is the X-Forwarded-For header of a
/// proxy.
async fn login(
    app: &TestApp,
    from: &str,
    forwarded: Option<&str>,
    (name, password): (&str, &str),
) -> StatusCode {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("name", name), ("password", password)]);
    let mut request = Request::post("/dashboard/login").header("sec-fetch-site", "same-origin");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let mut request = request.body(Body::from(form.finish())).unwrap();
    let peer = SocketAddr::new(from.parse().unwrap(), 4711);
    request.extensions_mut().insert(Peer(peer));
    let answered = app.inner.router().oneshot(request).await.unwrap();
    if matches!(answered.status().as_u16(), 429 | 503) {
        assert!(answered.headers().contains_key("retry-after"));
    }
    answered.status()
}

const WRONG: (&str, &str) = ("admin", "salah salah salah");
const RIGHT: (&str, &str) = ("admin", PASSWORD);

#[tokio::test]
async fn one_address_is_refused_for_all_names_and_another_address_logs_in() {
    let app = TestApp::with(&[("limits.login_tries_per_address", "12")]).await;
    Visitor::admin(&app).await;
    for n in 0..12 {
        let tried = (&*format!("orang {n}"), "salah salah salah");
        let status = login(&app, "203.0.113.7", None, tried).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let status = login(&app, "203.0.113.7", None, RIGHT).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let status = login(&app, "203.0.113.8", None, RIGHT).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_forwarded_address_counts_where_the_proxy_is_trusted_and_nowhere_else() {
    let untrusted = TestApp::online().await;
    let trusted = TestApp::with(&[("server.trusted_proxies", "127.0.0.1,10.0.0.0/8")]).await;
    for app in [&untrusted, &trusted] {
        Visitor::admin(app).await;
        for n in 0..10 {
            // An untrusted client could send a different address with each attempt.
            let own = format!("198.51.100.{n}, 203.0.113.7");
            let status = login(app, "127.0.0.1", Some(&own), WRONG).await;
            assert_eq!(status, StatusCode::FORBIDDEN);
        }
        let status = login(app, "127.0.0.1", Some("203.0.113.7"), RIGHT).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }
    let status = login(&untrusted, "127.0.0.1", Some("203.0.113.8"), RIGHT).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let status = login(&trusted, "127.0.0.1", Some("203.0.113.8"), RIGHT).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    // The forwarded address of an untrusted client is ignored.
    let status = login(&trusted, "192.0.2.1", Some("203.0.113.7"), RIGHT).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn logins_beyond_the_waiting_ones_are_503_and_another_address_still_logs_in() {
    let app = TestApp::with(&[("limits.logins_waiting", "4")]).await;
    Visitor::admin(&app).await;
    let names: Vec<_> = (0..40).map(|n| format!("orang {n}")).collect();
    let mut greedy: FuturesUnordered<_> = names
        .iter()
        .map(|name| login(&app, "203.0.113.7", None, (name, "salah salah salah")))
        .collect();
    let mut answered = Vec::new();
    while !answered.contains(&StatusCode::SERVICE_UNAVAILABLE) {
        answered.push(greedy.next().await.unwrap());
    }
    let rest = greedy.collect::<Vec<_>>();
    let newcomer = login(&app, "203.0.113.8", None, RIGHT);
    let (rest, newcomer) = futures::join!(rest, newcomer);
    assert_eq!(newcomer, StatusCode::SEE_OTHER);
    answered.extend(rest);
    let wrong = |status: &&StatusCode| **status == StatusCode::FORBIDDEN;
    let checked = answered.iter().filter(wrong).count();
    assert!(checked >= 4, "{answered:?}");
    let refused = [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
    assert!(
        answered.iter().all(|status| refused.contains(status)),
        "{answered:?}"
    );
    // The refused logins have no later effect: the same address may try again.
    let other = Visitor::new(&app, "ani", UserRole::Viewer).await;
    other.page("/dashboard").await;
    let status = login(&app, "203.0.113.7", None, ("ani", PASSWORD)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn over_tls_only_the_cookie_of_tls_logs_a_browser_in() {
    let pages = Pages::with_admin().await;
    let plain = pages.cookie("admin").await;
    let secure = plain.replace("waviro_session=", "__Host-waviro=");
    let tls = [("x-forwarded-proto", "https")];
    let seen = |cookie| pages.send(Method::GET, "/dashboard", "", cookie, &tls);
    assert_eq!(seen(&*plain).await.0, StatusCode::SEE_OTHER);
    assert_eq!(seen(&*secure).await.0, StatusCode::OK);
    // An additional planted cookie changes nothing.
    let both = format!("waviro_session={}; {secure}", "0".repeat(64));
    assert_eq!(seen(&*both).await.0, StatusCode::OK);
    assert_eq!(pages.get("/dashboard", &plain).await.0, StatusCode::OK);
}
