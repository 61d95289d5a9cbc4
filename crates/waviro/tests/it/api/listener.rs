//! The HTTP listener with slow, greedy and idle clients over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_app::TestApp;
use crate::wire::{listening, post, raw};

#[tokio::test]
async fn a_connection_serves_many_requests_and_a_stop_ends_it_between_two() {
    let app = TestApp::online().await;
    let (address, tasks) = listening(&app, Duration::from_secs(30)).await;
    let request = post("/api/getqr/", &app.key, "").replace("Connection: close\r\n", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200 OK"));
    }
    app.stopping.cancel();
    tokio::time::timeout(Duration::from_secs(5), tasks.wait())
        .await
        .unwrap();
    assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_header_above_16_kib_is_431() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    let large = format!(
        "POST /api/getqr HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n",
        "a".repeat(17 * 1024)
    );
    assert!(raw(address, &large).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_client_that_never_ends_its_header_is_cut() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_millis(200)).await;
    let answer = raw(address, "POST /api/getqr HTTP/1.1\r\nHost: x\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_ends_its_body_is_cut_with_a_sentence() {
    let app = TestApp::with(&[("limits.read_timeout_s", "1")]).await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    let request =
        post("/api/checknumber", &app.key, "{").replace("Content-Length: 1", "Content-Length: 100");
    let answer = raw(address, &request).await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("body_incomplete"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_above_the_cap_is_answered_and_not_read() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    let request = post("/api/checknumber", &app.key, "{")
        .replace("Content-Length: 1", "Content-Length: 1000000000");
    let answer = raw(address, &request).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn bytes_that_are_not_http_are_400() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    assert!(
        raw(address, "\x16\x03\x01 nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
}
