//! Which addresses the gateway may dial for others: the answer to server-side request forgery.
//!
//! Whoever holds a SecretKey chooses URLs (notifyurl, media, rules), and the gateway stands inside somebody's network.
//! So only public addresses are dialled, unless `outbound.allow` names them. A URL is checked twice: [`Guard::check`]
//! reads the parsed host (numbers in odd notations are addresses after parsing), and the guard is also the HTTP
//! client's resolver, so that the address which was checked is the one that is dialled: no window for a name that
//! changes its answer in between. Redirects are never followed, they would be a way around.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::AllowedNetwork;

/// Decides by the configuration key `outbound.allow`.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Arc<[AllowedNetwork]>,
}

/// Why a URL is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Neither http nor https.
    #[error("only http and https URLs are called, not {0}")]
    Scheme(String),
    /// `https://user:password@host/`: a secret that would end up in logs.
    #[error("the URL holds a user name or password; remove it")]
    UserInfo,
    /// A host that is missing or empty.
    #[error("the URL names no host")]
    NoHost,
    /// Not public and not allowed.
    #[error("{host} is not a public address; add {address} to outbound.allow if it is meant")]
    NotPublic {
        /// As the URL names it.
        host: String,
        /// What it stands for, a network as `outbound.allow` takes it.
        address: String,
    },
}

tokio::task_local! {
    /// The port of the request that is being made. A resolver hears only the name, and a rule may name a port.
    pub(super) static PORT: u16;
}

/// IPv4 ranges of the IANA special-purpose registry that are not the public internet.
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // "this network"
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, and the clouds' metadata service 169.254.169.254
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarks
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, and broadcast
];

/// IPv6: only this is handed out as public. Loopback, mapped and compatible IPv4, NAT64 (`64:ff9b::/96`), ULA
/// (`fc00::/7`), link-local and multicast all lie outside.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What is not public inside it.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0x0000, 23), // protocol assignments, Teredo among them
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0x0000, 16), // 6to4: an IPv4 address in disguise
    v6(0x3fff, 0x0000, 20), // documentation
];

impl Guard {
    /// A guard that lets public addresses pass, and what `allow` names.
    #[must_use]
    pub fn new(allow: &[AllowedNetwork]) -> Self {
        Self {
            allow: allow.into(),
        }
    }

    /// Judges what can be judged without asking a name server: scheme, user info, and a host that is an address or a
    /// name for this very machine.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            None | Some(Host::Domain("")) => Err(Refused::NoHost),
            Some(Host::Ipv4(address)) => {
                self.check_address(&address.to_string(), address.into(), port)
            }
            Some(Host::Ipv6(address)) => {
                self.check_address(&address.to_string(), address.into(), port)
            }
            Some(Host::Domain(name)) if is_this_machine(name) => self
                .check_address(name, Ipv4Addr::LOCALHOST.into(), port)
                .or_else(|refused| {
                    self.check_address(name, Ipv6Addr::LOCALHOST.into(), port)
                        .map_err(|_| refused)
                }),
            Some(Host::Domain(_)) => Ok(()),
        }
    }

    fn check_address(&self, host: &str, address: IpAddr, port: u16) -> Result<(), Refused> {
        if self.permits(address, port) {
            return Ok(());
        }
        Err(Refused::NotPublic {
            host: host.to_owned(),
            address: IpNet::from(address).to_string(),
        })
    }

    /// Whether an address may be dialled at a port.
    #[must_use]
    pub fn permits(&self, address: IpAddr, port: u16) -> bool {
        is_public(address)
            || self.allow.iter().any(|allowed| {
                allowed.network.contains(&address) && allowed.port.is_none_or(|only| only == port)
            })
    }
}

/// Resolves by the operating system and keeps only what may be dialled.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        // Read before the first await: this part runs inside the request's own task. Where it does not, port 0
        // matches no rule that names a port.
        let port = PORT.try_with(|port| *port).unwrap_or(0);
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let first = found.first().map(SocketAddr::ip);
            let checked: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| guard.permits(address.ip(), port))
                .collect();
            match (checked.is_empty(), first) {
                (true, Some(address)) => Err(Refused::NotPublic {
                    host: host.to_owned(),
                    address: IpNet::from(address).to_string(),
                }
                .into()),
                _ => Ok(Box::new(checked.into_iter()) as Addrs),
            }
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address)
                && !NOT_PUBLIC_V6.iter().any(|range| range.contains(&address))
        }
    }
}

/// RFC 6761: `localhost` and everything below it is loopback, with or without the final dot.
fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: u16, second: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        let allow: Vec<_> = allow.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(&allow)
    }

    fn verdict(guard: &Guard, url: &str) -> Result<(), Refused> {
        guard.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn no_address_that_is_not_public_passes() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(
                !guard(&[]).permits(address.parse().unwrap(), 80),
                "{address}"
            );
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(
                guard(&[]).permits(address.parse().unwrap(), 80),
                "{address}"
            );
        }
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
    fn what_is_allowed_passes_at_its_port_alone() {
        let guard = guard(&["127.0.0.0/8:9000", "10.1.0.0/16"]);
        assert_eq!(verdict(&guard, "http://127.0.0.1:9000/"), Ok(()));
        assert_eq!(verdict(&guard, "http://localhost:9000/"), Ok(()));
        assert!(verdict(&guard, "http://127.0.0.1:9001/").is_err());
        assert!(verdict(&guard, "http://localhost/").is_err());
        assert_eq!(verdict(&guard, "https://10.1.2.3/"), Ok(()));
        assert!(verdict(&guard, "https://10.2.2.3/").is_err());
    }

    #[test]
    fn the_refusal_says_what_to_allow() {
        let refused = verdict(&guard(&[]), "http://192.168.1.5/").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "192.168.1.5 is not a public address; add 192.168.1.5/32 to outbound.allow if it is meant"
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_has_no_address_left() {
        let resolved = guard(&[]).resolve("localhost".parse().unwrap()).await;
        let refused = resolved.err().unwrap();
        assert!(refused.is::<Refused>(), "{refused}");
    }

    #[tokio::test]
    async fn a_resolver_knows_the_port_of_the_request_it_works_for() {
        let guard = guard(&["127.0.0.0/8:9000", "::1/128:9000"]);
        let resolve = |port| PORT.scope(port, guard.resolve("localhost".parse().unwrap()));
        assert!(
            resolve(9000).await.is_err(),
            "read in the call, not in the future"
        );
        let inside = |port| {
            PORT.scope(port, async {
                guard.resolve("localhost".parse().unwrap()).await.is_ok()
            })
        };
        assert!(inside(9000).await);
        assert!(!inside(9001).await);
    }
}
