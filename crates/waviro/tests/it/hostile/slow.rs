//! Slow clients and clients with endless requests must not affect other clients.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_app::TestApp;
use crate::wire::{listening, post, raw};

/// The interval of a slow client's writes, shorter than any limit in these tests.
const BEAT: Duration = Duration::from_millis(20);

/// Sends `start` and then `again` repeatedly until the server closes the connection; returns the
/// answer.
async fn trickle(address: SocketAddr, start: &str, again: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let endless = async {
        let mut beat = tokio::time::interval(BEAT);
        while write.write_all(again.as_bytes()).await.is_ok() {
            beat.tick().await;
        }
        // The write failed; the answer can still be read.
        std::future::pending::<()>().await;
    };
    let cut = async {
        tokio::select! {
            _ = read.read_to_end(&mut answer) => (),
            () = endless => (),
        }
    };
    let within = Duration::from_secs(20);
    assert!(tokio::time::timeout(within, cut).await.is_ok(), "never cut");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn fifty_slow_clients_are_cut_while_the_others_are_served() {
    let app = TestApp::with(&[("limits.read_timeout_s", "1")]).await;
    let (address, _tasks) = listening(&app, Duration::from_millis(500)).await;
    let header = "POST /api/getqr HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    let body = post("/api/checknumber", &app.key, "{")
        .replace("Content-Length: 1", "Content-Length: 100000");
    let slow = (0..25).flat_map(|_| [trickle(address, header, "a"), trickle(address, &body, " ")]);
    let slow = futures::future::join_all(slow);
    tokio::pin!(slow);
    let mut served = 0;
    let said = loop {
        let request = post("/api/checknumber", &app.key, r#"{"nohp":"6282386000001"}"#);
        tokio::select! {
            said = &mut slow => break said,
            text = raw(address, request) => {
                assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
                served += 1;
            }
        }
    };
    assert!(served > 0);
    for pair in said.chunks(2) {
        assert!(!pair[0].contains("200 OK"), "{}", pair[0]);
        assert!(pair[1].contains("body_incomplete"), "{}", pair[1]);
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_413_once_it_is_too_large() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    let head = post("/api/checknumber", &app.key, "")
        .replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let text = trickle(address, &head, &chunk).await;
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("body_too_large"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_that_sends_too_large_a_body_at_once_reads_the_refusal() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    for size in [(1 << 20) + 1, 2 << 20, 8 << 20] {
        for _ in 0..10 {
            let body = format!(r#"{{"pesan":"{}"}}"#, "a".repeat(size));
            let text = raw(address, post("/api/sendwa", &app.key, &body)).await;
            assert!(
                text.starts_with("HTTP/1.1 413") && text.contains("body_too_large"),
                "{size}: {text}"
            );
        }
    }
}

/// Many clients write the whole request before reading, and treat an early close as a connection
/// error.
#[tokio::test]
async fn a_client_that_writes_to_the_end_before_it_reads_also_reads_the_refusal() {
    let app = TestApp::online().await;
    let (address, _tasks) = listening(&app, Duration::from_secs(30)).await;
    let body = format!(r#"{{"pesan":"{}"}}"#, "a".repeat(20 << 20));
    let request = post("/api/sendwa", &app.key, &body);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .expect("all of it is taken");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
