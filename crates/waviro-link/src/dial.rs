//! The causes of a failed dial to WhatsApp, as one type for logs, health, the dashboard, the API
//! and `waviro doctor`.

use std::fmt;

/// The steps of a dial, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialStep {
    /// Resolving the server's name to addresses.
    Dns,
    /// Opening a TCP connection.
    Tcp,
    /// Checking the server's certificate.
    Tls,
    /// Upgrading the HTTP connection to a WebSocket.
    Upgrade,
    /// Checking the server's identity with the Noise handshake.
    Handshake,
}

impl DialStep {
    /// Every step, in the order of a dial.
    pub const ALL: [Self; 5] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Upgrade,
        Self::Handshake,
    ];

    /// Returns the step's name for texts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Upgrade => "the WebSocket upgrade",
            Self::Handshake => "the Noise handshake",
        }
    }
}

impl fmt::Display for DialStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The cause of a failed dial. The gateway logs a cause when the cause changes, not after each
/// dial; equal failures count as the same cause.
///
/// The `Display` text is for logs, in English. The gateway's own texts say how to fix the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// The name of WhatsApp's server does not resolve. The text comes from the resolver.
    #[error("DNS: {0}")]
    Dns(String),
    /// There is no route to any address of the server.
    #[error("TCP: no route to the server")]
    NoRoute,
    /// The host, or a firewall in its place, refused the TCP connection.
    #[error("TCP: the connection is refused")]
    Refused,
    /// TCP failed in another way. The text comes from the operating system.
    #[error("TCP: {0}")]
    Tcp(String),
    /// No trusted root signed the certificate.
    #[error("TLS: the certificate is signed by an unknown authority")]
    TlsUnknownCa,
    /// The certificate is for another name.
    #[error("TLS: the certificate is for another name")]
    TlsWrongName,
    /// The certificate has expired, by this machine's clock.
    #[error("TLS: the certificate has expired by this machine's clock")]
    TlsExpired,
    /// The certificate is not valid yet, by this machine's clock.
    #[error("TLS: the certificate is not valid yet by this machine's clock")]
    TlsNotYetValid,
    /// TLS failed in another way. The text comes from the TLS library.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server, or a proxy in front of it, answered the upgrade with this HTTP status.
    #[error("WebSocket upgrade: the server answers HTTP {0}")]
    UpgradeStatus(u16),
    /// The answer to the upgrade is not a valid WebSocket answer.
    #[error("WebSocket upgrade: the answer is not a WebSocket response")]
    NotWebSocket,
    /// The server did not prove its identity: it is not WhatsApp, or not the simulator with the
    /// pinned key.
    #[error("Noise handshake: the server's certificate chain or key is not the expected one")]
    ServerKey,
    /// The connection was closed during this step.
    #[error("the connection was closed during {0}")]
    Closed(DialStep),
    /// The server did not answer during this step.
    #[error("no answer during {0}")]
    Silent(DialStep),
}

