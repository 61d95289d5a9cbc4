//! The port: `WebSockets` for WhatsApp clients at `/ws/chat`, their files at `/mms` and `/v`, JSON for people and tests
//! at `/control`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::any;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::conn::{self, Wire};
use crate::control;
use crate::media::host as media_host;
use crate::sim::Sim;

/// A frame holds at most 16 MiB; a WebSocket message may hold a few.
const MAX_MESSAGE: usize = 32 << 20;

/// Serves a bound port until the task is dropped.
pub(crate) async fn run(listener: TcpListener, sim: Sim) {
    let is_loopback = listener
        .local_addr()
        .is_ok_and(|addr| addr.ip().is_loopback());
    let router = Router::new()
        .route("/ws/chat", any(chat))
        .merge(media_host::router())
        .merge(control::router(is_loopback))
        .with_state(sim)
        .into_make_service_with_connect_info::<Peer>();
    // Only fails where accepting does, which the listener below retries.
    let _ = axum::serve(Port(listener), router).await;
}

async fn chat(
    State(sim): State<Sim>,
    ConnectInfo(Peer(wire)): ConnectInfo<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(host) = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    {
        let _ = wire.host.set(host.to_owned());
    }
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| {
            let world = Arc::clone(&sim.world);
            sim.world
                .tasks
                .track_future(conn::serve(socket, world, wire))
        })
}

/// The handle of a connection's socket, as the handlers get it.
#[derive(Clone)]
struct Peer(Arc<Wire>);

impl Connected<IncomingStream<'_, Port>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        Self(Arc::clone(&stream.io().wire))
    }
}

/// A listener whose sockets send small frames at once and can end with a reset.
struct Port(TcpListener);

impl Listener for Port {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        // Without it every small frame may wait 40 ms for the client's TCP ack.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        (
            Socket {
                stream,
                wire: Arc::default(),
            },
            addr,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Socket {
    stream: TcpStream,
    wire: Arc<Wire>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.wire.reset.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "cannot reset a connection, it ends properly instead");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
