//! One device, and the lifecycle of its client.
//!
//! The library's client ends for good when WhatsApp rejects the client (logged out, replaced,
//! banned, outdated). The device outlives the client: the device keeps the state with its cause,
//! and creates a new client with the same keys when there is a reason to reconnect.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::watch;
use tracing::Instrument;
use whatsapp_rust::bot::BotHandle;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::Bot;
use whatsapp_rust::wacore::store::device::{
    CachedNoiseCert, CachedServerCertChain, DevicePropsOverride,
};
use whatsapp_rust::{CacheConfig, CacheEntryConfig, Client, Jid, RawNodeLease};

use super::admins::Admins;
use super::backlog::Backlog;
use super::calls_and_groups::{self, EventQueue};
use super::connect::Dialer;
use super::events::DeviceEventHandler;
use super::liveness::Liveness;
use super::redelivered::Redelivered;
use super::store::SENT_MESSAGES_KEPT;
use super::version::Version;
use super::{Handles, download, identity, lookup, send, supervisor};
use crate::{
    Chat, Evidence, Group, Identity, Link, LinkError, Listener, MediaHandle, Number, OfflineCause,
    Outgoing, Status, UnlinkedCause,
};

/// The timeout for closing a client before a new client is created with its keys.
const CLOSING: Duration = Duration::from_secs(5);

/// The user part of the JID for "not paired yet", used with a pinned server key (see [`pin`]).
const NOBODY: &str = "0";

/// The state shared by the device, its event handler and its dialer.
pub(super) struct Shared {
    pub(super) bot_id: i32,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) calls_and_groups: EventQueue,
    pub(super) admins: Admins,
    pub(super) status: watch::Sender<Status>,
    pub(super) liveness: Liveness,
    pub(super) redelivered: Redelivered,
    pub(super) backlog: Arc<Backlog>,
    client: RwLock<Option<Arc<Client>>>,
    identity: Mutex<Option<Identity>>,
    telling: Mutex<()>,
    /// If true, the next write must store the full state, see [`Shared::write_down`].
    pub(super) write_again: AtomicBool,
}

/// A device with its current client.
pub(super) struct Device {
    handles: Arc<Handles>,
    /// The span of the caller of `open`, used by the library's tasks for logs.
    span: tracing::Span,
    pub(super) shared: Arc<Shared>,
    /// Locked while a client is created or ended, so that two callers never create two clients.
    pub(super) session: tokio::sync::Mutex<Option<Session>>,
    /// After `close`, no new client is created.
    closed: AtomicBool,
}

/// A running client. Dropping the handle would abort the client.
pub(super) struct Session {
    handle: BotHandle,
    dialer: Arc<Dialer>,
    /// The client's WhatsApp Web version.
    version: Version,
    /// While the lease is held, the event handler gets each stanza before the library processes it.
    _stanzas: RawNodeLease,
}

