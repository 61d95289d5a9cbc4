//! The state shared by the device, its event handler and its dialer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;
use whatsapp_rust::Client;

use super::admins::Admins;
use super::backlog::Backlog;
use super::calls_and_groups::{self, EventQueue};
use super::liveness::Liveness;
use super::redelivered::Redelivered;
use crate::{Identity, Listener, OfflineCause, Status, UnlinkedCause};

/// The user part of the JID for "not paired yet", used with a pinned server key.
pub(super) const NOBODY: &str = "0";

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

impl Shared {
    pub(super) fn new(bot_id: i32, listener: Arc<dyn Listener>, redelivered: Redelivered) -> Self {
        Self {
            bot_id,
            calls_and_groups: calls_and_groups::start(Arc::clone(&listener)),
            admins: Admins::default(),
            listener,
            liveness: Liveness::default(),
            redelivered,
            backlog: Arc::default(),
            status: watch::Sender::new(Status::Unlinked(UnlinkedCause::Never)),
            client: RwLock::new(None),
            identity: Mutex::new(None),
            telling: Mutex::new(()),
            write_again: AtomicBool::new(false),
        }
    }

    /// Sets the running client, or removes the client after its end.
    pub(super) fn set_client(&self, client: Option<Arc<Client>>) {
        *write(&self.client) = client;
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        lock(&self.identity).clone()
    }

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
