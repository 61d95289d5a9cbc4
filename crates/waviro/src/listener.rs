//! The HTTP listener: accepts connections, closes slow and greedy clients, and stops without
//! interrupting a request.
//!
//! The listener uses hyper directly, because `axum::serve` can neither close a client with a slow
//! header nor limit the size of the header.

mod write_timeout;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};
use waviro_store::clock::Clock;
use waviro_web::http::Peer;

use write_timeout::{Streaming, WriteTimeout};

/// The largest header of a request with its first line, in bytes. hyper answers 431 above the
/// limit.
const HEADER_CAP: usize = 16 * 1024;

/// The most concurrent connections; further connections wait in the system's backlog. A connection
/// takes about 20 KiB. If the system's limit of file descriptors is lower, accepting fails earlier,
/// and the log reports the failure.
const CONNECTIONS: usize = 4096;

/// The pause after the system refused a connection because of missing file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The most connections that wait to be accepted; the same as tokio's default.
const BACKLOG: u32 = 1024;

/// The send buffer of the kernel, in bytes. A slow client shows progress only when a third of the
/// buffer is free, and Linux would let a buffer without a set size grow to megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// The timeouts for clients.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the header of a request.
    pub header: Duration,
    /// For a client that reads nothing of an answer; event streams have no timeout.
    pub write: Duration,
}

/// Listens on `address`. Accepted connections inherit the socket options set here.
///
/// # Errors
/// An error if the system refuses the address.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows the option would let a second process take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    if let Err(error) = socket.set_send_buffer_size(SEND_BUFFER) {
        debug!(cause = %error, "SO_SNDBUF was not set");
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop`, then closes idle connections and lets requests in progress finish.
/// The caller sets the timeout.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.header)
        .max_header_size(HEADER_CAP);
    let connections = TaskTracker::new();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let streaming = Streaming::default();
                let (within, flag) = (patience.write, streaming.clone());
                let stream = WriteTimeout::new(no_delay(stream), within, clock.clone(), flag);
                let connection = one(
                    http.clone(),
                    stream,
                    peer,
                    streaming,
                    router.clone(),
                    stop.clone(),
                );
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(cause = %error, "connection could not be accepted");
                clock.sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Disables Nagle's algorithm. Otherwise an answer may wait 40 ms for the client's delayed ACK.
fn no_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(cause = %error, "TCP_NODELAY was not set");
    }
    stream
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

async fn one(
    http: http1::Builder,
    stream: WriteTimeout,
    peer: SocketAddr,
    streaming: Streaming,
    router: Router,
    stop: CancellationToken,
) {
    let service = router
        .map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            request.map(axum::body::Body::new)
        })
        .map_response(move |response: axum::response::Response| {
            streaming.store(is_event_stream(response.headers()), Ordering::Relaxed);
            response
        });
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients disconnect all the time.
        debug!(cause = %error, "connection failed");
    }
}
