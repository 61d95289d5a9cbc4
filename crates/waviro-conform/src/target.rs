//! The host to test, and the reasons why the suite cannot start.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

/// The host to test, with the recipients of its messages.
#[derive(Debug, Clone)]
pub struct Target {
    /// The part of the URL before `/api/…`.
    pub url: Url,
    /// The SecretKey of a linked bot.
    pub key: String,
    /// A number on WhatsApp that receives the messages: country code first, digits only.
    pub to: String,
    /// A group with the bot as a member, as listed by `/api/groups`.
    pub group: String,
    /// The SecretKey of an unlinked bot. Without this key, the answers for an unlinked bot are not
    /// checked.
    pub unlinked_key: Option<String>,
    /// A well-formed number without WhatsApp.
    pub nobody: String,
    /// The address on which the suite receives callbacks and serves files.
    pub listen: SocketAddr,
    /// The URL of the suite's listener as seen by the host. Without this URL, only a host on this
    /// machine can reach the listener.
    pub public_url: Option<Url>,
    /// The minimum time between two messages.
    pub pace: Duration,
    /// The timeout of a callback. A host repeats a failed callback after some seconds at the
    /// earliest.
    pub patience: Duration,
    /// Runs only checks with one of these prefixes in their names; an empty list runs all checks.
    pub only: Vec<String>,
}

/// The reason why the suite could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener could not be bound.
    #[error("cannot listen on {0}: {1}; choose another address with --listen")]
    Listen(SocketAddr, std::io::Error),
    /// The HTTP client could not be created.
    #[error("no HTTP client: {0}")]
    Client(reqwest::Error),
    /// The host did not answer, or the answer names no linked bot.
    #[error("{0}; the suite needs a host that answers and the SecretKey of a linked bot")]
    NotReady(String),
    /// A number or group id is malformed.
    #[error("{0} must be {1}")]
    Target(&'static str, &'static str),
    /// No check has a name that begins with an entry of `only`.
    #[error("no check's name begins with {0}; --list shows all names")]
    Nothing(String),
}

impl Target {
    /// Checks the form of the target, so that a typing error is not reported as an error of the
    /// host.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let number = |text: &str| {
            (7..=15).contains(&text.len())
                && !text.starts_with('0')
                && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let of_an_id = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        let form = "a number with its country code, 7 to 15 digits and nothing else";
        if !number(&self.to) {
            return Err(StartError::Target("--to", form));
        }
        if !number(&self.nobody) {
            return Err(StartError::Target("--nobody", form));
        }
        let group = self.group.trim_end_matches("@g.us");
        if group.is_empty() || !group.bytes().all(of_an_id) {
            return Err(StartError::Target(
                "--group",
                "a group id in the form that /api/groups shows",
            ));
        }
        Ok(())
    }

    /// Returns whether the host's address is on this machine.
    #[must_use]
    pub fn is_near(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}
