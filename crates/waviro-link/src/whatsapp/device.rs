//! One device: when its client lives, dies, and is made anew.
//!
//! The library's client ends for good when WhatsApp sends it away (logged out, replaced, banned, outdated). The device
//! outlives it: it keeps the state with its cause, and builds a fresh client on the same keys when there is reason to.

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
use super::connect::Dialer;
use super::events::Ear;
use super::news::{self, News};
use super::pulse::Pulse;
use super::redelivered::Redelivered;
use super::version::Version;
use super::{Ground, care, download, lookup, send};
use crate::{
    Chat, Evidence, Group, Identity, Link, LinkError, Listener, MediaHandle, Number, OfflineCause,
    Outgoing, Status, UnlinkedCause,
};

/// How long what was sent is kept for recipients that could not decrypt it and ask again. The library's two hours are
/// over before a phone that was off comes back.
const SENT_MESSAGES_KEPT: Duration = Duration::from_hours(7 * 24);

/// So many of them, and for so long, are in memory too. The library takes one out of the store to send it again and puts it back
/// afterwards: of the members of a group who cannot read the same message, whoever asks in between would get nothing. Those
/// ask within a moment of the message; what is in memory is not taken out.
const SENT_MESSAGES_AT_HAND: (Duration, u64) = (Duration::from_mins(5), 256);

/// A client gets so long to close before a new one is built on its keys.
const CLOSING: Duration = Duration::from_secs(5);

/// The user part that stands for "not paired yet" where a server's key is pinned (see [`Device::pin`]).
const NOBODY: &str = "0";

/// What the device, its ear and its dialer share.
pub(super) struct Shared {
    pub(super) slot: i32,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) news: News,
    pub(super) admins: Admins,
    pub(super) status: watch::Sender<Status>,
    pub(super) pulse: Pulse,
    pub(super) redelivered: Redelivered,
    pub(super) backlog: Arc<Backlog>,
    client: RwLock<Option<Arc<Client>>>,
    identity: Mutex<Option<Identity>>,
    telling: Mutex<()>,
    /// The next write is to be of everything, see [`Shared::write_down`].
    pub(super) write_again: AtomicBool,
}

/// A device and the client that serves it at the moment.
pub(super) struct Device {
    ground: Arc<Ground>,
    /// Of whoever opened it; the library's tasks log in it.
    span: tracing::Span,
    pub(super) shared: Arc<Shared>,
    /// Held while a client is built or ended, so that two callers never build two.
    pub(super) session: tokio::sync::Mutex<Option<Session>>,
    /// No client is built any more.
    closed: AtomicBool,
}

/// A running client. Dropping the handle would abort it.
pub(super) struct Session {
    handle: BotHandle,
    dialer: Arc<Dialer>,
    /// The version of WhatsApp Web that it claims to be.
    version: Version,
    /// While it is held, the ear is shown every stanza before the library works on it.
    _stanzas: RawNodeLease,
}