impl DialFailure {
    /// Returns one failure for each code, for callers with only a code.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        let step = |step: DialStep| [Self::Closed(step), Self::Silent(step)];
        let mut all = vec![
            Self::Dns(String::new()),
            Self::NoRoute,
            Self::Refused,
            Self::Tcp(String::new()),
            Self::TlsUnknownCa,
            Self::TlsWrongName,
            Self::TlsExpired,
            Self::TlsNotYetValid,
            Self::Tls(String::new()),
            Self::NotWebSocket,
            Self::ServerKey,
            Self::Silent(DialStep::Dns),
            Self::Silent(DialStep::Tcp),
        ];
        all.extend([407, 429, 400, 500, 200].map(Self::UpgradeStatus));
        all.extend(
            [DialStep::Tls, DialStep::Upgrade, DialStep::Handshake]
                .map(step)
                .concat(),
        );
        all
    }

    /// Returns the step that failed.
    #[must_use]
    pub fn step(&self) -> DialStep {
        match self {
            Self::Dns(_) => DialStep::Dns,
            Self::NoRoute | Self::Refused | Self::Tcp(_) => DialStep::Tcp,
            Self::TlsUnknownCa
            | Self::TlsWrongName
            | Self::TlsExpired
            | Self::TlsNotYetValid
            | Self::Tls(_) => DialStep::Tls,
            Self::UpgradeStatus(_) | Self::NotWebSocket => DialStep::Upgrade,
            Self::ServerKey => DialStep::Handshake,
            Self::Closed(step) | Self::Silent(step) => *step,
        }
    }

    /// Returns a stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns_failed",
            Self::NoRoute => "no_route",
            Self::Refused => "connection_refused",
            Self::Tcp(_) | Self::Closed(DialStep::Dns | DialStep::Tcp) => "tcp_failed",
            Self::TlsUnknownCa => "tls_unknown_ca",
            Self::TlsWrongName => "tls_wrong_name",
            Self::TlsExpired => "tls_expired",
            Self::TlsNotYetValid => "tls_not_yet_valid",
            Self::Tls(_) => "tls_failed",
            Self::UpgradeStatus(407) => "upgrade_proxy_login",
            Self::UpgradeStatus(429) => "upgrade_too_many",
            Self::UpgradeStatus(400..=499) => "upgrade_refused",
            Self::UpgradeStatus(500..=599) => "upgrade_server_error",
            Self::UpgradeStatus(_) => "upgrade_web_page",
            Self::NotWebSocket => "upgrade_failed",
            Self::ServerKey => "server_key",
            Self::Closed(DialStep::Tls) => "tls_closed",
            Self::Closed(DialStep::Upgrade) => "upgrade_closed",
            Self::Closed(DialStep::Handshake) => "handshake_closed",
            Self::Silent(DialStep::Dns) => "dns_silent",
            Self::Silent(DialStep::Tcp) => "tcp_silent",
            Self::Silent(DialStep::Tls) => "tls_silent",
            Self::Silent(DialStep::Upgrade) => "upgrade_silent",
            Self::Silent(DialStep::Handshake) => "handshake_silent",
        }
    }
}

/// The reason why a linked device is offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfflineCause {
    /// The device was just opened.
    Starting,
    /// The connection ended. The text comes from the connection, in English.
    Ended(String),
    /// WhatsApp refused the login for a reason that may pass. The text is for logs, in English.
    LoginRefused(String),
    /// WhatsApp cannot be reached.
    Unreachable(DialFailure),
}

impl OfflineCause {
    /// Returns the failed dial, if the cause is a failed dial.
    #[must_use]
    pub fn failure(&self) -> Option<&DialFailure> {
        match self {
            Self::Unreachable(failure) => Some(failure),
            Self::Starting | Self::Ended(_) | Self::LoginRefused(_) => None,
        }
    }
}

impl fmt::Display for OfflineCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ended(reason) | Self::LoginRefused(reason) => f.write_str(reason),
            Self::Unreachable(failure) => failure.fmt(f),
        }
    }
}

impl From<DialFailure> for OfflineCause {
    fn from(failure: DialFailure) -> Self {
        Self::Unreachable(failure)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_samples_have_each_code_once_and_each_status() {
        let samples = DialFailure::samples();
        let codes: BTreeSet<_> = samples.iter().map(DialFailure::code).collect();
        assert_eq!(codes.len(), samples.len());
        for status in 0..=u16::MAX {
            assert!(codes.contains(DialFailure::UpgradeStatus(status).code()));
        }
        for step in DialStep::ALL {
            assert!(codes.contains(DialFailure::Closed(step).code()), "{step}");
            assert!(codes.contains(DialFailure::Silent(step).code()), "{step}");
            assert!(
                samples.iter().any(|failure| failure.step() == step),
                "{step}"
            );
        }
    }
}
