//! Raw HTTP for requests that a normal client does not send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waviro::listener::{self, Patience};
use waviro_store::clock::Clock;
use waviro_testing::engine::until;

use crate::test_app::TestApp;

/// Serves the gateway on a port. The tasks end after the stop, when the connections are closed.
pub async fn listening(app: &TestApp, header_within: Duration) -> (SocketAddr, TaskTracker) {
    let patience = Patience {
        header: header_within,
        write: Duration::from_secs(30),
    };
    serving(app.inner.router(), patience, app.stopping.clone())
}

/// Serves any router on a port.
pub fn serving(
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) -> (SocketAddr, TaskTracker) {
    let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, tasks) = (socket.local_addr().unwrap(), TaskTracker::new());
    let serving = listener::serve(socket, router, patience, Clock::system(), stop);
    tasks.spawn(serving);
    tasks.close();
    (address, tasks)
}

/// Writes `request` unchanged and reads until the server closes, for at most 20 s.
pub async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed the connection during the write.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(read.is_ok(), "the connection stays open after: {text}");
    text
}

/// Returns a POST with `Connection: close`.
pub fn post(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nSecretKey: {key}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Starts a host that serves the same file for every path.
pub async fn host(headers: &str, body: &'static [u8]) -> String {
    answering("200 OK", headers, body).await
}

/// Starts a host with the same answer for every request.
pub async fn answering(status: &str, headers: &str, body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(body).await;
        }
    });
    url
}

/// A host that begins an answer and never ends the answer.
pub struct Stalled {
    pub url: String,
    open: Arc<AtomicUsize>,
}

impl Stalled {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let (tasks, counted) = (TaskTracker::new(), Arc::clone(&open));
        tasks.clone().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tasks.spawn(async move {
                    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf";
                    let _ = stream.read(&mut [0; 8192]).await;
                    let _ = stream.write_all(head.as_bytes()).await;
                    counted.fetch_add(1, Ordering::SeqCst);
                    while matches!(stream.read(&mut [0; 8192]).await, Ok(1..)) {}
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, open }
    }

    /// Waits until exactly `count` connections are open.
    pub async fn until_open(&self, count: usize) {
        let open = || async { self.open.load(Ordering::SeqCst) };
        until(open, |open| *open == count).await;
    }
}
