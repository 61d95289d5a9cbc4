//! Finds the caller's address behind proxies. `X-Forwarded-For` counts as far as trusted proxies
//! wrote the header.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use tracing::warn;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller's address. The listener stores the connection's remote address in each request, and
/// [`behind_proxies`] replaces the address of a trusted proxy by the address of its client.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The proxies of `server.trusted_proxies`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trusted: Vec<IpNet>,
    /// True once the warning about an ignored header has been logged.
    warned: AtomicBool,
}

impl Proxies {
    /// Creates a list of trusted networks.
    #[must_use]
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self(Arc::new(Inner {
            trusted,
            warned: AtomicBool::new(false),
        }))
    }

    /// Returns the caller's address: the last address in the chain that belongs to no trusted
    /// proxy. Each proxy appends the address of its client to the header, so the caller controls
    /// everything left of the first untrusted address.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(&FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            if !self.trusts(client) {
                self.warn_once(client, peer);
                break;
            }
            // If a proxy does not name its client, the proxy is the last known address.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(address) else {
                break;
            };
            client = address;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let trusted = &self.0.trusted;
        trusted.iter().any(|network| network.contains(&address))
    }

    /// Warns once about an ignored header. Without the warning, nothing explains why all callers
    /// count as one.
    fn warn_once(&self, client: IpAddr, peer: IpAddr) {
        if client == peer.to_canonical() && !self.0.warned.swap(true, Ordering::Relaxed) {
            warn!(
                address = %peer,
                "X-Forwarded-For ignored: this address is not in server.trusted_proxies, so all its callers count as one caller"
            );
        }
    }
}

/// Middleware: replaces the proxy's address by the caller's address, for all inner layers.
pub async fn behind_proxies(
    State(proxies): State<Proxies>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        let client = proxies.client(peer.ip(), request.headers());
        let client = SocketAddr::new(client, peer.port());
        request.extensions_mut().insert(Peer(client));
    }
    next.run(request).await
}

/// Returns the caller's address. Requests of tests without a connection share an address.
#[must_use]
pub fn peer(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

/// Parses an address in the forms that proxies write: bare, in brackets, or with a port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let alone = hop.trim_start_matches('[').trim_end_matches(']').parse();
    let address: Option<IpAddr> = alone.ok();
    let with_port = || Some(hop.parse::<SocketAddr>().ok()?.ip());
    address.or_else(with_port).map(|found| found.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let trusted = trusted.iter().map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = Proxies::new(trusted.collect());
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_as_far_as_trusted_proxies_wrote_it() {
        const TRUSTED: [&str; 2] = ["127.0.0.1/32", "10.0.0.0/8"];
        for (peer, lines, seen) in [
            ("127.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("::ffff:127.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &[], "127.0.0.1"),
            // The caller wrote the first address.
            ("127.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
            // A chain of two proxies.
            ("127.0.0.1", &["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
            ("127.0.0.1", &["203.0.113.7", "10.1.2.3"], "203.0.113.7"),
            // Only trusted proxies.
            ("127.0.0.1", &["10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("127.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("127.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("127.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            // A value that is no address ends the search.
            ("127.0.0.1", &["203.0.113.7, unknown"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            // The header of an untrusted address is ignored.
            ("198.51.100.9", &["203.0.113.7"], "198.51.100.9"),
        ] {
            assert_eq!(client(&TRUSTED, peer, lines), seen, "{peer} {lines:?}");
        }
        assert_eq!(client(&[], "127.0.0.1", &["203.0.113.7"]), "127.0.0.1");
    }
}
