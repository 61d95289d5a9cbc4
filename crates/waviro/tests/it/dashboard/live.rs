//! The signal that an open page follows.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures::{FutureExt, StreamExt};
use tower::ServiceExt;

use crate::pages::Pages;

/// Opens the stream that the page names.
async fn follow(pages: &Pages, page: &str, cookie: &str) -> BodyDataStream {
    let (_, rest) = page.split_once("data-live=\"").unwrap();
    let request = Request::get(rest.split('"').next().unwrap());
    let request = request.header("cookie", cookie).body(Body::empty());
    let router = pages.front.app.router();
    let response = router.oneshot(request.unwrap()).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    assert!(told(&mut stream).await.starts_with(": waviro"));
    stream
}

async fn told(stream: &mut BodyDataStream) -> String {
    let part = stream.next().await.unwrap().unwrap();
    String::from_utf8(part.into()).unwrap()
}

#[tokio::test]
async fn a_page_of_the_process_before_is_told_to_look_again() {
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
async fn what_changes_between_a_page_and_its_stream_is_not_missed() {
    let pages = Pages::with_admin().await;
    let admin = pages.cookie("admin").await;
    let (_, _, page) = pages.get("/dashboard", &admin).await;
    pages.front.app.bots().add("cabang").await.unwrap();
    let mut stream = follow(&pages, &page, &admin).await;
    let said = pages.front.pass_until(told(&mut stream)).await;
    assert!(said.starts_with("event: changed"), "{said}");

    // Who has seen it is told of what comes next alone.
    let (_, _, page) = pages.get("/dashboard", &admin).await;
    let mut stream = follow(&pages, &page, &admin).await;
    for _ in 0..4 {
        assert!(told(&mut stream).now_or_never().is_none());
        pages.front.clock.advance(Duration::from_millis(600));
    }
    pages.front.app.bots().add("gudang").await.unwrap();
    let said = pages.front.pass_until(told(&mut stream)).await;
    assert!(said.starts_with("event: changed"), "{said}");
}
