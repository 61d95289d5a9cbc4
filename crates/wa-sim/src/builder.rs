//! Starts a simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rand::RngExt as _;
use tokio::net::TcpListener;

use crate::phone::asking;
use crate::seed::Seed;
use crate::server;
use crate::sim::{Sim, SimError};
use crate::snapshot::{self, Saver};
use crate::tls::Tls;
use crate::world::{Clock, World};

/// The default limit of messages in a phone's inbox.
const INBOX_LIMIT: usize = 100_000;
/// The file in the data directory with the certificate that clients must trust.
const AUTHORITY: &str = "ca.pem";

/// The settings for a new simulator.
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
    /// Sets the address to listen on; the default is `127.0.0.1:0`.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Sets the seed of all keys, ids and codes; the default is random. An existing data directory
    /// keeps its own seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the directory for the state; by default, the state is only in memory.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Sets the limit of messages in each phone's inbox; the default is 100,000.
    pub fn inbox_limit(mut self, messages: usize) -> Self {
        self.inbox_limit = messages;
        self
    }

    /// Adds a name for TLS clients, besides `localhost` and the listen address.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Sets the clock for the timestamps of messages; the default is the system clock.
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
    reason = "the default clock of a simulator"
)]
fn system_clock() -> SystemTime {
    SystemTime::now()
}

impl Sim {
    /// Starts a simulator in memory, on a free port of the loopback interface, with a random seed.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start() -> Result<Self, SimError> {
        Self::builder().start().await
    }

    /// Returns a builder for a simulator with other settings than [`Sim::start`].
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
}
