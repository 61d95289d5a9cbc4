//! The rules for the configured server: if it may be dialed, and if a key may be pinned for it.

use curve25519_dalek::montgomery::MontgomeryPoint;
use url::Url;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;
use whatsapp_rust::wacore::handshake::HandshakeUtils;
use whatsapp_rust::waproto;

/// The reason why a configured endpoint is not dialed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The URL is not `ws` or `wss`, or has no host.
    #[error("{0} is not a WebSocket URL; use wss://web.whatsapp.com/ws/chat")]
    NotWebSocket(String),
    /// The connection would leave this machine without encryption.
    #[error("{0} is unencrypted and not on this machine; use wss://")]
    Plain(String),
    /// The server is not WhatsApp's own, and no key is configured for it.
    #[error("{0} is not WhatsApp's own server, so its key must be pinned; set whatsapp.server_key")]
    Unpinned(String),
    /// A key is pinned for WhatsApp's own server.
    #[error(
        "{0} is WhatsApp's own server; remove whatsapp.server_key, because the server's certificate is checked"
    )]
    PinnedWhatsApp(String),
    /// The URL contains a user name or password. Both would be logged, and
    /// `wss://web.whatsapp.com@…` only looks like WhatsApp.
    #[error("whatsapp.url holds a user name or password; remove it")]
    UserInfo,
    /// The pinned key does not authenticate the server.
    #[error(
        "whatsapp.server_key is not a usable key: anyone can compute the secret of a connection with this key; \
         set the key that the simulator prints"
    )]
    WeakKey,
    /// The build cannot distinguish WhatsApp from an attacker in the middle.
    #[error(
        "this build has WhatsApp's certificate check compiled out (it was built together with test \
         crates), so it dials this machine only and refuses {0}; build with `cargo build -p waviro`"
    )]
    ChecksCompiledOut(String),
}

/// Returns true if this build refuses a server without a certificate chain signed by WhatsApp.
///
/// A cargo feature of the client library switches the check off, feature unification can enable the
/// feature, and `cfg` cannot see a feature of a dependency. Therefore the function tests the code
/// with a forged chain.
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

/// Checks the endpoint against the rules in the documentation of [`super`].
///
/// # Errors
/// The first broken rule.
pub fn check_endpoint(
    url: &Url,
    server_key: Option<&[u8; 32]>,
    checks: bool,
) -> Result<(), EndpointError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::UserInfo);
    }
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
    match (is_whatsapp(host), server_key) {
        (true, Some(_)) => Err(EndpointError::PinnedWhatsApp(shown)),
        (false, None) => Err(EndpointError::Unpinned(shown)),
        (false, Some(key)) if is_weak(key) => Err(EndpointError::WeakKey),
        _ => Ok(()),
    }
}

/// Returns true if a Curve25519 public key has low order: zero and eleven other values (RFC 7748,
/// 6.1). The secret shared with such a key is always zero, so the key authenticates no server. A
/// clamped scalar is a multiple of the cofactor, and multiplies exactly these points to zero.
fn is_weak(key: &[u8; 32]) -> bool {
    MontgomeryPoint(*key).mul_clamped([1; 32]).0 == [0; 32]
}

/// Returns true for WhatsApp's own domains. To DNS, a name with a final dot is the same host, and
/// case does not matter.
pub(super) fn is_whatsapp(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["whatsapp.net", "whatsapp.com"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")))
}

/// Returns true for a loopback address and for `localhost` (RFC 6761 keeps the name on this
/// machine).
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
        let key = pinned.then_some([9; 32]);
        check_endpoint(&Url::parse(url).unwrap(), key.as_ref(), checks)
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
    fn whatsapp_is_never_pinned_however_its_name_is_written() {
        for host in [
            "web.whatsapp.com.",
            "web.whatsapp.com..",
            "WEB.WhatsApp.COM",
            "Web.WhatsApp.Com.",
            "web.whatsapp.com:443",
            "web.whatsapp.com.:8443",
            "web.whatsapp.com%2e",
            "web\u{3002}whatsapp\u{ff0e}com",
            "web.whats\u{ad}app.com",
            "whatsapp.com.",
            "g.whatsapp.net.",
        ] {
            let url = format!("wss://{host}/ws/chat");
            let refused = verdict(&url, true, true);
            assert!(
                matches!(refused, Err(EndpointError::PinnedWhatsApp(_))),
                "{url} {refused:?}"
            );
        }
        for url in [
            "wss://me@web.whatsapp.com/ws/chat",
            "wss://me:secret@web.whatsapp.com./ws/chat",
            "wss://web.whatsapp.com@127.0.0.1:4000/ws/chat",
            "wss://:secret@127.0.0.1:4000/ws/chat",
        ] {
            assert_eq!(
                verdict(url, true, true),
                Err(EndpointError::UserInfo),
                "{url}"
            );
            assert_eq!(
                verdict(url, false, true),
                Err(EndpointError::UserInfo),
                "{url}"
            );
        }
        // A name that only contains WhatsApp's name belongs to another server.
        for host in [
            "web.whatsapp.com.example",
            "xwhatsapp.net",
            "whatsapp.com.evil.example",
        ] {
            assert_eq!(
                verdict(&format!("wss://{host}/ws/chat"), true, true),
                Ok(()),
                "{host}"
            );
        }
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        // The points of low order from cr.yp.to/ecdh.html, little-endian: 0, 1, two of order 8,
        // p-1, p, p+1.
        let low = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let url = Url::parse("ws://127.0.0.1:4000/ws/chat").unwrap();
        for text in low {
            let mut key: [u8; 32] = hex::decode(text).unwrap().try_into().unwrap();
            assert_eq!(
                check_endpoint(&url, Some(&key), true),
                Err(EndpointError::WeakKey),
                "{text}"
            );
            // X25519 ignores the highest bit.
            key[31] |= 0x80;
            assert_eq!(
                check_endpoint(&url, Some(&key), true),
                Err(EndpointError::WeakKey),
                "{text} with its highest bit"
            );
        }
        for key in [[9; 32], [7; 32], [1; 32]] {
            assert_eq!(check_endpoint(&url, Some(&key), true), Ok(()));
        }
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
