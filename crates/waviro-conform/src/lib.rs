//! A conformance suite for the WAVIRO API. The suite checks a host against the API document, in
//! every form of request in the document, and reports the differences.
//!
//! The suite is independent of the gateway in this repository: it shares no code, texts or parsers
//! with the gateway, and so cannot share a mistake. The suite speaks only HTTP and can test any
//! host with this API. The suite itself serves the files for `mediaurl` and receives the callbacks
//! to `notifyurl`, if the host can reach the suite.
//!
//! The suite sends real messages to one person and one group, in the order of the API document.
#![warn(missing_docs)]

mod answer;
mod callback_server;
mod callbacks;
mod checks;
mod host;
mod report;
mod row;
mod run;
mod template;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

pub use report::{Outcome, Report, Tried};
pub use run::{Sent, What};

use callback_server::CallbackServer;
use host::Host;
use run::Run;

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

/// A check of a promise.
#[derive(Clone, Copy)]
pub struct Check {
    /// The part of the API and the promise, such as `text.sample`.
    pub name: &'static str,
    /// The source of the promise.
    pub origin: Origin,
    /// The promise in words.
    pub says: &'static str,
    rows: &'static [row::Row],
}

/// The source of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The API document or its samples.
    Document,
    /// The API document leaves the point open, and Waviro decided (`docs/quirks.md`).
    Waviro,
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
    fn check(&self) -> Result<(), StartError> {
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

/// Returns all checks in the order of execution.
#[must_use]
pub fn checks() -> Vec<Check> {
    checks::all()
}

/// Runs the checks one after the other and calls `on_check` after each check.
///
/// # Errors
/// If the suite cannot start: no host, no linked bot, or no free address for the listener.
pub async fn run(target: &Target, mut on_check: impl FnMut(&Tried)) -> Result<Report, StartError> {
    target.check()?;
    let nothing = |name: &&String| {
        let named = |check: &Check| check.name.starts_with(name.as_str());
        !checks().iter().any(named)
    };
    if let Some(name) = target.only.iter().find(nothing) {
        return Err(StartError::Nothing(name.clone()));
    }
    let wanted = |check: &Check| {
        target.only.is_empty() || target.only.iter().any(|name| check.name.starts_with(name))
    };
    let chosen: Vec<Check> = checks().into_iter().filter(wanted).collect();
    let host = Host::new(&target.url, &target.key).map_err(StartError::Client)?;
    let (server, listening) = CallbackServer::open(target)
        .await
        .map_err(|error| StartError::Listen(target.listen, error))?;
    let began = tokio::time::Instant::now();
    let asking = async {
        let run = Run::new(target, host, server).await?;
        let mut tried = Vec::with_capacity(chosen.len());
        for check in chosen {
            let began = tokio::time::Instant::now();
            let outcome = row::run(&run, check.name, check.rows)
                .await
                .map_or_else(Outcome::from, |()| Outcome::Passed);
            let one = Tried {
                check,
                outcome,
                took: began.elapsed(),
            };
            on_check(&one);
            tried.push(one);
        }
        Ok(Report {
            url: target.url.clone(),
            tried,
            sent: run.sent(),
            took: began.elapsed(),
        })
    };
    // Both run in one task, so the listener ends with the checks.
    tokio::select! {
        report = asking => report,
        gone = listening => Err(StartError::Listen(target.listen, gone.err().unwrap_or_else(|| std::io::ErrorKind::Other.into()))),
    }
}
