//! Clients that send requests and do not read the answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use waviro::listener::Patience;

use crate::wire::serving;

const PATIENCE: Patience = Patience {
    header: Duration::from_secs(30),
    write: Duration::from_secs(1),
};

/// An endless body with a signal for the moment of its drop.
#[derive(Clone, Default)]
struct Endless(CancellationToken);

impl Endless {
    fn body(&self) -> Body {
        let held: Arc<DropGuard> = Arc::new(self.0.clone().drop_guard());
        let part = Bytes::from(vec![b'\n'; 16 * 1024]);
        let parts = futures::stream::repeat(part).map(move |part| {
            let _held = &held;
            Ok::<_, Infallible>(part)
        });
        Body::from_stream(parts)
    }

    async fn given_up(&self) {
        let given_up = tokio::time::timeout(Duration::from_secs(20), self.0.cancelled());
        given_up.await.expect("the gateway goes on waiting");
    }
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_and_a_reader_of_events_is_waited_for() {
    let (page, events) = (Endless::default(), Endless::default());
    let (served, streamed) = (page.clone(), events.clone());
    let stream = move || {
        let kind = [(CONTENT_TYPE, "text/event-stream")];
        std::future::ready((kind, streamed.body()))
    };
    let router = Router::new()
        .route("/page", get(move || std::future::ready(served.body())))
        .route("/events", get(stream));
    let stop = CancellationToken::new();
    let (address, _tasks) = serving(router, PATIENCE, stop);
    let mut reader = ask(address, "/events").await;
    // Two requests in sequence, so that the event stream has waited twice the limit.
    for _ in 0..2 {
        let page = ask(address, "/page").await;
        page.readable().await.unwrap();
        reset(&page).await;
        assert!(!events.0.is_cancelled(), "the reader of events was cut");
    }
    // The source of the answer is dropped with the connection.
    page.given_up().await;
    let mut part = vec![0; 1 << 20];
    assert!(reader.read(&mut part).await.unwrap() > 0);
}

/// Waits until the gateway has reset the connection.
async fn reset(page: &TcpStream) {
    let reset = page.ready(tokio::io::Interest::ERROR);
    let reset = tokio::time::timeout(Duration::from_secs(20), reset).await;
    reset.expect("the gateway goes on waiting").unwrap();
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_the_whole_answer() {
    const SIZE: usize = 16 * 1024 * 1024;
    const PART: usize = 512 * 1024;
    let router = Router::new().route("/page", get(async || vec![b'a'; SIZE]));
    let (address, _tasks) = serving(router, PATIENCE, CancellationToken::new());
    let mut stream = ask(address, "/page").await;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let mut part = vec![0; PART];
    let mut read = 0;
    while read < SIZE {
        beat.tick().await;
        let more = stream.read(&mut part).await.unwrap();
        assert!(more > 0, "cut after {read} bytes");
        read += more;
    }
}
