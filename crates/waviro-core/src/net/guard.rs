//! Decides to which addresses the gateway may connect. The guard prevents server-side request
//! forgery (SSRF).
//!
//! Each holder of a SecretKey chooses URLs (notifyurl, media, rules), and the gateway runs inside
//! the operator's network. Therefore the gateway connects only to public addresses and to the
//! networks in `outbound.allow` or in the bot's own list.
//!
//! A URL is checked twice. [`Guard::check`] reads the parsed host; after parsing, a number in an
//! odd notation is an address. The guard is also the HTTP client's resolver, so the client connects
//! exactly to the checked addresses. A name server cannot give a second, different answer in
//! between. The client never follows a redirect by itself, because a redirect would bypass the
//! check.
//!
//! The person who chose the URL reads the refusal. A refusal therefore contains an address only if
//! the URL contains the same address. The private addresses of a name go to the log, for the
//! operator.

mod ports;
mod public;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::info;
use url::{Host, Url};

use crate::config::AllowedNetwork;
use ports::is_unsafe;
use public::is_public;

/// Checks URLs and addresses by the configuration key `outbound.allow`.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Arc<[AllowedNetwork]>,
    lookup: Arc<dyn Lookup>,
}

/// Resolves names to addresses.
#[async_trait]
pub trait Lookup: Debug + Send + Sync {
    /// Returns all addresses of `name`, in the order of the connection attempts.
    ///
    /// # Errors
    /// The name does not exist, or no name server answers.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver: hosts file and name servers.
#[derive(Debug, Clone, Copy)]
pub struct System;

#[async_trait]
impl Lookup for System {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The reason for a refused URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The scheme is neither http nor https.
    #[error("only http and https URLs are called, not {0}")]
    Scheme(String),
    /// The URL has the form `https://user:password@host/`: a secret that would end up in logs.
    #[error("the URL holds a user name or password; remove it")]
    UserInfo,
    /// The host is missing or empty.
    #[error("the URL names no host")]
    NoHost,
    /// The port belongs to another protocol, whose server would read an HTTP request as commands.
    #[error("port {0} is reserved for a protocol other than HTTP; use another port")]
    UnsafePort(u16),
    /// The URL contains an address that is neither public nor allowed.
    #[error(
        "{address} is not a public address; add {network} to outbound.allow if the address is intended"
    )]
    NotPublic {
        /// The address as written in the URL.
        address: String,
        /// The address as a network, in the form of `outbound.allow`.
        network: String,
    },
    /// The URL contains a name, and the addresses of the name are neither public nor allowed. The
    /// log contains the addresses.
    #[error(
        "{0} has no public address; if the host is intended, add its address to outbound.allow"
    )]
    NameNotPublic(String),
}

tokio::task_local! {
    /// The pass of the current request. A resolver gets only the host's name as an argument.
    static PASS: Arc<Pass>;
}

/// Facts about a request that the guard needs beside the name, and the addresses found.
#[derive(Debug)]
pub(super) struct Pass {
    /// The port of the URL, because an entry of the allow list may name a port.
    port: u16,
    allow: Vec<AllowedNetwork>,
    found: OnceLock<IpAddr>,
    answered: OnceLock<IpAddr>,
}

impl Pass {
    /// Creates a pass for a checked URL.
    pub(super) fn new(url: &Url, allow: &[AllowedNetwork]) -> Arc<Self> {
        let literal: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        Arc::new(Self {
            port: url.port_or_known_default().unwrap_or(0),
            allow: allow.to_vec(),
            found: literal.map_or_else(OnceLock::new, OnceLock::from),
            answered: OnceLock::new(),
        })
    }

    /// Runs a request with this pass, so that the guard knows the request's port and networks.
    pub(super) async fn scope<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        PASS.scope(self.clone(), request).await
    }

    /// Stores the address that answered.
    pub(super) fn answered(&self, address: IpAddr) {
        let _ = self.answered.set(address);
    }

    /// Returns the address that answered, else the first address found and permitted.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.answered.get().or(self.found.get()).copied()
    }
}

