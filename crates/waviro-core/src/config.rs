//! The configuration: `config.default.toml` < file < environment < flags.
//!
//! The embedded default file is the reference. This module gives each key a type. The error for an
//! invalid value names the key, the source of the value, and a valid example. Each part of the
//! gateway receives only its own section.

mod database;
mod limits;
mod parse;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Data, Env, Format, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;
use waviro_store::DatabaseAt;

pub use database::Database;
pub use limits::Limits;
pub use parse::{AllowedNetwork, DEFAULTS};

/// The file read from the working directory if no other file is named.
pub const FILE: &str = "waviro.toml";

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the database and the link keys.
    pub data_dir: PathBuf,
    /// The HTTP listener.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// The connection to WhatsApp.
    pub whatsapp: WhatsApp,
    /// Requests to users' endpoints and file hosts.
    pub outbound: Outbound,
    /// Limits against abuse.
    pub limits: Limits,
    /// Acceptance of messages.
    pub delivery: Delivery,
    /// How long rows and files are kept.
    pub retention: Retention,
    /// The log.
    pub log: Log,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port of the listener.
    #[serde(deserialize_with = "parse::address")]
    pub listen: SocketAddr,
    /// Address and port of `/metrics`. If equal to `listen`, the listener of the API serves
    /// `/metrics` too.
    #[serde(deserialize_with = "parse::optional_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Empty, or `/…` without a final slash.
    #[serde(deserialize_with = "parse::base_path")]
    pub base_path: String,
    /// The public address of the gateway, without a final slash; empty if not configured.
    #[serde(deserialize_with = "parse::public_url")]
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` counts.
    #[serde(deserialize_with = "parse::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Server {
    /// Returns true if the listener of the API serves the metrics. Port 0 means any free port, so
    /// two addresses with port 0 differ.
    #[must_use]
    pub fn metrics_beside_api(&self) -> bool {
        self.metrics_listen == Some(self.listen) && self.listen.port() != 0
    }
}

/// `[whatsapp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatsApp {
    /// The WebSocket of WhatsApp or of a simulator.
    #[serde(deserialize_with = "parse::websocket")]
    pub url: Url,
    /// The static key of a simulator.
    #[serde(deserialize_with = "parse::server_key")]
    pub server_key: Option<[u8; 32]>,
    /// Root certificates trusted in addition to the system's.
    #[serde(deserialize_with = "parse::file")]
    pub ca_file: Option<PathBuf>,
    /// The proxy for the link's HTTP requests.
    #[serde(deserialize_with = "parse::http_proxy")]
    pub http_proxy: Option<Url>,
    /// The client version reported to WhatsApp.
    #[serde(deserialize_with = "parse::version")]
    pub version: Option<(u32, u32, u32)>,
    /// The device name that the phone shows.
    #[serde(deserialize_with = "parse::device_name")]
    pub device_name: String,
}

/// `[outbound]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Private networks that requests may reach.
    #[serde(deserialize_with = "parse::allow")]
    pub allow: Vec<AllowedNetwork>,
    /// Total timeout of a request, in seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub timeout_s: u64,
}

/// `[delivery]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// How long a bot without a connection still accepts messages, in seconds.
    #[serde(deserialize_with = "parse::between::<_, 0, 86400>")]
    pub grace_s: u64,
}

/// `[retention]`, all in days
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Events, for streams.
    #[serde(deserialize_with = "parse::between::<_, 1, 3650>")]
    pub events_days: u64,
    /// Ended deliveries and their attempts.
    #[serde(deserialize_with = "parse::between::<_, 1, 3650>")]
    pub deliveries_days: u64,
    /// Inbound messages.
    #[serde(deserialize_with = "parse::between::<_, 1, 3650>")]
    pub inbound_days: u64,
    /// Sent messages.
    #[serde(deserialize_with = "parse::between::<_, 1, 3650>")]
    pub messages_days: u64,
    /// Received files, and links to them.
    #[serde(deserialize_with = "parse::between::<_, 1, 3650>")]
    pub media_days: u64,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level or a filter.
    #[serde(deserialize_with = "parse::log_filter")]
    pub level: String,
    /// The format of a line.
    pub format: LogFormat,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A value from a command-line flag.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as typed: `--listen`.
    pub flag: &'static str,
    /// The key set by the flag: `server.listen`.
    pub key: &'static str,
    /// The value of the flag.
    pub value: String,
}

