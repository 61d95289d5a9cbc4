//! One device, and the lifecycle of its client.
//!
//! The library's client ends for good when WhatsApp rejects the client (logged out, replaced,
//! banned, outdated). The device outlives the client: the device keeps the state with its cause,
//! and creates a new client with the same keys when there is a reason to reconnect.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::watch;
use whatsapp_rust::bot::BotHandle;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::Bot;
use whatsapp_rust::wacore::store::device::{
    CachedNoiseCert, CachedServerCertChain, DevicePropsOverride,
};
use whatsapp_rust::{CacheConfig, CacheEntryConfig, Client, Jid, RawNodeLease};

use super::connect::Dialer;
use super::events::DeviceEventHandler;
use super::handles::Handles;
use super::redelivered::Redelivered;
use super::shared::{NOBODY, Shared};
use super::store::SENT_MESSAGES_KEPT;
use super::version::Version;
use super::{download, identity, lookup, send, supervisor};
use crate::{
    Chat, Evidence, Group, Identity, Link, LinkError, Listener, MediaHandle, Number, OfflineCause,
    Outgoing, Status, UnlinkedCause,
};

/// The timeout for closing a client before a new client is created with its keys.
const CLOSING: Duration = Duration::from_secs(5);

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
        let redelivered = Redelivered::open(handles.stores.redelivered_file(bot_id));
        let shared = Arc::new(Shared::new(bot_id, listener, redelivered));
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
        self.shared.set_client(Some(Arc::clone(&client)));
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
        self.shared.set_client(None);
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

#[async_trait]
impl Link for Device {
    fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    fn identity(&self) -> Option<Identity> {
        self.shared.identity()
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
