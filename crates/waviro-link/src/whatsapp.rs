//! The real implementation of a link, over whatsapp-rust.
//!
//! [`WhatsApp`] opens devices; [`WhatsAppConfig`] holds the settings shared by all devices.
//! [`device`] manages the client of one device, [`supervisor`] runs its background jobs, and
//! [`bans`] decides about refused logins.
//! [`connect`] manages the socket. [`events`] receives events ([`inbound`], [`calls_and_groups`]),
//! [`send`] writes messages, and [`download`] fetches files. [`target`] opens the sockets: [`race`]
//! tries the addresses in parallel, and [`tls`] holds the trusted certificates. [`probe`] opens
//! test connections for `waviro doctor`.
//!
//! # Which server
//! The configured URL alone decides how the server is authenticated. For WhatsApp's own hosts the
//! client checks the server's certificate chain against the root compiled into the library. Any
//! other host needs a pinned Noise key ([`WhatsAppConfig::server_key`]); the client then uses Noise
//! IK, and Noise IK accepts exactly this key. A key is never pinned for WhatsApp's hosts. A build
//! without the chain check dials loopback addresses only.

mod admins;
mod backlog;
mod bans;
mod calls_and_groups;
mod connect;
mod content;
mod device;
mod download;
mod endpoint;
mod events;
mod handle;
mod handles;
mod handshake;
mod http;
mod identity;
mod inbound;
mod listener_runtime;
mod liveness;
mod lookup;
mod probe;
mod race;
mod redelivered;
mod runtime;
mod send;
mod shared;
mod store;
mod structured;
mod supervisor;
mod target;
mod task;
mod tls;
mod version;

use std::sync::Arc;

use async_trait::async_trait;

use handles::Handles;

use crate::{Connector, Link, LinkError, Listener};

pub use endpoint::{EndpointError, certificate_checks, check_endpoint};
pub use handles::WhatsAppConfig;
pub use probe::{FamilyProbe, Probe, probe};

/// The log target of the library's warnings with the address of a file and the token that opens the
/// file.
pub const TOLD_TOO_MUCH: &str = "whatsapp_rust::download";

/// Opens devices with a shared configuration.
#[derive(Debug, Clone)]
pub struct WhatsApp(Arc<Handles>);

impl WhatsApp {
    /// Checks the endpoint and prepares the store folder.
    ///
    /// # Errors
    /// [`LinkError::Refused`] with the text of the [`EndpointError`] or with a text about
    /// `ca_file`, [`LinkError::Store`] if the folder cannot be created.
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
        Ok(Self(Arc::new(Handles {
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
        bot_id: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let listener = listener_runtime::GatewayRuntime::wrap(listener);
        let device = device::Device::open(Arc::clone(&self.0), bot_id, listener).await?;
        Ok(device)
    }

    async fn forget(&self, bot_id: i32) -> Result<(), LinkError> {
        self.0.stores.wipe(bot_id)
    }
}