/// An invalid configuration; the text says how to fix the problem.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the defaults, then `file` (or [`FILE`] if it exists), the environment, and `flags`.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        let file = match file {
            Some(path) if !path.is_file() => {
                return Err(ConfigError(format!(
                    "the configuration file {} does not exist or is not a file; check --config",
                    path.display()
                )));
            }
            Some(path) => Some(Toml::file_exact(path)),
            None => Path::new(FILE).is_file().then(|| Toml::file_exact(FILE)),
        };
        // These variables set flags, not keys.
        let flags_of_commands = ["config", "conform_key", "conform_unlinked_key"];
        let environment = Env::prefixed("WAVIRO_").ignore(&flags_of_commands);
        let environment = environment.split("__");
        Self::from_layers(file, environment, flags)
    }

    /// Reads the defaults and `flags` only, without the file and environment of a real gateway.
    pub fn embedded(flags: &[Flag]) -> Result<Self, ConfigError> {
        Self::from_layers(None, Figment::new(), flags)
    }

    fn from_layers(
        file: Option<Data<Toml>>,
        environment: impl Provider,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Data::<Toml>::string(DEFAULTS));
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        figment = figment.merge(environment);
        for flag in flags {
            figment = figment.merge(flag);
        }
        figment
            .extract()
            .map_err(|error| ConfigError(parse::explain(error)))
    }

    /// Returns the URL of the database, with the default filled in.
    #[must_use]
    pub fn database_at(&self) -> DatabaseAt {
        let url = if self.database.url.is_empty() {
            format!("sqlite://{}", self.data_dir.join("waviro.db").display())
        } else {
            self.database.url.clone()
        };
        DatabaseAt {
            url,
            allow_unverified: self.database.allow_unverified,
        }
    }

    /// Returns the files of an SQLite database; empty for PostgreSQL.
    #[must_use]
    pub fn database_files(&self) -> Vec<PathBuf> {
        let url = self.database_at().url;
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Vec::new();
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        ["", "-wal", "-shm"]
            .map(|suffix| PathBuf::from(format!("{path}{suffix}")))
            .into()
    }

    /// Returns the folder for the keys of the linked devices.
    #[must_use]
    pub fn link_folder(&self) -> PathBuf {
        self.data_dir.join("links")
    }

    /// Returns the prefix of links to this gateway: the public URL, or the base path if no public
    /// URL is configured.
    #[must_use]
    pub fn link_base(&self) -> &str {
        if self.server.public_url.is_empty() {
            &self.server.base_path
        } else {
            &self.server.public_url
        }
    }

    /// Returns the folder of received files.
    #[must_use]
    pub fn media_folder(&self) -> PathBuf {
        self.data_dir.join("media")
    }

    /// Returns the folder of files that wait to be sent.
    #[must_use]
    pub fn spool_folder(&self) -> PathBuf {
        self.data_dir.join("spool")
    }
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the flag {}", self.flag))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        figment::providers::Serialized::global(self.key, &self.value).data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, flags: &[Flag]) -> Result<Config, ConfigError> {
        Config::from_layers(Some(Data::<Toml>::string(file)), Figment::new(), flags)
    }

    fn wrong(file: &str) -> String {
        load(file, &[]).unwrap_err().to_string()
    }

    #[test]
    fn the_embedded_file_is_complete_and_valid() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.database_at().url, "sqlite://waviro-data/waviro.db");
    }

    #[test]
    fn a_flag_wins_over_a_file_and_a_file_over_the_default() {
        let file = "server.listen = '127.0.0.1:1'\noutbound.timeout_s = 3";
        let flag = Flag {
            flag: "--listen",
            key: "server.listen",
            value: "127.0.0.1:2".to_owned(),
        };
        let config = load(file, &[flag]).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.outbound.timeout_s, 3);
    }

    #[test]
    fn an_error_names_the_key_its_source_and_a_good_value() {
        let errors = [
            wrong("server.listen = 'nine'"),
            wrong("server.metrics_listen = '9090'"),
            wrong("server.public_url = 'toko.example'"),
            wrong("server.trusted_proxies = ['proxy.example']"),
            wrong("retention.media_days = 0"),
            wrong("outbound.timeout_s = 0"),
            wrong("outbound.timeout_s = 'x'"),
            wrong("outbound.allow = ['10.0.0.0/99']"),
            wrong("whatsapp.server_key = 'abc'"),
            wrong("whatsapp.http_proxy = 'proxy.example:3128'"),
            wrong("whatsapp.http_proxy = 'http://me:secret@proxy.example'"),
            wrong("whatsapp.version = '3'"),
            wrong("log.format = 'xml'"),
            wrong("log.level = 'a=b=c'"),
            wrong("database.url = 'mysql://x'"),
            wrong("serverr.listen = 'x'"),
            wrong("server.lissten = 'x'"),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn links_start_with_the_public_url_if_set_otherwise_with_the_path() {
        let base = |file: &str| load(file, &[]).unwrap().link_base().to_owned();
        assert_eq!(base(""), "");
        assert_eq!(base("server.base_path = '/bot1'"), "/bot1");
        let both = "server.base_path = '/bot1'\nserver.public_url = 'https://wa.example/x/'";
        assert_eq!(base(both), "https://wa.example/x");
    }

    #[test]
    fn networks_come_as_a_list_or_in_one_text_with_or_without_a_port() {
        let config = load("outbound.allow = '127.0.0.0/8, ::1:90 ,10.0.0.5:8080'", &[]);
        let shown: Vec<_> = config
            .unwrap()
            .outbound
            .allow
            .iter()
            .map(|allowed| (allowed.network.to_string(), allowed.port))
            .collect();
        assert_eq!(
            shown,
            [
                ("127.0.0.0/8".to_owned(), None),
                ("::1:90/128".to_owned(), None),
                ("10.0.0.5/32".to_owned(), Some(8080)),
            ]
        );
        let bracketed: AllowedNetwork = "[::1]:90".parse().unwrap();
        assert_eq!(
            (bracketed.network.to_string().as_str(), bracketed.port),
            ("::1/128", Some(90))
        );
    }
}
