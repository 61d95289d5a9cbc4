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

mod backlog;
mod care;
mod connect;
mod contact;
mod device;
mod download;
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
mod target;
mod text;
mod tls;
mod version;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;
use whatsapp_rust::wacore::handshake::HandshakeUtils;
use whatsapp_rust::waproto;

use crate::{Connector, Link, LinkError, Listener};

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
    /// The WhatsApp Web version to claim; `None` asks WhatsApp which one is current, at most once a day.
    pub version: Option<(u32, u32, u32)>,
    /// How the device is called in the phone's list of linked devices.
    pub device_name: String,
}

/// Why a configured endpoint is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not `ws` or `wss`, or without a host.
    #[error("{0} is no WebSocket URL; use wss://web.whatsapp.com/ws/chat")]
    NotWebSocket(String),
    /// Unencrypted beyond this machine.
    #[error("{0} is unencrypted and not on this machine; use wss://")]
    Plain(String),
    /// Another server, and nothing says which key it has.
    #[error("{0} is not WhatsApp's own server, so its key must be pinned; set whatsapp.server_key")]
    Unpinned(String),
    /// WhatsApp's own server with a pinned key.
    #[error("{0} is WhatsApp's own server; remove whatsapp.server_key, its certificate is checked")]
    PinnedWhatsApp(String),
    /// The build can't tell WhatsApp from somebody in between.
    #[error(
        "this build has WhatsApp's certificate check compiled out (it was built together with test \
         crates), so it dials this machine only and refuses {0}; build with `cargo build -p waviro`"
    )]
    ChecksCompiledOut(String),
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
            config.server_key.is_some(),
            certificate_checks(),
        )
        .map_err(|error| LinkError::Refused(error.to_string()))?;
        let stores = store::Stores::prepare(&config.store_folder)?;
        let simulated = config.server_key.is_some().then_some(&config.url);
        let tls = tls::client_config(config.ca_file.as_deref())?;
        let http = http::Http::new(simulated, &tls)
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

/// Whether this build refuses a server whose certificate chain WhatsApp did not sign.
///
/// The check is switched off by a cargo feature of the client library that spreads by unification, and a feature
/// of a dependency is not visible to `cfg`. So the question is put to the code itself: it is shown a forged chain.
#[must_use]
pub fn certificate_checks() -> bool {
    let key = [7; 32];
    let certificate = |details: wa::cert_chain::noise_certificate::Details| {
        waproto::buffa::MessageField::some(wa::cert_chain::NoiseCertificate {
            details: Some(details.encode_to_vec()),
            signature: Some(vec![9; 64]),
        })
    };
    let forged = wa::CertChain {
        intermediate: certificate(wa::cert_chain::noise_certificate::Details {
            serial: Some(1),
            issuer_serial: Some(0),
            key: Some(key.to_vec()),
            ..Default::default()
        }),
        leaf: certificate(wa::cert_chain::noise_certificate::Details {
            serial: Some(2),
            issuer_serial: Some(1),
            key: Some(key.to_vec()),
            ..Default::default()
        }),
    };
    HandshakeUtils::verify_server_cert(&forged.encode_to_vec(), &key).is_err()
}

/// The rules of the module's doc, as one decision.
///
/// # Errors
/// The first rule that the endpoint breaks.
pub fn check_endpoint(url: &Url, pinned: bool, checks: bool) -> Result<(), EndpointError> {
    let shown = url.to_string();
    let (secure, Some(host)) = (url.scheme() == "wss", url.host_str()) else {
        return Err(EndpointError::NotWebSocket(shown));
    };
    if !secure && url.scheme() != "ws" {
        return Err(EndpointError::NotWebSocket(shown));
    }
    let loopback = is_loopback(url);
    if !secure && !loopback {
        return Err(EndpointError::Plain(shown));
    }
    if !checks && !loopback {
        return Err(EndpointError::ChecksCompiledOut(shown));
    }
    match (is_whatsapp(host), pinned) {
        (true, true) => Err(EndpointError::PinnedWhatsApp(shown)),
        (false, false) => Err(EndpointError::Unpinned(shown)),
        _ => Ok(()),
    }
}

/// WhatsApp's own domains.
fn is_whatsapp(host: &str) -> bool {
    ["whatsapp.net", "whatsapp.com"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")))
}

/// A loopback address, or `localhost` by name (RFC 6761 keeps it on this machine).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str, pinned: bool, checks: bool) -> Result<(), EndpointError> {
        check_endpoint(&Url::parse(url).unwrap(), pinned, checks)
    }

    #[test]
    fn this_build_refuses_a_forged_certificate_chain() {
        assert!(certificate_checks());
    }

    #[test]
    fn whatsapp_is_checked_and_never_pinned() {
        let url = "wss://web.whatsapp.com/ws/chat";
        assert_eq!(verdict(url, false, true), Ok(()));
        assert!(matches!(
            verdict(url, true, true),
            Err(EndpointError::PinnedWhatsApp(_))
        ));
        assert!(matches!(
            verdict("wss://e1.whatsapp.net/ws/chat", true, true),
            Err(EndpointError::PinnedWhatsApp(_))
        ));
    }

    #[test]
    fn any_other_server_must_be_pinned() {
        let url = "ws://127.0.0.1:4000/ws/chat";
        assert_eq!(verdict(url, true, true), Ok(()));
        assert!(matches!(
            verdict(url, false, true),
            Err(EndpointError::Unpinned(_))
        ));
        assert!(matches!(
            verdict("wss://notwhatsapp.com/ws/chat", false, true),
            Err(EndpointError::Unpinned(_))
        ));
    }

    #[test]
    fn a_build_without_checks_dials_this_machine_only() {
        assert_eq!(verdict("ws://[::1]:4000/ws/chat", true, false), Ok(()));
        assert!(matches!(
            verdict("wss://web.whatsapp.com/ws/chat", false, false),
            Err(EndpointError::ChecksCompiledOut(_))
        ));
        assert!(matches!(
            verdict("wss://192.168.1.5/ws/chat", true, false),
            Err(EndpointError::ChecksCompiledOut(_))
        ));
    }

    #[test]
    fn nothing_leaves_the_machine_unencrypted() {
        assert!(matches!(
            verdict("ws://web.whatsapp.com/ws/chat", false, true),
            Err(EndpointError::Plain(_))
        ));
        assert!(matches!(
            verdict("http://127.0.0.1/ws/chat", true, true),
            Err(EndpointError::NotWebSocket(_))
        ));
    }
}
