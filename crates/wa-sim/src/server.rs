//! The port: WebSocket connections of WhatsApp clients at `/ws/chat`, media files at `/mms` and
//! `/v`, the control API at `/control`. Each connection is with or without TLS; the first byte
//! decides.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::any;
use axum::serve::{IncomingStream, Listener};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::conn;
use crate::control;
use crate::media_host;
use crate::sim::Sim;
use crate::world::link::Wire;

/// A frame holds at most 16 MiB; a WebSocket message can hold several frames.
const MAX_MESSAGE: usize = 32 << 20;
/// The first byte of a TLS connection: a handshake record (RFC 8446, section 5.1). HTTP begins with
/// a letter.
const TLS_HANDSHAKE: u8 = 0x16;
/// The time limit for the first byte and the TLS handshake of a connection. The limit is long
/// because a browser opens some connections before a request.
const OPENING_DEADLINE: Duration = Duration::from_mins(1);

/// Serves a bound port until the task is dropped.
pub(crate) async fn run(listener: TcpListener, sim: Sim) {
    let is_loopback = listener
        .local_addr()
        .is_ok_and(|addr| addr.ip().is_loopback());
    let router = Router::new()
        .route("/ws/chat", any(chat))
        .merge(media_host::router())
        .merge(control::router(is_loopback))
        .with_state(sim.clone())
        .into_make_service_with_connect_info::<Peer>();
    // `serve` fails only if `accept` fails, and the listener below retries `accept`.
    let _ = axum::serve(Port::new(listener, sim), router).await;
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

/// A handle of the connection's socket, for the handlers.
#[derive(Clone)]
struct Peer(Arc<Wire>);

impl Connected<IncomingStream<'_, Port>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        Self(Arc::clone(&stream.io().wire))
    }
}

/// A listener with TLS detection: a connection that begins with a TLS handshake gets TLS. The
/// sockets send small frames at once and can end with a reset.
struct Port {
    listener: TcpListener,
    sim: Sim,
    /// Connections without a first byte or a complete TLS handshake so far.
    opening: FuturesUnordered<BoxFuture<'static, Option<(Socket, SocketAddr)>>>,
}

impl Port {
    fn new(listener: TcpListener, sim: Sim) -> Self {
        Self {
            listener,
            sim,
            opening: FuturesUnordered::new(),
        }
    }
}

impl Listener for Port {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        loop {
            tokio::select! {
                (stream, addr) = Listener::accept(&mut self.listener) => {
                    let sim = self.sim.clone();
                    self.opening.push(Box::pin(async move {
                        let opened = tokio::time::timeout(OPENING_DEADLINE, open(stream, &sim));
                        Some((opened.await.ok()??, addr))
                    }));
                }
                Some(opened) = self.opening.next() => {
                    if let Some(opened) = opened {
                        return opened;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Detects TLS by the first byte of a connection and performs the TLS handshake.
async fn open(stream: TcpStream, sim: &Sim) -> Option<Socket> {
    // Without `TCP_NODELAY`, a small frame can wait 40 ms for the client's TCP ack.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let mut first = [0];
    let read = stream.peek(&mut first).await.ok()?;
    let stream = if read == 1 && first == [TLS_HANDSHAKE] {
        let certificate = sim.faults().certificate();
        match sim.tls.acceptor(certificate)?.accept(stream).await {
            Ok(secured) => Stream::Tls(Box::new(secured)),
            Err(error) => {
                tracing::debug!(%error, ?certificate, "TLS handshake failed");
                return None;
            }
        }
    } else {
        Stream::Plain(stream)
    };
    Some(Socket {
        stream,
        wire: Arc::default(),
    })
}

struct Socket {
    stream: Stream,
    wire: Arc<Wire>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.wire.reset.load(Ordering::Acquire)
            && let Err(error) = self.stream.tcp().set_zero_linger()
        {
            tracing::debug!(%error, "connection could not be reset; closing it instead");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