impl Guard {
    /// Creates a guard that permits public addresses and the networks of `allow`.
    #[must_use]
    pub fn new(allow: &[AllowedNetwork], lookup: Arc<dyn Lookup>) -> Self {
        Self {
            allow: allow.into(),
            lookup,
        }
    }

    /// Checks everything that needs no name server: the scheme, the user info, the port, and a host
    /// written as an address or as a name of this machine. `own` are the networks of the call
    /// itself.
    pub fn check(&self, url: &Url, own: &[AllowedNetwork]) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        let judge = |shown: &str, address: IpAddr| {
            if self.permits(address, port, own) {
                return Ok(());
            }
            Err(Refused::NotPublic {
                address: shown.to_owned(),
                network: IpNet::from(address).to_string(),
            })
        };
        if is_unsafe(port) {
            return Err(Refused::UnsafePort(port));
        }
        match url.host() {
            None | Some(Host::Domain("")) => Err(Refused::NoHost),
            Some(Host::Ipv4(address)) => judge(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => judge(&address.to_string(), address.into()),
            Some(Host::Domain(name)) if is_this_machine(name) => {
                judge(name, Ipv4Addr::LOCALHOST.into())
                    .or_else(|refused| judge(name, Ipv6Addr::LOCALHOST.into()).map_err(|_| refused))
            }
            Some(Host::Domain(_)) => Ok(()),
        }
    }

    /// Returns whether a call with the networks `own` may connect to an address at a port.
    #[must_use]
    pub fn permits(&self, address: IpAddr, port: u16, own: &[AllowedNetwork]) -> bool {
        is_public(address)
            || self.allow.iter().chain(own).any(|allowed| {
                allowed.network.contains(&address) && allowed.port.is_none_or(|only| only == port)
            })
    }
}

/// Resolves a name and keeps only permitted addresses.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        // Read before the first await, because only this part runs inside the request's own task.
        // Outside a request only the name is known; then port 0 matches no rule with a port.
        let pass = PASS.try_with(Clone::clone).ok();
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let (port, own) = pass.as_ref().map_or((0, [].as_slice()), |pass| {
                (pass.port, pass.allow.as_slice())
            });
            let found = guard.lookup.lookup(host).await?;
            let checked: Vec<SocketAddr> = found
                .iter()
                .filter(|address| guard.permits(**address, port, own))
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            if let (Some(pass), Some(first)) = (&pass, checked.first()) {
                let _ = pass.found.set(first.ip());
            }
            if checked.is_empty() && !found.is_empty() {
                info!(host, port, addresses = ?found, "request refused: the host has no public address; outbound.allow can permit the address");
                return Err(Refused::NameNotPublic(host.to_owned()).into());
            }
            Ok(Box::new(checked.into_iter()) as Addrs)
        })
    }
}

