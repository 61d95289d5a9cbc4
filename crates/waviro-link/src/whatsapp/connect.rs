//! The socket of a device: dialling, its pace, and hearing of its end first.
//!
//! The library reconnects by itself, but its pauses grow up to a quarter of an hour and shrink again only after half a
//! minute of calm, so that a cut of 50 ms after three outages costs minutes. The pace is therefore kept here: whenever a
//! connection ends or cannot be made, the library is told to dial again at once ([`Client::reconnect_immediately`]),
//! and [`Dialer::create_transport`] waits as long as *we* find right before it dials.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use whatsapp_rust::Client;
use whatsapp_rust::anyhow::{self, bail};
use whatsapp_rust::async_channel::{Receiver, bounded};
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::transport::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust_tokio_transport::from_websocket;

use super::device::{self, Shared};
use super::probe::prove;
use super::proof::Proof;
use super::target::Target;
use crate::{DialFailure, DialStep, OfflineCause};

/// Pauses before the first, second … dial after a working connection. The first is none: most cuts are over when they
/// are noticed. The last is kept; with the jitter it spreads 200 bots over half a second and more.
const PAUSES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(6),
    Duration::from_secs(8),
];

/// A dial that hangs is given up; must stay below the library's own 20 s, pause included.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// Frames between the socket and the library. The library's own transport buffers 64 before them, and stops reading the socket when
/// they are full.
const FRAMES: usize = 1;

/// Opens the sockets of one device.
pub(super) struct Dialer {
    target: Target,
    shared: Arc<Shared>,
    client: OnceLock<Weak<Client>>,
    /// Dials since the device was last online.
    failures: AtomicU32,
    /// Counts sockets, so that the end of an old one says nothing about a newer.
    socket: Arc<AtomicU64>,
}

impl Dialer {
    pub(super) fn new(target: Target, shared: Arc<Shared>) -> Self {
        Self {
            target,
            shared,
            client: OnceLock::new(),
            failures: AtomicU32::new(0),
            socket: Arc::default(),
        }
    }

    /// The client that this dialer serves; it exists only after its dialer.
    pub(super) fn serve(&self, client: &Arc<Client>) {
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// The device is online: the next pause is the first again.
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(Weak::upgrade)
    }

    async fn dial(&self) -> Result<(Arc<dyn Transport>, Receiver<TransportEvent>), DialFailure> {
        let began = tokio::time::Instant::now();
        if self.shared.status.borrow().failure() == Some(&DialFailure::ServerKey) {
            // The library logs an error for each such server. It is shown the next one only after that one has proved itself.
            let proving = async {
                let socket = self.target.open(DIAL_DEADLINE).await?;
                prove(socket, self.target.server_key).await
            };
            let proved = tokio::time::timeout(DIAL_DEADLINE, proving).await;
            proved.unwrap_or(Err(DialFailure::Silent(DialStep::Handshake)))?;
        }
        let left = DIAL_DEADLINE.saturating_sub(began.elapsed());
        let socket = self.target.open(left).await?;
        Ok(from_websocket(socket))
    }

    /// Passes the socket's events on, and tells of its end before the library does.
    fn watch(
        &self,
        transport: Arc<dyn Transport>,
        events: Receiver<TransportEvent>,
    ) -> (Arc<dyn Transport>, Receiver<TransportEvent>) {
        let (pass_on, watched) = bounded(FRAMES);
        self.shared.redelivered.connected();
        let shared = Arc::clone(&self.shared);
        let this = self.socket.fetch_add(1, Ordering::SeqCst) + 1;
        let newest = Arc::clone(&self.socket);
        let socket = Arc::new(Socket {
            transport,
            client: self.client.get().cloned().unwrap_or_default(),
            let_go: AtomicBool::new(false),
            proof: Arc::default(),
            shared: Arc::clone(&self.shared),
        });
        let proof = Arc::clone(&socket.proof);
        device::spawn(async move {
            while let Ok(event) = events.recv().await {
                match &event {
                    TransportEvent::DataReceived(bytes) => {
                        shared.pulse.heard();
                        proof.read(bytes);
                    }
                    TransportEvent::Disconnected(reason) => {
                        let cause = match proof.ended() {
                            Some(failure) => failure.into(),
                            None => OfflineCause::Ended(reason.to_string()),
                        };
                        if newest.load(Ordering::SeqCst) == this {
                            shared.went_offline(cause);
                        }
                    }
                    TransportEvent::Connected => {}
                }
                if matches!(event, TransportEvent::DataReceived(_)) {
                    shared.backlog.is_short().await;
                }
                if pass_on.send(event).await.is_err() {
                    return;
                }
            }
        });
        (socket, watched)
    }
}

/// A socket whose end, whoever ends it, is followed by a dial.
struct Socket {
    transport: Arc<dyn Transport>,
    client: Weak<Client>,
    let_go: AtomicBool,
    proof: Arc<Proof>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Transport for Socket {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        waviro_fault::step("wire before");
        self.proof.wrote();
        let sent = self.transport.send(data).await;
        waviro_fault::step("wire after");
        sent
    }

    /// The library calls it for every socket that it had, whoever ended it, once it has read the last frame and before it
    /// dials again: that is when to wish. It may call it earlier too, after a failed write, and late, from a task of its own. An
    /// early wish would make it throw away the frames that still wait, and the last one before an end is the one that says
    /// why (a ban, another client in our place); a late one would end the connection that came after.
    async fn disconnect(&self) {
        if let Some(client) = self.client.upgrade()
            && !client.is_connected()
            && !self.let_go.swap(true, Ordering::SeqCst)
        {
            if let Some(failure) = self.proof.given_up() {
                self.shared.went_offline(failure.into());
            }
            wish_again(&client);
        }
        self.transport.disconnect().await;
    }
}

/// Tells the library that this end was expected, so that it dials again at once and forgets its pauses. To be called when
/// nothing more is read from the socket.
///
/// One poll is the whole wish: the rest of [`Client::reconnect_immediately`] closes what is open, and by then that may be
/// the *next* connection.
pub(super) fn wish_again(client: &Arc<Client>) {
    let wish = std::pin::pin!(client.reconnect_immediately());
    let _ = wish.poll(&mut Context::from_waker(Waker::noop()));
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) as usize;
        let pause = PAUSES[failures.min(PAUSES.len() - 1)];
        if !pause.is_zero() {
            device::pause(jittered(pause)).await;
        }
        match self.dial().await {
            Ok((transport, events)) => Ok(self.watch(transport, events)),
            Err(failure) => {
                self.shared.went_offline(failure.into());
                if let Some(client) = self.client() {
                    wish_again(&client);
                }
                // The state carries the cause. The library would log an error for each failed dial; a connection that ends
                // before its first frame it takes for a passing one.
                let (_, closed) = bounded(1);
                Ok((Arc::new(NotConnected), closed))
            }
        }
    }
}

/// Stands for the socket of a failed dial.
struct NotConnected;

#[async_trait]
impl Transport for NotConnected {
    async fn send(&self, _data: Bytes) -> anyhow::Result<()> {
        bail!("the dial failed")
    }

    async fn disconnect(&self) {}
}

/// Up to a tenth more, so that many devices do not dial in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(1.0..1.1))
}
