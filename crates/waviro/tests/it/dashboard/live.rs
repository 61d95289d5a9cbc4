//! The event stream that makes an open page reload.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use axum::response::Response;
use futures::{FutureExt, StreamExt};
use tower::ServiceExt;
use waviro_store::UserRole;

use crate::pages::Pages;
use crate::test_app::TestApp;

/// Opens the stream of the page and returns the answer.
async fn opened(pages: &Pages, page: &str, cookie: &str) -> Response {
    let (_, rest) = page.split_once("data-live=\"").unwrap();
    let request = Request::get(rest.split('"').next().unwrap());
    let request = request.header("cookie", cookie).body(Body::empty());
    let router = pages.app.inner.router();
    router.oneshot(request.unwrap()).await.unwrap()
}

/// Opens the stream of the page and waits for its start.
async fn follow(pages: &Pages, page: &str, cookie: &str) -> BodyDataStream {
    let response = opened(pages, page, cookie).await;
    let mut stream = response.into_body().into_data_stream();
    assert!(next_part(&mut stream).await.starts_with(": waviro"));
    stream
}

async fn next_part(stream: &mut BodyDataStream) -> String {
    let part = stream.next().await.unwrap().unwrap();
    String::from_utf8(part.into()).unwrap()
}

#[tokio::test]
async fn two_processes_with_equally_many_commits_have_different_stream_versions() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let pages = Pages::with_admin().await;
        let admin = pages.cookie("admin").await;
        let (_, _, page) = pages.get("/dashboard", &admin).await;
        let (_, rest) = page.split_once("/live?seen=").unwrap();
        seen.push(rest.split('"').next().unwrap().to_owned());
    }
    assert_ne!(seen[0], seen[1], "both have committed as often");
}

#[tokio::test]
async fn a_change_between_a_page_and_its_stream_is_not_missed() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let (_, _, page) = pages.get("/dashboard", &admin).await;
    pages.app.inner.bots().add("cabang").await.unwrap();
    let mut stream = follow(&pages, &page, &admin).await;
    let said = pages.app.pass_until(next_part(&mut stream)).await;
    assert!(said.starts_with("event: changed"), "{said}");

    // A page with the newest state gets a signal only for later changes.
    let (_, _, page) = pages.get("/dashboard", &admin).await;
    let mut stream = follow(&pages, &page, &admin).await;
    for _ in 0..4 {
        assert!(next_part(&mut stream).now_or_never().is_none());
        pages.app.clock.advance(Duration::from_millis(600));
    }
    pages.app.inner.bots().add("gudang").await.unwrap();
    let said = pages.app.pass_until(next_part(&mut stream)).await;
    assert!(said.starts_with("event: changed"), "{said}");
}

#[tokio::test]
async fn a_user_has_a_limit_of_live_pages_over_all_sessions_and_the_last_are_for_admins() {
    let pages = Pages {
        app: TestApp::with(&[
            ("limits.live_pages", "4"),
            ("limits.live_pages_per_user", "2"),
            ("limits.live_pages_for_admins", "1"),
        ])
        .await,
    };
    let ani = pages.user("ani", UserRole::Viewer).await;
    let again = pages.cookie("ani").await;
    let budi = pages.user("budi", UserRole::Viewer).await;
    let admin = pages.user("admin", UserRole::Admin).await;
    let (_, _, page) = pages.get("/dashboard", &ani).await;
    let mut open = vec![
        follow(&pages, &page, &ani).await,
        follow(&pages, &page, &again).await,
    ];
    let refused = opened(&pages, &page, &again).await;
    assert_eq!(refused.status().as_u16(), 429);
    open.push(follow(&pages, &page, &budi).await);
    assert_eq!(opened(&pages, &page, &budi).await.status().as_u16(), 503);
    open.push(follow(&pages, &page, &admin).await);
    assert_eq!(opened(&pages, &page, &admin).await.status().as_u16(), 503);
    // A user who closes pages may open others.
    open.clear();
    drop(follow(&pages, &page, &ani).await);
}