impl Device {
    /// Opens the device, and reconnects a linked device.
    pub(super) async fn open(
        handles: Arc<Handles>,
        bot_id: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<Self>, LinkError> {
        let shared = Arc::new(Shared {
            bot_id,
            calls_and_groups: calls_and_groups::start(Arc::clone(&listener)),
            admins: Admins::default(),
            listener,
            liveness: Liveness::default(),
            redelivered: Redelivered::open(handles.stores.redelivered_file(bot_id)),
            backlog: Arc::default(),
            status: watch::Sender::new(Status::Unlinked(UnlinkedCause::Never)),
            client: RwLock::new(None),
            identity: Mutex::new(None),
            telling: Mutex::new(()),
            write_again: AtomicBool::new(false),
        });
        let device = Arc::new(Self {
            handles,
            span: tracing::Span::current(),
            shared,
            session: tokio::sync::Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        device
            .start(&mut *device.session.lock().await, false)
            .await?;
        supervisor::retry(&device);
        supervisor::keep_flushed(&device);
        supervisor::keep_running(&device);
        Ok(device)
    }

    /// Creates a client with the stored keys and runs it. If `linking` is false, the client runs
    /// only if the keys belong to a linked device.
    async fn start(&self, session: &mut Option<Session>, linking: bool) -> Result<(), LinkError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LinkError::Offline);
        }
        let config = &self.handles.config;
        let backend = self.handles.stores.open(self.shared.bot_id).await?;
        let dialer = Arc::new(Dialer::new(
            self.handles.target.clone(),
            Arc::clone(&self.shared),
        ));
        let handler = DeviceEventHandler {
            shared: Arc::clone(&self.shared),
            dialer: Arc::downgrade(&dialer),
        };
        let hook = DeviceEventHandler {
            shared: Arc::clone(&self.shared),
            dialer: Arc::downgrade(&dialer),
        };
        let place = self
            .handles
            .threads
            .place(&self.shared.backlog, self.span.clone())
            .ok_or(LinkError::Offline)?;
        let version = self.handles.versions.known();
        let bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(SharedDialer(Arc::clone(&dialer)))
            .with_http_client(self.handles.http.clone())
            .with_version(version)
            .with_runtime(place)
            .with_event_handler(handler)
            .with_inbound_durability_hook(hook)
            .with_device_props(DevicePropsOverride::new().with_os(&*config.device_name))
            // Old chats belong to the phone; the gateway handles only new messages.
            .skip_history_sync()
            .with_cache_config(cache_config())
            .build()
            .await
            .map_err(|error| LinkError::Store(super::store::cause(&error)))?;
        let client = bot.client();
        if let Some(key) = config.server_key {
            pin(&client, key).await;
        }
        let linked = client.pn().is_some_and(|own| own.user != NOBODY);
        if !linked && !linking {
            // This branch also handles the retry after a refused linking: only a user may request a
            // new code.
            self.shared.set(&Status::Unlinked(UnlinkedCause::Never));
            return Ok(());
        }
        dialer.serve(&client);
        *write(&self.shared.client) = Some(Arc::clone(&client));
        self.shared.refresh_identity();
        self.shared.set(&if linked {
            Status::Reconnecting {
                cause: OfflineCause::Starting,
            }
        } else {
            Status::Linking { qr: None }
        });
        *session = Some(Session {
            _stanzas: client.acquire_raw_node_forwarding(),
            handle: bot.spawn(),
            dialer,
            version,
        });
        Ok(())
    }

    /// Ends the running client, if any, and waits at most `within`.
    async fn stop(&self, session: &mut Option<Session>, within: Duration) {
        let Some(ending) = session.take() else { return };
        if tokio::time::timeout(within, ending.handle.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(bot_id = self.shared.bot_id, "link did not close in time");
        }
        // The client stays set until here: the library acknowledges a receipt that arrives during
        // the shutdown, so such a receipt must still be committed.
        *write(&self.shared.client) = None;
        drop(ending.dialer);
    }

    /// Replaces an ended client by a new client with the same keys.
    pub(super) async fn restart(&self, session: &mut Option<Session>) {
        self.stop(session, CLOSING).await;
        if let Err(error) = self.start(session, false).await {
            tracing::warn!(bot_id = self.shared.bot_id, %error, "link restart failed");
        }
    }

    /// Returns true if WhatsApp now reports a newer version than the refused version.
    pub(super) async fn has_newer_version(&self) -> bool {
        let refused = self.session.lock().await.as_ref().map(|it| it.version);
        match refused {
            Some(refused) => self.handles.versions.after(refused).await != refused,
            None => false,
        }
    }
}

impl Session {
    /// Returns true if the library's run loop ended because of a panic.
    pub(super) fn has_broken(&mut self) -> bool {
        !has_ended(Some(&*self)) && (&mut self.handle).now_or_never().is_some()
    }
}

/// Returns true if WhatsApp rejected the client or no client was started, so that no automatic
/// reconnect follows.
pub(super) fn has_ended(session: Option<&Session>) -> bool {
    session.is_none_or(|session| {
        let client = session.handle.client();
        !client.enable_auto_reconnect.load(Ordering::Relaxed)
    })
}

/// Stores the key of a server that is not WhatsApp's own, and before pairing also a placeholder
/// user. A client with both opens the connection with Noise IK, and Noise IK accepts exactly the
/// stored key. The behavior is an internal rule of the pinned library version (`select_pattern` in
/// its handshake); a test checks the rule.
async fn pin(client: &Arc<Client>, key: [u8; 32]) {
    let certificate = || CachedNoiseCert {
        key,
        not_before: 0,
        not_after: i64::MAX,
    };
    client
        .persistence_manager()
        .modify_device(|device| {
            if device.pn.is_none() {
                device.pn = Some(Jid::pn(NOBODY));
            }
            device.server_cert_chain = Some(CachedServerCertChain {
                intermediate: certificate(),
                leaf: certificate(),
            });
        })
        .await;
}

