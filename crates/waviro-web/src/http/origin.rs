//! The scheme, host and base path of the reader's request, for samples and links that work
//! unchanged.

use axum::http::HeaderMap;
use axum::http::header::{HOST, HeaderName};

static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// More bytes than a DNS name (253) with a port can have.
const LONGEST: usize = 260;

/// The document's placeholder, used if the request has no host that can be shown.
const UNKNOWN: &str = "bot_url";

/// A scheme, a host and a base path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: &'static str,
    host: String,
    base: String,
}

impl Origin {
    /// Returns the origin in the headers. The caller or a proxy controls the headers, so only plain
    /// hosts are used.
    #[must_use]
    pub fn of(headers: &HeaderMap, base: &str) -> Self {
        let said = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // In a chain of proxies, the first value comes from the proxy next to the reader.
        let first = said(&FORWARDED_PROTO).and_then(|all| all.split(',').next());
        let tls = first.is_some_and(|first| first.trim().eq_ignore_ascii_case("https"));
        let scheme = if tls { "https" } else { "http" };
        let host = [said(&FORWARDED_HOST), said(&HOST)]
            .into_iter()
            .flatten()
            .find(|host| is_plain(host));
        Self {
            scheme: if host.is_none() { "https" } else { scheme },
            host: host.unwrap_or(UNKNOWN).to_owned(),
            base: base.to_owned(),
        }
    }

    /// Returns the name or address, with the port unless the port is the default.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the path before `/api`, such as `/bot1`; usually empty.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the full URL before `/api/…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.base)
    }
}

/// Returns whether the host has only letters, digits, dots and dashes, or is an IPv6 address in
/// brackets, with an optional port. Such a host has no special characters of HTML, JSON, a shell or
/// PHP.
fn is_plain(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let number = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
    let within = |text: &str, more: &[u8]| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    let named = match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => within(address, b":."),
        None => within(name, b".-"),
    };
    host.len() <= LONGEST && named && port.is_none_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(headers: &[(&'static str, &str)]) -> String {
        let pairs = headers.iter().map(|(name, value)| {
            let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        Origin::of(&pairs.collect(), "/bot1").url()
    }

    #[test]
    fn the_host_that_was_asked_is_shown() {
        for host in [
            "example.com",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "bot-1.example",
        ] {
            assert_eq!(origin(&[("host", host)]), format!("http://{host}/bot1"));
        }
    }

    #[test]
    fn host_and_scheme_come_from_a_trusted_proxy() {
        let behind = [
            ("host", "10.0.0.5:8080"),
            ("x-forwarded-host", "wa.example.com"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(origin(&behind), "https://wa.example.com/bot1");
        let odd = [("host", "example.com"), ("x-forwarded-proto", "javascript")];
        assert_eq!(origin(&odd), "http://example.com/bot1");
    }

    #[test]
    fn a_hostile_host_is_never_shown() {
        for host in [
            "",
            "\"><script>alert(1)</script>",
            "a b",
            "a'b",
            "a/b",
            "a:b",
            "a:99999",
            "a:+80",
            "[::1",
            "[a\"b]",
            "$(id)",
            "a\\b",
            "münchen.example",
            &"a".repeat(300),
        ] {
            assert_eq!(origin(&[("host", host)]), "https://bot_url/bot1", "{host}");
        }
        let both = [("x-forwarded-host", "<b>"), ("host", "example.com")];
        assert_eq!(origin(&both), "http://example.com/bot1");
    }
}
