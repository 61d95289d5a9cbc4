//! Parses configuration values. Each error describes a valid value.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use figment::error::Kind;
use figment::providers::{Data, Toml};
use figment::value::Value;
use figment::{Error, Figment, Source};
use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error as _};
use tracing_subscriber::EnvFilter;
use url::Url;

/// The default file, with the reason of each key.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");

/// Valid values for the keys with an empty default.
const EXAMPLES: [(&str, &str); 10] = [
    ("server.metrics_listen", "\"127.0.0.1:9090\""),
    ("server.base_path", "\"/bot1\""),
    ("server.public_url", "\"https://wa.example.com\""),
    ("server.trusted_proxies", "[\"127.0.0.1\", \"10.1.0.0/16\"]"),
    ("database.url", "\"sqlite:///var/lib/waviro/waviro.db\""),
    ("whatsapp.server_key", "the line that the simulator prints"),
    ("whatsapp.ca_file", "\"/etc/ssl/certs/company-ca.pem\""),
    ("whatsapp.http_proxy", "\"http://proxy.example.com:3128\""),
    ("whatsapp.version", "\"2.3000.1023456789\""),
    (
        "outbound.allow",
        "[\"10.1.0.0/16\", \"192.168.1.5/32:8080\"]",
    ),
];

/// Returns a line per error: key, problem, source, and a valid value.
pub(super) fn explain(errors: Error) -> String {
    let lines: Vec<String> = errors.into_iter().map(explain_one).collect();
    lines.join("\n")
}

fn explain_one(error: Error) -> String {
    let mut path = error.path;
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let key = path.join(".");
    let source = error.metadata.map_or_else(
        || "an unknown source".to_owned(),
        |metadata| match &metadata.source {
            Some(Source::File(path)) => path.display().to_string(),
            _ if metadata.name.contains("environment") => {
                format!(
                    "the environment variable WAVIRO_{}",
                    path.join("__").to_uppercase()
                )
            }
            _ => metadata.name.into_owned(),
        },
    );
    if let Kind::UnknownField(_, known) = &error.kind {
        return format!(
            "{key}: unknown key (from {source}); known keys: {}",
            known.join(", ")
        );
    }
    let problem = match error.kind {
        Kind::Message(text) => text,
        Kind::UnknownVariant(found, known) => {
            format!("`{found}` is not one of {}", known.join(", "))
        }
        other => other.to_string(),
    };
    match example(&key) {
        Some(good) => format!("{key}: {problem} (from {source}); a good value: {good}"),
        None => format!("{key}: {problem} (from {source})"),
    }
}

fn example(key: &str) -> Option<String> {
    if let Some((_, good)) = EXAMPLES.iter().find(|(named, _)| *named == key) {
        return Some((*good).to_owned());
    }
    let defaults = Figment::from(Data::<Toml>::string(DEFAULTS));
    match defaults.find_value(key).ok()? {
        Value::String(_, text) => Some(format!("{text:?}")),
        Value::Num(_, number) => number.to_i128().map(|number| number.to_string()),
        _ => None,
    }
}

/// Parses an address; `None` if the text is empty.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("`{text}` is not an address with a port")))
}

pub(super) fn address<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(input)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("`{text}` is not an address with a port")))
}

pub(super) fn base_path<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let path = text.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if path.is_empty() || (path.starts_with('/') && !path.contains("//") && path.bytes().all(plain))
    {
        return Ok(path.to_owned());
    }
    Err(D::Error::custom(format!(
        "`{text}` is not a path that starts with a slash"
    )))
}

pub(super) fn public_url<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let good = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if text.is_empty() || Url::parse(&text).is_ok_and(|url| good(&url)) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(D::Error::custom(format!(
        "`{text}` is not an http:// or https:// URL without a query"
    )))
}

pub(super) fn database<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let starts = ["sqlite:", "postgres://", "postgresql://"];
    if text.is_empty() || starts.iter().any(|start| text.starts_with(start)) {
        return Ok(text);
    }
    // The error omits the text because the text may contain a password.
    Err(D::Error::custom(
        "the URL starts with neither sqlite: nor postgres://",
    ))
}

