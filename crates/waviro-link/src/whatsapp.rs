//! The real link, over whatsapp-rust.
//!
//! [`WhatsApp`] opens devices; everything that is the same for all of them stands in its [`WhatsAppConfig`]. A device's
//! life is in [`device`] and, where nobody asks for anything, in [`care`]; its socket in [`connect`], what it hears in
//! [`events`] ([`inbound`], [`news`]), what it writes in [`send`], the files that it fetches in [`download`]. [`target`] opens
//! the sockets, over the addresses that [`race`] tries side by side, with the certificates that [`tls`] trusts; [`probe`] does the
//! same for `waviro doctor`.
//!
//! # Which server
//! The mode follows from the configured URL alone. For WhatsApp's own hosts the client verifies the server's
//! certificate chain against the root that is compiled in. Any other host must be pinned: its Noise key is given
//! ([`WhatsAppConfig::server_key`]), and the client opens with Noise IK, which authenticates exactly that key. Nothing is
//! ever pinned for WhatsApp's hosts. A build in which the chain check was compiled out dials loopback only.

mod admins;
mod backlog;
mod care;
mod connect;
mod contact;
mod device;
mod download;
mod endpoint;
mod events;
mod handle;
mod home;
mod http;
mod inbound;
mod location;
mod lookup;
mod media;
mod news;
mod people;
mod probe;
mod proof;
mod pulse;
mod race;
mod redelivered;
mod runtime;
mod send;
mod store;
mod structured;
mod target;
mod text;
mod tls;
mod version;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use crate::{Connector, Link, LinkError, Listener};

pub use endpoint::{EndpointError, certificate_checks, check_endpoint};
pub use probe::{FamilyProbe, Probe, probe};

/// The log target under which the library writes, as a warning, the address of a file with the token that opens it.
pub const TOLD_TOO_MUCH: &str = "whatsapp_rust::download";

/// What is the same for every device of the process.
#[derive(Debug, Clone)]
pub struct WhatsAppConfig {
    /// The folder of the devices' keys and sessions, a SQLite file each. Made where it is missing, mode 0700.
    pub store_folder: PathBuf,
    /// `wss://web.whatsapp.com/ws/chat`, or a simulator's `ws://127.0.0.1:…/ws/chat`.
    pub url: Url,
    /// The Noise public key of a server that is not WhatsApp's own.
    pub server_key: Option<[u8; 32]>,
    /// Further root certificates, PEM, that TLS trusts beside the system's and those that are compiled in.
    pub ca_file: Option<PathBuf>,
    /// The proxy of the HTTP requests to WhatsApp (files, the current version). The environment's
    /// proxies are never used, and the WebSocket uses no proxy.
    pub http_proxy: Option<Url>,
    /// The WhatsApp Web version to claim; `None` asks WhatsApp which one is current, at most once a day.
    pub version: Option<(u32, u32, u32)>,
    /// How the device is called in the phone's list of linked devices.
    pub device_name: String,
}

/// Opens devices that share one configuration.
#[derive(Debug, Clone)]
pub struct WhatsApp(Arc<Ground>);

/// What all devices stand on.
#[derive(Debug)]
struct Ground {
    config: WhatsAppConfig,
    target: target::Target,
    stores: store::Stores,
    threads: runtime::Threads,
    http: http::Http,
    versions: Arc<version::Versions>,
}

impl WhatsApp {
    /// Checks the endpoint and prepares the store folder.
    ///
    /// # Errors
    /// [`LinkError::Refused`] with the [`EndpointError`]'s sentence or one about `ca_file`, [`LinkError::Store`] where the folder
    /// cannot be made.
    pub fn new(config: WhatsAppConfig) -> Result<Self, LinkError> {
        check_endpoint(
            &config.url,
            config.server_key.as_ref(),
            certificate_checks(),
        )
        .map_err(|error| LinkError::Refused(error.to_string()))?;
        let stores = store::Stores::prepare(&config.store_folder)?;
        let simulated = config.server_key.is_some().then_some(&config.url);
        let tls = tls::client_config(config.ca_file.as_deref())?;
        let http = http::Http::new(simulated, config.http_proxy.as_ref(), &tls)
            .map_err(|error| LinkError::Failed(error.to_string()))?;
        let target = target::Target::new(config.url.clone(), config.server_key, tls);
        let versions = version::Versions::new(
            config.version,
            config.server_key.is_some(),
            &config.store_folder,
            Arc::new(http.clone()),
        );
        Ok(Self(Arc::new(Ground {
            config,
            target,
            stores,
            threads: runtime::Threads::start()?,
            http,
            versions,
        })))
    }
}

#[async_trait]
impl Connector for WhatsApp {
    async fn open(
        &self,
        slot: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let listener = home::AtHome::here(listener);
        let device = device::Device::open(Arc::clone(&self.0), slot, listener).await?;
        Ok(device)
    }

    async fn forget(&self, slot: i32) -> Result<(), LinkError> {
        self.0.stores.wipe(slot)
    }
}
