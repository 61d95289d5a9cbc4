//! The settings and handles shared by all devices of the process.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::http::Http;
use super::runtime::Threads;
use super::store::Stores;
use super::target::Target;
use super::version::Versions;

/// The settings shared by all devices of the process.
#[derive(Debug, Clone)]
pub struct WhatsAppConfig {
    /// The folder with the devices' keys and sessions, one SQLite file per device. A missing folder
    /// is created with mode 0700.
    pub store_folder: PathBuf,
    /// `wss://web.whatsapp.com/ws/chat`, or a simulator's `ws://127.0.0.1:…/ws/chat`.
    pub url: Url,
    /// The Noise public key of a server that is not WhatsApp's own.
    pub server_key: Option<[u8; 32]>,
    /// Additional root certificates (PEM) for TLS, beside the system's roots and the compiled-in
    /// roots.
    pub ca_file: Option<PathBuf>,
    /// The proxy for HTTP requests to WhatsApp (files, the current version). The proxy variables of
    /// the environment are never used, and the WebSocket uses no proxy.
    pub http_proxy: Option<Url>,
    /// The WhatsApp Web version of the devices; `None` asks WhatsApp for the current version, at
    /// most once a day.
    pub version: Option<(u32, u32, u32)>,
    /// The name of the device in the phone's list of linked devices.
    pub device_name: String,
}

/// The handles shared by all devices.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) config: WhatsAppConfig,
    pub(super) target: Target,
    pub(super) stores: Stores,
    pub(super) threads: Threads,
    pub(super) http: Http,
    pub(super) versions: Arc<Versions>,
}
