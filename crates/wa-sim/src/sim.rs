//! The simulator as a library: start it, add phones, point clients at it. `devices`: what is done to those.

mod devices;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::event::SimEvent;
use crate::fault::Faults;
use crate::group::{Group, GroupSpec};
use crate::phone::{Phone, PhoneSpec, asking, digits};
use crate::seed::Seed;
use crate::server;
use crate::snapshot::{self, Saver};
use crate::tls::Tls;
use crate::world::{Clock, World};

/// How many messages a phone shows unless told otherwise.
const INBOX_LIMIT: usize = 100_000;
/// The file in the data directory that clients are given to trust.
const AUTHORITY: &str = "ca.pem";
/// How long a stop waits for connections to end.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The port could not be bound.
    #[error("cannot listen on {addr}: {source}; choose a free port, or port 0 for any")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data directory could not be read or made.
    #[error("cannot use the data in {path}: {reason}; repair or remove it")]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate can be made for these names.
    #[error("no certificate for {names}: {reason}; a name is ASCII, as in DNS")]
    Names {
        /// As given.
        names: String,
        /// What is wrong with one of them.
        reason: String,
    },
}

/// How to end a device's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// The WebSocket is closed, then the socket (FIN).
    #[default]
    Clean,
    /// The socket is reset (RST), as by a network that went away.
    Abrupt,
}

/// Settings of a simulator that is about to start.
#[must_use]
pub struct SimBuilder {
    listen: SocketAddr,
    seed: Option<u64>,
    data_dir: Option<PathBuf>,
    inbox_limit: usize,
    clock: Clock,
    names: Vec<String>,
}

impl SimBuilder {
    /// The address to listen on; `127.0.0.1:0` unless told otherwise.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// The seed of all keys, ids and codes; random unless given. Data that is there already keeps the seed it has.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Where the state is kept; in memory only unless given.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// How many messages each phone shows at most; 100,000 unless told otherwise.
    pub fn inbox_limit(mut self, messages: usize) -> Self {
        self.inbox_limit = messages;
        self
    }

    /// A further name under which clients reach it over TLS, beside `localhost` and the address that it listens on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// The clock that stamps messages; the system's unless given.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts the simulator.
    ///
    /// # Errors
    /// The port is taken, or the data directory is unusable.
    pub async fn start(self) -> Result<Sim, SimError> {
        let seed = Seed(self.seed.unwrap_or_else(|| rand::rng().random()));
        let data_dir = self.data_dir.clone();
        let loaded = match &self.data_dir {
            Some(path) => snapshot::open(path, seed)?,
            None => snapshot::Opened { seed, run: 0 },
        };
        let world = World::new(
            loaded.seed,
            loaded.run,
            self.data_dir,
            self.inbox_limit,
            self.clock,
        );
        let world = Arc::new(world);
        snapshot::restore(&world)?;
        for account in world.accounts() {
            asking::resume(&world, &account);
        }
        let bind = |source| SimError::Bind {
            addr: self.listen,
            source,
        };
        let listener = TcpListener::bind(self.listen).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let tls = Tls::new(world.seed, addr.ip(), &self.names);
        let tls = tls.map_err(|reason| SimError::Names {
            names: self.names.join(", "),
            reason: reason.to_string(),
        })?;
        if let Some(folder) = data_dir {
            let path = folder.join(AUTHORITY);
            std::fs::write(&path, tls.authority()).map_err(|reason| SimError::Data {
                path,
                reason: reason.to_string(),
            })?;
        }
        let saver = Saver::start(&world);
        let sim = Sim {
            world,
            addr,
            tls: Arc::new(tls),
            server: Arc::default(),
            saver: Arc::new(saver),
        };
        let server = sim.world.tasks.spawn(server::run(listener, sim.clone()));
        *sim.server.lock() = Some(server);
        tracing::info!(%addr, seed = sim.world.seed.0, "simulator started");
        Ok(sim)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a simulator that was given none"
)]
fn system_clock() -> SystemTime {
    SystemTime::now()
}

