//! TLS on the simulator's port: an own certificate authority, a valid certificate, and invalid
//! certificates for tests.
//!
//! All keys and certificates are derived from the seed, so a client that trusts the authority can
//! connect again after a restart. Do not trust the authority outside of tests: anyone with the seed
//! has its private key.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::seed::Seed;

/// The certificate of the server for TLS connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// Signed by the simulator's authority, for every name of the server.
    #[default]
    Valid,
    /// The valid names, signed by an unknown authority.
    UnknownCa,
    /// For `elsewhere.example`.
    WrongName,
    /// Expired in 2021.
    Expired,
    /// Valid from 2100.
    NotYetValid,
}

const ALL: [Certificate; 5] = [
    Certificate::Valid,
    Certificate::UnknownCa,
    Certificate::WrongName,
    Certificate::Expired,
    Certificate::NotYetValid,
];

/// The authority and the TLS acceptors of the port.
pub(crate) struct Tls {
    authority: String,
    acceptors: BTreeMap<Certificate, TlsAcceptor>,
}

impl Tls {
    /// Creates authorities and certificates from the seed. `names` are names of the server besides
    /// those of this machine.
    pub(crate) fn new(seed: Seed, listen: IpAddr, names: &[String]) -> Result<Self, rcgen::Error> {
        let known = Authority::new(seed, "wa-sim authority")?;
        let unknown = Authority::new(seed, "another authority")?;
        let mut here = vec!["localhost".to_owned()];
        let local = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ];
        here.extend(local.map(|address| address.to_string()));
        if !listen.is_unspecified() && !local.contains(&listen) {
            here.push(listen.to_string());
        }
        here.extend(names.iter().cloned());
        let elsewhere = vec!["elsewhere.example".to_owned()];
        let key = key(seed, "server certificate")?;
        let mut acceptors = BTreeMap::new();
        for certificate in ALL {
            let authority = match certificate {
                Certificate::UnknownCa => &unknown,
                _ => &known,
            };
            let names = match certificate {
                Certificate::WrongName => &elsewhere,
                _ => &here,
            };
            // A long validity, like that of the Noise certificates, because tests move the clock.
            let (from, to) = match certificate {
                Certificate::Expired => (2020, 2021),
                Certificate::NotYetValid => (2100, 2110),
                _ => (2023, 2093),
            };
            let mut params = CertificateParams::new(names.clone())?;
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
            params.distinguished_name = named("wa-sim");
            params.use_authority_key_identifier_extension = true;
            let signed = params.signed_by(&key, &authority.issuer)?;
            let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| {
                    builder
                        .with_no_client_auth()
                        .with_single_cert(vec![signed.der().clone()], private)
                })
                .map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
            acceptors.insert(certificate, TlsAcceptor::from(Arc::new(config)));
        }
        Ok(Self {
            authority: known.pem,
            acceptors,
        })
    }

    /// The authority's certificate, as PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the acceptor for TLS connections with this certificate.
    pub(crate) fn acceptor(&self, certificate: Certificate) -> Option<TlsAcceptor> {
        self.acceptors.get(&certificate).cloned()
    }
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(seed: Seed, name: &str) -> Result<Self, rcgen::Error> {
        let key = key(seed, name)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.not_before = date_time_ymd(2023, 1, 1);
        params.not_after = date_time_ymd(2093, 1, 1);
        // A unique name for each seed: a client with several authorities in its store must not
        // confuse them.
        let unique = seed.bytes(name);
        let [a, b, c, d, ..] = unique;
        params.distinguished_name = named(&format!("{name} {a:02x}{b:02x}{c:02x}{d:02x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Returns an Ed25519 key derived from the seed. Ed25519 accepts any 32 bytes as private key, and
/// signs without randomness.
fn key(seed: Seed, label: &str) -> Result<KeyPair, rcgen::Error> {
    /// RFC 8410, section 7: the bytes before the 32 bytes of the key in a PKCS #8 file.
    const PKCS8: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let mut der = PKCS8.to_vec();
    der.extend(seed.bytes(label));
    KeyPair::try_from(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_follows_from_the_seed_and_each_certificate_can_be_served() {
        let tls = |seed| Tls::new(Seed(seed), Ipv4Addr::LOCALHOST.into(), &[]).unwrap();
        assert_eq!(tls(1).authority(), tls(1).authority());
        assert_ne!(tls(1).authority(), tls(2).authority());
        assert!(
            tls(1)
                .authority()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        for certificate in ALL {
            assert!(tls(1).acceptor(certificate).is_some());
        }
        let bad = Tls::new(Seed(1), Ipv4Addr::LOCALHOST.into(), &["ä".to_owned()]);
        assert!(bad.is_err());
    }
}