/// Returns whether a name means the loopback address: by RFC 6761 `localhost` and every name below,
/// with or without a final dot.
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        let allow: Vec<_> = allow.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(&allow, Arc::new(System))
    }

    fn verdict(guard: &Guard, url: &str) -> Result<(), Refused> {
        guard.check(&Url::parse(url).unwrap(), &[])
    }

    #[test]
    fn a_host_is_judged_after_parsing_whatever_notation_it_came_in() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "017700000001",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "a.localhost",
            "\u{ff11}27.0.0.1",
            "127\u{3002}0.0.1",
        ] {
            let url = format!("http://{host}:8080/x");
            assert!(
                matches!(verdict(&guard(&[]), &url), Err(Refused::NotPublic { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn other_schemes_and_user_info_are_refused() {
        let guard = guard(&["0.0.0.0/0"]);
        assert!(matches!(
            verdict(&guard, "ftp://8.8.8.8/"),
            Err(Refused::Scheme(_))
        ));
        assert!(matches!(
            verdict(&guard, "file:///etc/passwd"),
            Err(Refused::Scheme(_))
        ));
        assert_eq!(
            verdict(&guard, "http://me:secret@8.8.8.8/"),
            Err(Refused::UserInfo)
        );
        assert_eq!(
            verdict(&guard, "http://me@8.8.8.8/"),
            Err(Refused::UserInfo)
        );
        assert_eq!(verdict(&guard, "https://example.com/hook?x=1"), Ok(()));
    }

    #[test]
    fn an_allowed_address_passes_only_at_its_port() {
        let guard = guard(&["127.0.0.0/8:9000", "10.1.0.0/16"]);
        assert_eq!(verdict(&guard, "http://127.0.0.1:9000/"), Ok(()));
        assert_eq!(verdict(&guard, "http://localhost:9000/"), Ok(()));
        assert!(verdict(&guard, "http://127.0.0.1:9001/").is_err());
        assert!(verdict(&guard, "http://localhost/").is_err());
        assert_eq!(verdict(&guard, "https://10.1.2.3/"), Ok(()));
        assert!(verdict(&guard, "https://10.2.2.3/").is_err());
    }

    #[test]
    fn the_refusal_names_the_network_to_allow() {
        let refused = verdict(&guard(&[]), "http://192.168.1.5/").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "192.168.1.5 is not a public address; add 192.168.1.5/32 to outbound.allow if the address is intended"
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_has_no_address_left() {
        let resolved = guard(&[]).resolve("localhost".parse().unwrap()).await;
        let refused = resolved.err().unwrap();
        assert_eq!(
            refused.downcast_ref::<Refused>(),
            Some(&Refused::NameNotPublic("localhost".to_owned()))
        );
    }

    #[derive(Debug)]
    struct Inside;

    #[async_trait]
    impl Lookup for Inside {
        async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(["10.20.30.40", "fd12:3456::7"]
                .map(|text| text.parse().unwrap())
                .into())
        }
    }

    #[tokio::test]
    async fn a_refusal_shows_no_address_that_is_not_in_the_url() {
        let guard = Guard::new(&[], Arc::new(Inside));
        let resolved = guard.resolve("db.internal".parse().unwrap()).await;
        let refused = resolved.err().unwrap().to_string();
        assert!(
            refused.starts_with("db.internal has no public address"),
            "{refused}"
        );
        for secret in ["10.20", "fd12"] {
            assert!(!refused.contains(secret), "{refused}");
        }
    }

    #[test]
    fn the_ports_that_no_browser_calls_are_refused_at_any_host() {
        let guard = guard(&["0.0.0.0/0", "127.0.0.1/32:25"]);
        for url in [
            "http://8.8.8.8:25/",
            "https://toko.example:6667/",
            "http://127.0.0.1:25/",
            "http://[2001:4860:4860::8888]:22/",
            "http://localhost:0/",
            "https://toko.example:10080/",
        ] {
            assert!(
                matches!(verdict(&guard, url), Err(Refused::UnsafePort(_))),
                "{url}"
            );
        }
        for url in [
            "http://toko.example/",
            "https://toko.example/",
            "https://toko.example:8443/",
            "http://toko.example:3000/",
        ] {
            assert_eq!(verdict(&guard, url), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn a_resolver_knows_the_port_and_the_networks_of_the_request_it_works_for() {
        let local: Vec<AllowedNetwork> = ["127.0.0.0/8:9000", "::1/128:9000"]
            .map(|text| text.parse().unwrap())
            .into();
        let everybodys = guard(&["127.0.0.0/8:9000", "::1/128:9000"]);
        let nobodys = guard(&[]);
        let inside = async |guard: &Guard, port: u16, own: &[AllowedNetwork]| {
            let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
            let pass = Pass::new(&url, own);
            let resolved = pass.scope(async { guard.resolve("localhost".parse().unwrap()).await });
            let permitted = resolved.await.is_ok();
            assert_eq!(pass.address().is_some(), permitted);
            permitted
        };
        assert!(inside(&everybodys, 9000, &[]).await);
        assert!(!inside(&everybodys, 9001, &[]).await);
        assert!(inside(&nobodys, 9000, &local).await);
        assert!(!inside(&nobodys, 9001, &local).await);
        assert!(!inside(&nobodys, 9000, &[]).await);
        let outside = everybodys.resolve("localhost".parse().unwrap()).await;
        assert!(outside.is_err(), "without a request there is no port");
    }
}