fn cache_config() -> CacheConfig {
    CacheConfig {
        // Without this cache the library writes a message to the database before the message goes
        // on the wire. With the cache the write comes later, and a kill in between loses the
        // message for phones that could not decrypt it.
        recent_messages: CacheEntryConfig::new(None, 0),
        sent_message_ttl_secs: SENT_MESSAGES_KEPT.as_secs(),
        // The library must look up in the database which members have a group's sender key, so that
        // the gateway can reset the entries ([`send::forget_sender_key_distribution`]).
        sender_key_devices_cache: CacheEntryConfig::new(None, 0),
        ..CacheConfig::default()
    }
}

impl Shared {
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the state, and reports a changed state to the gateway.
    pub(super) fn set(&self, status: &Status) {
        self.change(|_| Some(status.clone()));
    }

    /// Records that the socket ended or could not be opened. The state of a rejected device stays
    /// unchanged.
    pub(super) fn went_offline(&self, cause: OfflineCause) {
        self.change(|current| match current {
            // The connection ends after a refused login; the refusal stays as the cause.
            Status::Reconnecting {
                cause: OfflineCause::LoginRefused(_),
            } if matches!(cause, OfflineCause::Ended(_)) => None,
            Status::Online | Status::Reconnecting { .. } => Some(Status::Reconnecting { cause }),
            Status::Linking { .. } | Status::Unreachable(_) => Some(match cause {
                OfflineCause::Unreachable(failure) => Status::Unreachable(failure),
                OfflineCause::Starting | OfflineCause::Ended(_) | OfflineCause::LoginRefused(_) => {
                    Status::Linking { qr: None }
                }
            }),
            _ => None,
        });
    }

    /// Changes the state as one atomic step from the current state, because one task reports the
    /// end of a socket and another task reports the reason. The gateway gets the changes in order,
    /// and may read the state inside the call.
    fn change(&self, step: impl FnOnce(&Status) -> Option<Status>) {
        let _one_at_a_time = lock(&self.telling);
        let Some(next) = step(&self.status.borrow()) else {
            return;
        };
        if next == *self.status.borrow() {
            return;
        }
        if matches!(next, Status::Unlinked(_)) {
            *lock(&self.identity) = None;
        }
        self.liveness.online_changed(next == Status::Online);
        self.status.send_replace(next.clone());
        self.listener.status(&next);
    }

    /// Writes the device's state before other code relies on the state. By default the library
    /// writes after each change, but misses a change between a write and the next check, and then
    /// waits for half a minute. A kill right after pairing lost the link.
    pub(super) fn flush(&self) {
        let Some(client) = self.client() else { return };
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.write_down(&client, true));
        });
        self.write_again.store(true, Ordering::SeqCst);
    }

    /// Writes the changes since the last write, or the full state if `all` is true. Returns true if
    /// the state is durable.
    ///
    /// A full write is needed if the library writes at the same time. The library's write has
    /// already reset the "changed" flag, and may finish later with older data. A full write
    /// afterwards repairs the file.
    pub(super) async fn write_down(&self, client: &Arc<Client>, all: bool) -> bool {
        let state = client.persistence_manager();
        if all {
            state.modify_device(|_| ()).await;
        }
        if let Err(error) = state.flush().await {
            let error = super::store::cause(&error);
            tracing::error!(bot_id = self.bot_id, %error, "device state could not be committed");
            return false;
        }
        true
    }

    /// Reads the number and the name from the client.
    pub(super) fn refresh_identity(&self) {
        let Some(client) = self.client() else { return };
        let number = client
            .pn()
            .filter(|own| own.user != NOBODY)
            .and_then(|own| own.user.parse().ok());
        *lock(&self.identity) = number.map(|number| Identity {
            number,
            name: client.push_name(),
        });
    }
}

#[async_trait]
impl Link for Device {
    fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    fn identity(&self) -> Option<Identity> {
        lock(&self.shared.identity).clone()
    }

    async fn start_linking(&self) -> Result<(), LinkError> {
        let mut session = self.session.lock().await;
        let state = self.shared.status.borrow().clone();
        match state {
            Status::Online
            | Status::Reconnecting { .. }
            | Status::Linking { .. }
            | Status::Unreachable(_) => {
                return Ok(());
            }
            // The keys belong to a device that still exists at WhatsApp, so the keys are kept.
            Status::Replaced | Status::Banned { .. } | Status::ClientOutdated => {
                self.stop(&mut session, CLOSING).await;
                return self.start(&mut session, true).await;
            }
            Status::Unlinked(_) | Status::PasskeyAsked => {}
        }
        self.stop(&mut session, CLOSING).await;
        self.handles.stores.renew(self.shared.bot_id)?;
        self.shared.redelivered.forget();
        self.start(&mut session, true).await
    }

