//! Restricts the PostgreSQL servers that get the password: servers on this machine, and servers
//! with a verified identity.
//!
//! The default mode of sqlx is `prefer`. In this mode sqlx checks no certificate, and sends the
//! password without encryption if the server, or a machine in between, claims to have no TLS. The
//! gateway's default for a server on another machine is therefore `verify-full`, and a weaker mode
//! is refused unless `database.allow_unverified` permits it. `verify-ca` counts as weaker: sqlx
//! adds `sslrootcert` to the public authorities, and then accepts a certificate of any authority
//! for any name.

use std::net::IpAddr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::error::StoreError;

/// The environment variable for the mode, read by the programs of libpq and by sqlx.
const ENVIRONMENT: &str = "PGSSLMODE";

/// The server to connect to.
#[derive(Debug)]
pub(super) struct Server {
    /// The URL including the mode.
    pub(super) url: Url,
    /// The host whose certificate is verified; `None` for a server used without verification.
    pub(super) verified: Option<String>,
}

/// Chooses the mode of a connection. `environment` looks up a variable.
///
/// # Errors
/// [`StoreError::Failed`] for an unreadable URL, [`StoreError::Unverified`] for a mode that is too
/// weak.
pub(super) fn secured(
    url: &str,
    allow_unverified: bool,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Server, StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
    let mut url: Url = url
        .parse()
        .map_err(|error: url::ParseError| failed(&error))?;
    // Several parameters and variables set the host and the mode, so the options are parsed by sqlx
    // itself.
    let options = PgConnectOptions::from_url(&url).map_err(|error| failed(&error))?;
    if is_here(&options) {
        return Ok(Server {
            url,
            verified: None,
        });
    }
    let host = options.get_host().to_owned();
    let by_url = url
        .query_pairs()
        .any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
    let by_environment = environment(ENVIRONMENT).is_some_and(|mode| !mode.is_empty());
    if !by_url && !by_environment {
        url.query_pairs_mut().append_pair("sslmode", "verify-full");
        return Ok(Server {
            url,
            verified: Some(host),
        });
    }
    let mode = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => {
            return Ok(Server {
                url,
                verified: Some(host),
            });
        }
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
    };
    if allow_unverified {
        return Ok(Server {
            url,
            verified: None,
        });
    }
    let named = if by_url { "sslmode" } else { ENVIRONMENT };
    Err(StoreError::Unverified(format!("{named}={mode}"), host))
}

/// Returns `true` for a Unix socket, a loopback address, or `localhost` (RFC 6761 reserves the name
/// for this machine). Other names are not resolved, because the next answer could be another
/// address.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    if options.get_socket().is_some() || host.starts_with('/') {
        return true;
    }
    let bare = host.trim_matches(['[', ']']);
    let name = bare.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls [`secured`] without a mode in the environment.
    fn plain(url: &str) -> Result<Server, StoreError> {
        secured(url, false, |_| None)
    }

    #[test]
    fn a_server_on_another_machine_must_prove_its_identity() {
        for url in [
            "postgres://me:secret@db.example/waviro",
            "postgresql://me:secret@db.example:6432/waviro",
            "postgres://me:secret@10.0.0.5/waviro",
            "postgres://me:secret@[fd00::5]/waviro",
            "postgres://me:secret@db/waviro?application_name=x",
            "postgres:///waviro?host=db.example&user=me&password=secret",
            "postgres://me:secret@localhost/waviro?host=db.example",
            "postgres://me:secret@127.0.0.1/waviro?hostaddr=10.0.0.5",
            "postgres://me:secret@localhost.example/waviro",
            "postgres://me:secret@127.0.0.1.example/waviro",
        ] {
            let server = plain(url).unwrap();
            let options = PgConnectOptions::from_url(&server.url).unwrap();
            assert!(
                matches!(options.get_ssl_mode(), PgSslMode::VerifyFull),
                "{url}"
            );
            assert!(server.verified.is_some(), "{url}");
        }
        for said in [
            "sslmode=verify-full",
            "ssl-mode=VERIFY-FULL",
            "sslmode=disable&sslmode=verify-full",
        ] {
            let server = plain(&format!("postgres://me:secret@db.example/waviro?{said}"));
            assert!(server.unwrap().verified.is_some(), "{said}");
        }
    }

    #[test]
    fn a_weaker_sslmode_is_refused_for_another_machine_in_every_form() {
        for mode in [
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "PREFER",
        ] {
            for said in [
                format!("sslmode={mode}"),
                format!("ssl-mode={mode}"),
                format!("sslmode={mode}&sslrootcert=/etc/ssl/own.pem"),
                format!("sslmode=verify-full&sslmode={mode}"),
                format!("ssl%6dode={mode}"),
            ] {
                let url = format!("postgres://me:secret@db.example/waviro?{said}");
                let refused = plain(&url).unwrap_err();
                assert!(
                    matches!(refused, StoreError::Unverified(..)),
                    "{said} {refused}"
                );
                let sentence = refused.to_string();
                assert!(sentence.contains("verify-full"), "{sentence}");
                assert!(sentence.contains("database.allow_unverified"), "{sentence}");
                assert!(!sentence.contains("secret"), "{sentence}");
                let permitted = secured(&url, true, |_| None).unwrap();
                assert!(permitted.verified.is_none(), "{said}");
            }
        }
        // sqlx uses the mode of the environment, so the mode is checked as in a URL.
        let url = "postgres://me:secret@db.example/waviro";
        let refused = secured(url, false, |_| Some("require".to_owned())).unwrap_err();
        assert!(refused.to_string().contains("PGSSLMODE="), "{refused}");
        assert!(plain("postgres://db.example/waviro?sslmode=maybe").is_err());
    }

    #[test]
    fn a_server_on_this_machine_is_used_as_its_url_says() {
        for url in [
            "postgres://me:secret@localhost/waviro",
            "postgres://me:secret@LOCALHOST:6432/waviro",
            "postgres://me:secret@127.0.0.1/waviro?sslmode=disable",
            "postgres://me:secret@127.8.9.1/waviro",
            "postgres://me:secret@[::1]:5432/waviro",
            "postgres://me:secret@%2Fvar%2Frun%2Fpostgresql/waviro",
            "postgres:///waviro?host=/var/run/postgresql",
            "postgres://me:secret@localhost/waviro?sslmode=prefer",
        ] {
            let server = plain(url).unwrap();
            assert_eq!(server.url.as_str(), url);
            assert_eq!(server.verified, None, "{url}");
        }
    }
}