impl Device {
    /// Reconnects a linked device; leaves any other alone.
    pub(super) async fn open(
        ground: Arc<Ground>,
        slot: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<Self>, LinkError> {
        let shared = Arc::new(Shared {
            slot,
            news: news::open(Arc::clone(&listener)),
            admins: Admins::default(),
            listener,
            pulse: Pulse::default(),
            redelivered: Redelivered::open(ground.stores.came_again(slot)),
            backlog: Arc::default(),
            status: watch::Sender::new(Status::Unlinked(UnlinkedCause::Never)),
            client: RwLock::new(None),
            identity: Mutex::new(None),
            telling: Mutex::new(()),
            write_again: AtomicBool::new(false),
        });
        let device = Arc::new(Self {
            ground,
            span: tracing::Span::current(),
            shared,
            session: tokio::sync::Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        device
            .start(&mut *device.session.lock().await, false)
            .await?;
        care::retry(&device);
        care::keep_flushed(&device);
        care::keep_running(&device);
        Ok(device)
    }

    /// Builds a client on the stored keys and lets it run: always where `linking`, else only where the keys belong to
    /// a linked device.
    async fn start(&self, session: &mut Option<Session>, linking: bool) -> Result<(), LinkError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LinkError::Offline);
        }
        let config = &self.ground.config;
        let backend = self.ground.stores.open(self.shared.slot).await?;
        let dialer = Arc::new(Dialer::new(
            self.ground.target.clone(),
            Arc::clone(&self.shared),
        ));
        let ear = Ear {
            shared: Arc::clone(&self.shared),
            dialer: Arc::downgrade(&dialer),
        };
        let hook = Ear {
            shared: Arc::clone(&self.shared),
            dialer: Arc::downgrade(&dialer),
        };
        let place = self
            .ground
            .threads
            .place(&self.shared.backlog, self.span.clone())
            .ok_or(LinkError::Offline)?;
        let version = self.ground.versions.known();
        let bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(SharedDialer(Arc::clone(&dialer)))
            .with_http_client(self.ground.http.clone())
            .with_version(version)
            .with_runtime(place)
            .with_event_handler(ear)
            .with_inbound_durability_hook(hook)
            .with_device_props(DevicePropsOverride::new().with_os(&*config.device_name))
            // A gateway answers what is said to it from now on; old chats are the phone's.
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
            // Also where linking was refused and is tried again: it is somebody's turn to ask for a code.
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

    /// Ends the client, if one runs, within `within`.
    async fn stop(&self, session: &mut Option<Session>, within: Duration) {
        let Some(ending) = session.take() else { return };
        if tokio::time::timeout(within, ending.handle.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(slot = self.shared.slot, "the link took too long to close");
        }
        // Not before: a receipt that comes while it closes is acked by the library, so it must still be committed.
        *write(&self.shared.client) = None;
        drop(ending.dialer);
    }

    /// A fresh client on the same keys, in place of one that WhatsApp sent away.
    pub(super) async fn restart(&self, session: &mut Option<Session>) {
        self.stop(session, CLOSING).await;
        if let Err(error) = self.start(session, false).await {
            tracing::warn!(slot = self.shared.slot, %error, "the link could not be restarted");
        }
    }

    /// Whether WhatsApp has said in the meantime that a newer version is current than the one that it refused.
    pub(super) async fn has_newer_version(&self) -> bool {
        let refused = self.session.lock().await.as_ref().map(|it| it.version);
        match refused {
            Some(refused) => self.ground.versions.after(refused).await != refused,
            None => false,
        }
    }
}

impl Session {
    /// The library's run loop panicked: it ended without anybody having ended it.
    pub(super) fn has_broken(&mut self) -> bool {
        !has_ended(Some(&*self)) && (&mut self.handle).now_or_never().is_some()
    }
}

/// WhatsApp sent the client away, or none was started: it will not come back by itself.
pub(super) fn has_ended(session: Option<&Session>) -> bool {
    session.is_none_or(|session| {
        let client = session.handle.client();
        !client.enable_auto_reconnect.load(Ordering::Relaxed)
    })
}

/// Seeds the device with the key of a server that is not WhatsApp's, and, before pairing, with a user that stands for
/// nobody: a client that has both opens with Noise IK, which authenticates exactly this key. An inner rule of the
/// pinned library version (`select_pattern` in its handshake); a test holds it.
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
    let (kept, most) = SENT_MESSAGES_AT_HAND;
    CacheConfig {
        recent_messages: CacheEntryConfig::new(Some(kept), most),
        sent_message_ttl_secs: SENT_MESSAGES_KEPT.as_secs(),
        // Who has a group's key is asked of the database, where we can take it back ([`send::hand_out_again`]).
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

    /// Takes a new state and tells the gateway, if it is news.
    pub(super) fn set(&self, status: &Status) {
        self.change(|_| Some(status.clone()));
    }

    /// The socket ended or could not be opened. Says nothing new about a device that WhatsApp has sent away.
    pub(super) fn went_offline(&self, cause: OfflineCause) {
        self.change(|current| match current {
            // The end of the connection follows the refusal, which says why.
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

    /// One step from the current state, undisturbed by others: the end of a socket and the reason for it are told by
    /// different tasks. The gateway hears of the steps in their order, and may read the state while it listens.
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
        self.pulse.turned(next == Status::Online);
        self.status.send_replace(next.clone());
        self.listener.status(&next);
    }

    /// Writes the device's own state down before anybody relies on it. Left to itself the library does so when it is told of
    /// a change, but misses one that falls between a write and its next look, and then leaves it for half a minute: a kill
    /// right after pairing lost the link.
    pub(super) fn flush(&self) {
        let Some(client) = self.client() else { return };
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.write_down(&client, true));
        });
        self.write_again.store(true, Ordering::SeqCst);
    }

    /// What changed since the last write, or all of it: a write of the library's own that is under way has already taken
    /// the mark that something changed, and may come after ours with what was before. So the whole is written again once
    /// that is over. Whether it is durable.
    pub(super) async fn write_down(&self, client: &Arc<Client>, all: bool) -> bool {
        let state = client.persistence_manager();
        if all {
            state.modify_device(|_| ()).await;
        }
        if let Err(error) = state.flush().await {
            let error = super::store::cause(&error);
            tracing::error!(slot = self.slot, %error, "the device's state is not durable yet");
            return false;
        }
        true
    }

    /// Reads number and name from the client.
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
            // These keys belong to a device that still exists; linking anew is for those that do not.
            Status::Replaced | Status::Banned { .. } | Status::ClientOutdated => {
                self.stop(&mut session, CLOSING).await;
                return self.start(&mut session, true).await;
            }
            Status::Unlinked(_) | Status::PasskeyAsked => {}
        }
        self.stop(&mut session, CLOSING).await;
        self.ground.stores.renew(self.shared.slot)?;
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
                send::hand_out_again(&client, &message.to).await?;
            }
            send::send(&client, &message, status.changed()).await
        };
        self.ground.threads.run(sending).await?
    }

    async fn is_registered(&self, number: &Number) -> Result<bool, LinkError> {
        lookup::is_registered(&self.online()?, number).await
    }

    async fn groups(&self) -> Result<Vec<Group>, LinkError> {
        lookup::groups(&self.online()?).await
    }

    async fn typing(&self, to: &Chat, on: bool) -> Result<(), LinkError> {
        send::typing(&self.online()?, to, on).await
    }

    async fn download(&self, handle: &MediaHandle, to: &Path) -> Result<(), LinkError> {
        let (client, handle, to) = (self.online()?, handle.clone(), to.to_owned());
        self.ground
            .threads
            .run(async move { download::download(&client, &handle, &to).await })
            .await?
    }

    fn evidence(&self) -> Evidence {
        self.shared.pulse.evidence()
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
    /// The client, where it can be asked something now.
    fn online(&self) -> Result<Arc<Client>, LinkError> {
        if *self.shared.status.borrow() != Status::Online {
            return Err(LinkError::Offline);
        }
        self.shared.client().ok_or(LinkError::Offline)
    }
}

/// The library wants to own its factory; the device keeps a hand on it.
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
    reason = "the library below keeps its own time; a link waits for the network, never for a test's clock"
)]
pub(super) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Runs beside the library's own tasks and, as they do, ends with what it holds: a socket, a commit, the device.
#[expect(
    clippy::disallowed_methods,
    reason = "the library spawns without a tracker too; Link::close waits for its client"
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