/// A running simulator. Cheap to clone; it runs until [`Sim::stop`] or the end of the process.
#[derive(Clone)]
pub struct Sim {
    pub(crate) world: Arc<World>,
    pub(crate) tls: Arc<Tls>,
    addr: SocketAddr,
    server: Arc<Mutex<Option<JoinHandle<()>>>>,
    saver: Arc<Saver>,
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
    /// Starts a simulator on a free port of the loopback interface, with a random seed, in memory.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start() -> Result<Self, SimError> {
        Self::builder().start().await
    }

    /// Settings other than those of [`Sim::start`].
    pub fn builder() -> SimBuilder {
        SimBuilder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: None,
            data_dir: None,
            inbox_limit: INBOX_LIMIT,
            clock: Arc::new(system_clock),
            names: Vec::new(),
        }
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where WhatsApp clients connect: `ws://…/ws/chat`.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.addr)
    }

    /// The same over TLS: `wss://…/ws/chat`. The client must trust [`Sim::authority`].
    #[must_use]
    pub fn wss_url(&self) -> String {
        format!("wss://{}/ws/chat", self.addr)
    }

    /// The certificate of the authority that signs the server's, PEM. A `data_dir` has it as `ca.pem` too.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.tls.authority()
    }

    /// Where the control API is: `http://…`.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The Noise static public key, which clients pin to be sure of this simulator.
    #[must_use]
    pub fn server_key(&self) -> [u8; 32] {
        self.world.keys.public()
    }

    /// The public key that signs the certificate chain.
    #[must_use]
    pub fn root_key(&self) -> [u8; 32] {
        self.world.keys.root()
    }

    /// The seed that everything follows from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.world.seed.0
    }

    /// Adds a phone. One that is there already is kept as it is.
    #[expect(
        clippy::unused_async,
        reason = "making keys may move off the caller's thread; callers should not change"
    )]
    pub async fn add_phone(&self, spec: PhoneSpec) -> Phone {
        let account = self.world.add_account(spec);
        Phone {
            world: Arc::clone(&self.world),
            account,
        }
    }

    /// The phone with this number; made, with its number as name, if there is none.
    pub async fn phone(&self, number: &str) -> Phone {
        let number = digits(number);
        self.add_phone(PhoneSpec::new(&number, number.as_str()))
            .await
    }

    /// The phone with this number, if there is one.
    #[must_use]
    pub fn find_phone(&self, number: &str) -> Option<Phone> {
        let account = self.world.account_by_number(&digits(number))?;
        Some(Phone {
            world: Arc::clone(&self.world),
            account,
        })
    }

    /// All phones, by number.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn phones(&self) -> Vec<Phone> {
        let phone = |account| Phone {
            world: Arc::clone(&self.world),
            account,
        };
        self.world.accounts().into_iter().map(phone).collect()
    }

    /// Makes a group addressed by LID, as today's are; members without a phone get one.
    pub async fn create_group(&self, name: &str, owner: &str, members: &[&str]) -> Arc<Group> {
        self.add_group(GroupSpec::new(name, owner).members(members))
            .await
    }

    /// Makes a group; members without a phone get one. The members' companions are told.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn add_group(&self, spec: GroupSpec) -> Arc<Group> {
        self.world.create_group(spec)
    }

    /// All groups, by id.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.world.groups()
    }

    /// The knobs that make it misbehave.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// What happens from now on. A reader that falls 16,384 events behind loses the oldest.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SimEvent> {
        self.world.subscribe()
    }

    /// Closes the port and all connections and writes the state, if it has a data directory.
    pub async fn stop(self) {
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.abort();
            // Only now is the port free again.
            let _ = server.await;
        }
        self.world.stop.cancel();
        self.world.tasks.close();
        if tokio::time::timeout(STOP_DEADLINE, self.world.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not end in time");
        }
        self.saver.finish(&self.world).await;
    }
}