/// Parses a path; `None` if the text is empty. The reader of the file checks the file.
pub(super) fn file<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(input)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn websocket<'de, D: Deserializer<'de>>(input: D) -> Result<Url, D::Error> {
    let text = String::deserialize(input)?;
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.has_host() => Ok(url),
        _ => Err(D::Error::custom(format!(
            "`{text}` is not a ws:// or wss:// URL"
        ))),
    }
}

pub(super) fn server_key<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<[u8; 32]>, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    <[u8; 32]>::try_from(bytes)
        .map(Some)
        .map_err(|_| D::Error::custom("not 32 bytes in base64"))
}

pub(super) fn http_proxy<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() {
        return Ok(None);
    }
    // The error omits the text because the text may contain a password.
    let url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| D::Error::custom("not an http:// or https:// URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(D::Error::custom(
            "the URL holds a user name or password, which is not supported",
        ));
    }
    Ok(Some(url))
}

pub(super) fn version<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<(u32, u32, u32)>, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() {
        return Ok(None);
    }
    let mut parts = text.split('.').map(u32::from_str);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(first)), Some(Ok(second)), Some(Ok(third)), None) => {
            Ok(Some((first, second, third)))
        }
        _ => Err(D::Error::custom(format!(
            "`{text}` is not three numbers with dots between"
        ))),
    }
}

pub(super) fn device_name<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if (1..=50).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(D::Error::custom("the name must have 1 to 50 characters"))
}

pub(super) fn log_filter<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(D::Error::custom(format!(
            "`{text}` is not a log level or filter"
        ))),
    }
}

/// Parses a whole number from `LOW` to `HIGH`. Flags provide the number as text.
pub(super) fn between<'de, D: Deserializer<'de>, const LOW: u64, const HIGH: u64>(
    input: D,
) -> Result<u64, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
    }
    let (number, shown) = match Written::deserialize(input) {
        Ok(Written::Number(number)) => (u64::try_from(number).ok(), number.to_string()),
        Ok(Written::Text(text)) => (text.parse().ok(), format!("`{text}`")),
        Err(_) => (None, "this".to_owned()),
    };
    number
        .filter(|number| (LOW..=HIGH).contains(number))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "{shown} is not a whole number from {LOW} to {HIGH}"
            ))
        })
}

/// Parses a list, or the comma-separated text of an environment variable.
pub(super) fn allow<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<AllowedNetwork>, D::Error> {
    let texts = listed(input)?.into_iter();
    texts
        .map(|text| text.parse().map_err(D::Error::custom))
        .collect()
}

/// Parses a list like [`allow`], but without ports.
pub(super) fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = listed(input)?.into_iter();
    let wrong = |text: &str| D::Error::custom(format!("`{text}` is not an address or network"));
    texts
        .map(|text| network(&text).ok_or_else(|| wrong(&text)))
        .collect()
}

fn listed<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Listed {
        List(Vec<String>),
        Text(String),
    }
    match Listed::deserialize(input) {
        Ok(Listed::List(texts)) => Ok(texts),
        Ok(Listed::Text(text)) => Ok(text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect()),
        Err(_) => Err(D::Error::custom("not a list of networks")),
    }
}

/// The same format as [`FromStr`] accepts.
impl fmt::Display for AllowedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.network.prefix_len() == self.network.max_prefix_len();
        let network = if bare {
            self.network.addr().to_string()
        } else {
            self.network.to_string()
        };
        match (self.port, self.network) {
            (None, _) => f.write_str(&network),
            (Some(port), IpNet::V6(_)) => write!(f, "[{network}]:{port}"),
            (Some(port), IpNet::V4(_)) => write!(f, "{network}:{port}"),
        }
    }
}

/// `CIDR` or `CIDR:port`; a single address is a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedNetwork {
    /// The addresses.
    pub network: IpNet,
    /// The only allowed port; `None` allows any port.
    pub port: Option<u16>,
}

impl FromStr for AllowedNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(network) = network(text) {
            return Ok(Self {
                network,
                port: None,
            });
        }
        text.rsplit_once(':')
            .and_then(|(head, port)| {
                let bare = head
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'));
                let (network, port) = (network(bare.unwrap_or(head))?, port.parse().ok()?);
                Some(Self {
                    network,
                    port: Some(port),
                })
            })
            .ok_or_else(|| format!("`{text}` is not an address or network, with or without :port"))
    }
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}
