//! The trusted root certificates: compiled-in roots, the system's roots, and the operator's file.
//!
//! The compiled-in roots are for machines without root certificates. The system's roots are for
//! companies with a firewall that intercepts TLS with an own root. `whatsapp.ca_file` is for a
//! simulator, and for operators without control of the system.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::LinkError;

/// Returns the TLS configuration for the sockets and for HTTP. The process has one configuration,
/// so that TLS sessions can be resumed.
///
/// # Errors
/// [`LinkError::Refused`] with a text about `ca_file`.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, LinkError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LinkError::Failed(format!("TLS: {error}")))?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some system root certificates could not be read");
    }
    // The system's store may contain certificates that the TLS library cannot read; the others are
    // used.
    let (added, ignored) = roots.add_parsable_certificates(system.certs);
    tracing::debug!(added, ignored, "system root certificates loaded");
    if let Some(path) = ca_file {
        let added = add(&mut roots, path);
        added.map_err(|reason| {
            let shown = path.display();
            LinkError::Refused(format!(
                "whatsapp.ca_file: {shown} {reason}; name a PEM file with the certificate of the authority that signs the server's"
            ))
        })?;
    }
    Ok(roots)
}

/// Adds the certificates of the operator's file. Unlike the system's store, the file must be fully
/// valid, because the operator wrote the file for the gateway.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot be read ({error})"))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| format!("is not a PEM file ({error})"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("contains an invalid certificate ({error})"))?;
        count += 1;
    }
    if count == 0 {
        return Err("contains no certificate".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let refused = |what: &str| {
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(error.contains("whatsapp.ca_file") && error.contains("name a PEM file"));
        };
        refused("cannot be read");
        for (text, what) in [
            ("", "contains no certificate"),
            ("halo", "contains no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\naGFsbw==\n-----END CERTIFICATE-----\n",
                "contains an invalid certificate",
            ),
            (
                "-----BEGIN CERTIFICATE-----\naGFsbw==\n",
                "is not a PEM file",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            refused(what);
        }
    }

    #[test]
    fn the_compiled_in_roots_serve_beside_the_systems() {
        let roots = roots(None).unwrap();
        assert!(roots.len() >= webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