    async fn pairing_code(&self, number: &Number) -> Result<String, LinkError> {
        let client = self.shared.client().ok_or(LinkError::Offline)?;
        if client
            .wait_for_socket(Duration::from_secs(20))
            .await
            .is_err()
        {
            return Err(LinkError::TimedOut);
        }
        let options = PairCodeOptions {
            phone_number: number.as_str().to_owned(),
            ..PairCodeOptions::default()
        };
        client
            .pair_with_code(options)
            .await
            .map_err(|error| LinkError::Refused(error.to_string()))
    }

    async fn send(&self, message: &Outgoing, again: bool) -> Result<(), LinkError> {
        let mut status = self.shared.status.subscribe();
        let (client, message) = (self.online()?, message.clone());
        let sending = async move {
            if again {
                send::forget_sender_key_distribution(&client, &message.to).await?;
            }
            send::send(&client, &message, status.changed()).await
        };
        self.handles.threads.run(sending).await?
    }

    async fn is_registered(&self, number: &Number) -> Result<bool, LinkError> {
        lookup::is_registered(&self.online()?, number).await
    }

    async fn groups(&self) -> Result<Vec<Group>, LinkError> {
        lookup::groups(&self.online()?).await
    }

    async fn may_be(&self, lid: &str, number: &Number) -> bool {
        match self.shared.client() {
            Some(client) => identity::may_be(&client, lid, number).await,
            None => true,
        }
    }

    async fn typing(&self, to: &Chat, on: bool) -> Result<(), LinkError> {
        send::typing(&self.online()?, to, on).await
    }

    async fn download(&self, handle: &MediaHandle, to: &Path) -> Result<(), LinkError> {
        let (client, handle, to) = (self.online()?, handle.clone(), to.to_owned());
        self.handles
            .threads
            .run(async move { download::download(&client, &handle, &to).await })
            .await?
    }

    fn evidence(&self) -> Evidence {
        self.shared.liveness.evidence()
    }

    async fn reconnect(&self) {
        let mut session = self.session.lock().await;
        if !has_ended(session.as_ref())
            && let Some(client) = self.shared.client()
        {
            client.reconnect_immediately().await;
            return;
        }
        if matches!(*self.shared.status.borrow(), Status::Unlinked(_)) {
            return;
        }
        self.restart(&mut session).await;
    }

    async fn logout(&self) {
        let mut session = self.session.lock().await;
        if let Some(client) = self.shared.client() {
            client.logout().await;
        }
        self.stop(&mut session, CLOSING).await;
        let cause = UnlinkedCause::LoggedOut("by the gateway".to_owned());
        self.shared.set(&Status::Unlinked(cause));
    }

    async fn close(&self, within: Duration) {
        self.closed.store(true, Ordering::SeqCst);
        let mut session = self.session.lock().await;
        self.stop(&mut session, within).await;
    }
}

impl Device {
    /// Returns the client if the device is online.
    fn online(&self) -> Result<Arc<Client>, LinkError> {
        if *self.shared.status.borrow() != Status::Online {
            return Err(LinkError::Offline);
        }
        self.shared.client().ok_or(LinkError::Offline)
    }
}

/// Gives the library its own factory, while the device keeps a reference to the dialer.
struct SharedDialer(Arc<Dialer>);

#[async_trait]
impl whatsapp_rust::transport::TransportFactory for SharedDialer {
    async fn create_transport(
        &self,
    ) -> whatsapp_rust::anyhow::Result<(
        Arc<dyn whatsapp_rust::transport::Transport>,
        whatsapp_rust::async_channel::Receiver<whatsapp_rust::transport::TransportEvent>,
    )> {
        self.0.create_transport().await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whatsapp-rust uses the real clock; a link waits for the network and never for a test clock"
)]
pub(super) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Spawns a task beside the library's own tasks. Like the library's tasks, the task ends with its
/// resource: a socket, a commit, or the device.
#[expect(
    clippy::disallowed_methods,
    reason = "whatsapp-rust also spawns tasks without a tracker; Link::close waits for the client"
)]
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task.in_current_span());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
