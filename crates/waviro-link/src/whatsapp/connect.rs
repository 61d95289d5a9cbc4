//! The socket of a device: dialing, the pauses between dials, and the detection of a lost
//! connection.
//!
//! The library reconnects by itself, but its pauses grow up to 15 minutes and become short again
//! only after half a minute of a stable connection. After three outages, an interruption of 50 ms
//! would cost minutes. Therefore the module controls the pauses. Whenever a connection ends or
//! cannot be opened, the module asks the library to dial at once
//! ([`Client::reconnect_immediately`]), and [`Dialer::create_transport`] pauses before the dial.

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

use super::handshake::Handshake;
use super::probe::prove;
use super::shared::Shared;
use super::target::Target;
use super::task;
use crate::{DialFailure, DialStep, OfflineCause};

/// The pauses before the dials after a working connection. The first pause is zero, because most
/// interruptions are over when the link notices them. The last pause repeats. The jitter of the
/// last pause spreads the dials of 200 bots over more than half a second.
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

/// The timeout of a dial. Together with the longest pause, a dial must take less than the library's
/// own limit of 20 s.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// The buffer size in frames between the socket and the library. The library's own transport
/// buffers 64 more frames, and stops reading the socket when the buffer is full.
const FRAMES: usize = 1;

/// Opens the sockets of one device.
pub(super) struct Dialer {
    target: Target,
    shared: Arc<Shared>,
    client: OnceLock<Weak<Client>>,
    /// The number of dials since the device was last online.
    failures: AtomicU32,
    /// Counts sockets, so that the end of an old socket does not change the state of a newer
    /// socket.
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

    /// Sets the client of the dialer. The client is created after its dialer.
    pub(super) fn serve(&self, client: &Arc<Client>) {
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// Resets the pauses after the device went online.
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(Weak::upgrade)
    }

    async fn dial(&self) -> Result<(Arc<dyn Transport>, Receiver<TransportEvent>), DialFailure> {
        let began = tokio::time::Instant::now();
        if self.shared.status.borrow().failure() == Some(&DialFailure::ServerKey) {
            // The library logs an error for each server with a wrong key. Therefore the library
            // gets a new socket only after the server has proved its key on a test connection.
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

    /// Forwards the socket's events, and reports the end of the socket before the library does.
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
            closed: AtomicBool::new(false),
            handshake: Arc::default(),
            shared: Arc::clone(&self.shared),
        });
        let handshake = Arc::clone(&socket.handshake);
        task::spawn(async move {
            while let Ok(event) = events.recv().await {
                match &event {
                    TransportEvent::DataReceived(bytes) => {
                        shared.liveness.data_received();
                        handshake.read(bytes);
                    }
                    TransportEvent::Disconnected(reason) => {
                        let cause = match handshake.socket_ended() {
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

/// A socket with a new dial after its end, no matter which side closes the socket.
struct Socket {
    transport: Arc<dyn Transport>,
    client: Weak<Client>,
    closed: AtomicBool,
    handshake: Arc<Handshake>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Transport for Socket {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        waviro_fault::step("wire before");
        self.handshake.wrote();
        let sent = self.transport.send(data).await;
        waviro_fault::step("wire after");
        sent
    }

    /// Closes the socket, and calls [`expect_reconnect`] at the right time.
    ///
    /// The library calls `disconnect` for each of its sockets, no matter which side closed the
    /// socket. Usually the call comes after the library has read the last frame and before the
    /// library dials again: the right time for [`expect_reconnect`]. In two other cases
    /// [`expect_reconnect`] would do harm. After a failed write, the call comes early: the library
    /// would drop the frames that still wait, and the last frame contains the reason of the end (a
    /// ban, a replacing client). A late call, from a separate task, would close the next
    /// connection.
    async fn disconnect(&self) {
        if let Some(client) = self.client.upgrade()
            && !client.is_connected()
            && !self.closed.swap(true, Ordering::SeqCst)
        {
            if let Some(failure) = self.handshake.client_closes() {
                self.shared.went_offline(failure.into());
            }
            expect_reconnect(&client);
        }
        self.transport.disconnect().await;
    }
}

/// Tells the library that the connection's end was expected, so that the library resets its pauses
/// and dials at once. Must be called only when nothing more is read from the socket.
///
/// The function polls [`Client::reconnect_immediately`] only once. The rest of the call would close
/// the open connection, and by then the open connection may already be the *next* connection.
pub(super) fn expect_reconnect(client: &Arc<Client>) {
    let reconnect = std::pin::pin!(client.reconnect_immediately());
    let _ = reconnect.poll(&mut Context::from_waker(Waker::noop()));
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) as usize;
        let pause = PAUSES[failures.min(PAUSES.len() - 1)];
        if !pause.is_zero() {
            task::pause(jittered(pause)).await;
        }
        match self.dial().await {
            Ok((transport, events)) => Ok(self.watch(transport, events)),
            Err(failure) => {
                self.shared.went_offline(failure.into());
                if let Some(client) = self.client() {
                    expect_reconnect(&client);
                }
                // The state carries the cause. For a failed dial the library would log an error;
                // for a connection that ends before its first frame, the library assumes a
                // temporary problem and logs no error.
                let (_, closed) = bounded(1);
                Ok((Arc::new(NotConnected), closed))
            }
        }
    }
}

/// The placeholder for the socket of a failed dial.
struct NotConnected;

#[async_trait]
impl Transport for NotConnected {
    async fn send(&self, _data: Bytes) -> anyhow::Result<()> {
        bail!("the dial failed")
    }

    async fn disconnect(&self) {}
}

/// Adds up to a tenth to the pause, so that many devices do not dial at the same time.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(1.0..1.1))
}
