//! The HTTP listener: accepts, cuts slow and greedy clients, and stops without cutting a request off.
//!
//! hyper directly and not `axum::serve`, which can neither end a client that trickles its header nor cap the header.

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

use crate::clock::Clock;
use crate::door::Peer;

use write_timeout::{Streaming, WriteTimeout};

/// Of a request's header with its first line, bytes. hyper answers 431 beyond it.
const HEADER_CAP: usize = 16 * 1024;

/// Connections at a time; more wait in the system's backlog. Some 20 KiB each, and below the usual limit of
/// descriptors (1024 soft, raised by systemd) an operator hits that one first, which is told in the log.
const CONNECTIONS: usize = 4096;

/// After the system refused a connection (no descriptor left): the next try.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted; tokio's own number.
const BACKLOG: u32 = 1024;

/// Of what is written and not yet taken, in the kernel, bytes. A slow client is seen to take something when a third of it is free,
/// and Linux would let a buffer of its own choice grow to megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a request's header.
    pub header: Duration,
    /// For taking anything of an answer; event streams wait for ever.
    pub write: Duration,
}

/// Listens on `address`. Connections inherit what is set here.
///
/// # Errors
/// Where the system refuses the address.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows it would let a second process take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    if let Err(error) = socket.set_send_buffer_size(SEND_BUFFER) {
        debug!(cause = %error, "SO_SNDBUF was not set");
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop`; then ends idle connections and lets requests under way finish. The caller sets the
/// deadline.
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
                warn!(cause = %error, "a connection could not be accepted");
                clock.sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Without it an answer may wait 40 ms for the client's delayed ACK.
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
        // Clients go away all the time.
        debug!(cause = %error, "a connection broke");
    }
}
