//! The handle of a running simulator: phones, groups, addresses for clients.
//! `devices` has the operations on linked devices, `groups` the changes of groups.

mod devices;
pub(crate) mod groups;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::iq::groups::changes;
use crate::number::digits;
use crate::phone::Phone;
use crate::snapshot::{Saver, Unusable};
use crate::tls::Tls;
use crate::world::World;
use crate::world::account::PhoneSpec;
use crate::world::event::SimEvent;
use crate::world::fault::Faults;
use crate::world::group::{Group, GroupSpec};

/// The time limit for the end of all connections at a shutdown.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// The reason why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The port could not be bound.
    #[error("cannot listen on {addr}: {source}; choose a free port, or port 0 for any free port")]
    Bind {
        /// The requested address.
        addr: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The data directory could not be read or created.
    #[error("cannot use the data in {path}: {reason}; repair or remove it")]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// No certificate can be made for these names.
    #[error("no certificate for {names}: {reason}; use ASCII names, as in DNS")]
    Names {
        /// The names given to the builder.
        names: String,
        /// The problem with one of the names.
        reason: String,
    },
}

impl From<Unusable> for SimError {
    fn from(Unusable { path, reason }: Unusable) -> Self {
        Self::Data { path, reason }
    }
}

/// The way to close a device's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// Close the WebSocket, then the socket (FIN).
    #[default]
    Clean,
    /// Reset the socket (RST), as after a network failure.
    Abrupt,
}

/// A running simulator. A clone is cheap and shares the state. The simulator runs until
/// [`Sim::stop`] or the end of the process.
#[derive(Clone)]
pub struct Sim {
    pub(crate) world: Arc<World>,
    pub(crate) tls: Arc<Tls>,
    pub(crate) addr: SocketAddr,
    /// The task that accepts connections, until [`Sim::stop`].
    pub(crate) server: Arc<Mutex<Option<JoinHandle<()>>>>,
    pub(crate) saver: Arc<Saver>,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("addr", &self.addr)
            .field("seed", &self.world.seed.0)
            .finish_non_exhaustive()
    }
}

impl Sim {
    /// The listen address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL for WhatsApp clients: `ws://…/ws/chat`.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.addr)
    }

    /// The URL for WhatsApp clients over TLS: `wss://…/ws/chat`. The client must trust
    /// [`Sim::authority`].
    #[must_use]
    pub fn wss_url(&self) -> String {
        format!("wss://{}/ws/chat", self.addr)
    }

    /// The certificate of the authority that signs the server's certificate, as PEM. The data
    /// directory contains the same certificate as `ca.pem`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.tls.authority()
    }

    /// The URL of the control API: `http://…`.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The Noise static public key. A client pins the key to accept only this simulator.
    #[must_use]
    pub fn server_key(&self) -> [u8; 32] {
        self.world.keys.public()
    }

    /// The public key that signs the Noise certificate chain.
    #[must_use]
    pub fn root_key(&self) -> [u8; 32] {
        self.world.keys.root()
    }

    /// The seed of all keys, ids and codes.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.world.seed.0
    }

    /// Adds a phone. An existing phone with the same number stays unchanged.
    #[expect(
        clippy::unused_async,
        reason = "key generation may move to another thread; then no caller has to change"
    )]
    pub async fn add_phone(&self, spec: PhoneSpec) -> Phone {
        let account = self.world.add_account(spec);
        Phone {
            world: Arc::clone(&self.world),
            account,
        }
    }

    /// Returns the phone with this number. If there is none, the simulator creates a phone with the
    /// number as name.
    pub async fn phone(&self, number: &str) -> Phone {
        let number = digits(number);
        self.add_phone(PhoneSpec::new(&number, number.as_str()))
            .await
    }

    /// Returns the phone with this number, if there is one.
    #[must_use]
    pub fn find_phone(&self, number: &str) -> Option<Phone> {
        let account = self.world.account_by_number(&digits(number))?;
        Some(Phone {
            world: Arc::clone(&self.world),
            account,
        })
    }

    /// Returns all phones, ordered by number.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn phones(&self) -> Vec<Phone> {
        let phone = |account| Phone {
            world: Arc::clone(&self.world),
            account,
        };
        self.world.accounts().into_iter().map(phone).collect()
    }

    /// Creates a group addressed by LID, the addressing of new groups. Members without a phone get
    /// one.
    pub async fn create_group(&self, name: &str, owner: &str, members: &[&str]) -> Arc<Group> {
        self.add_group(GroupSpec::new(name, owner).members(members))
            .await
    }

    /// Creates a group and notifies the members' companions. Members without a phone get one.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn add_group(&self, spec: GroupSpec) -> Arc<Group> {
        changes::create(&self.world, spec)
    }

    /// Returns all groups, ordered by id.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.world.groups()
    }

    /// Returns the settings of the simulated faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// Returns the events from now on. A subscriber more than 16,384 events behind loses the oldest
    /// events.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SimEvent> {
        self.world.subscribe()
    }

    /// Closes the port and all connections. If the simulator has a data directory, the state is
    /// written.
    pub async fn stop(self) {
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.abort();
            // The port is free only after the end of the server task.
            let _ = server.await;
        }
        self.world.stop.cancel();
        self.world.tasks.close();
        if tokio::time::timeout(STOP_DEADLINE, self.world.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not close in time");
        }
        self.saver.finish(&self.world).await;
    }
}
