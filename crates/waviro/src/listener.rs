//! The HTTP listener: accepts, cuts slow and greedy clients, and stops without cutting a request off.
//!
//! hyper directly and not `axum::serve`, which can neither end a client that trickles its header nor cap the header.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::door::Peer;

/// Of a request's header with its first line, bytes. hyper answers 431 beyond it.
const HEADER_CAP: usize = 16 * 1024;

/// Connections at a time; more wait in the system's backlog. Some 20 KiB each, and below the usual limit of
/// descriptors (1024 soft, raised by systemd) an operator hits that one first, which is told in the log.
const CONNECTIONS: usize = 4096;

/// After the system refused a connection (no descriptor left): the next try.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`; then ends idle connections and lets requests under way finish. The caller sets the
/// deadline.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    header_within: Duration,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_within)
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
                let connection = one(http.clone(), stream, peer, router.clone(), stop.clone());
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

async fn one(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    // Without it an answer may wait 40 ms for the client's delayed ACK.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(cause = %error, "TCP_NODELAY was not set");
    }
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.map(axum::body::Body::new)
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
