//! A conformance suite for the WAVIRO API: it asks a host what the API's document promises, in every form that the document
//! shows, and says where the host differs.
//!
//! The suite knows nothing of the gateway beside it. It speaks HTTP only, so it judges any host that claims this API; and it holds no sentence,
//! code or parser of the gateway's own, so it cannot share a mistake with it. Files for `mediaurl` and callbacks to `notifyurl` are
//! served by the suite itself, where the host can reach it.
//!
//! It sends real messages, to one person and one group, in the document's order.

mod answer;
mod checks;
mod ear;
mod host;
mod report;
mod run;

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

pub use report::{Outcome, Report, Tried};
pub use run::{Sent, What};

use ear::Ear;
use host::Host;
use run::Run;

/// The host that is judged, and whom it may write to.
#[derive(Debug, Clone)]
pub struct Target {
    /// What stands before `/api/…`.
    pub url: Url,
    /// The SecretKey of a linked bot.
    pub key: String,
    /// A number on WhatsApp that gets the messages, country code first, digits only.
    pub to: String,
    /// A group that the bot is in, as `/api/groups` shows it.
    pub group: String,
    /// The SecretKey of a bot that is not linked; without one, what such a bot answers is not checked.
    pub unlinked_key: Option<String>,
    /// A number in the right form that is not on WhatsApp.
    pub nobody: String,
    /// Where the suite listens for callbacks and serves files.
    pub listen: SocketAddr,
    /// How the host reaches that; without one, only a host on this machine can.
    pub public_url: Option<Url>,
    /// The least time between two messages.
    pub pace: Duration,
    /// How long a callback may take. One that failed is told again after some seconds at the earliest.
    pub patience: Duration,
    /// Only checks whose name begins with one of these; all where it is empty.
    pub only: Vec<String>,
}

/// One promise.
#[derive(Clone, Copy)]
pub struct Check {
    /// The part of the API and the promise, such as `text.sample`.
    pub name: &'static str,
    /// Who promises it.
    pub origin: Origin,
    /// What is promised, in words.
    pub says: &'static str,
    run: checks::Test,
}

/// Who promises what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The API's document says so, or one of its samples does it.
    Document,
    /// The document leaves it open, and Waviro decided (`docs/quirks.md`).
    Waviro,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The suite's own listener.
    #[error("cannot listen on {0}: {1}; choose another address with --listen")]
    Listen(SocketAddr, std::io::Error),
    /// The HTTP client.
    #[error("no HTTP client: {0}")]
    Client(reqwest::Error),
    /// No answer, or none that says whose bot this is.
    #[error("{0}; the suite needs a host that answers and a SecretKey of a bot that is linked")]
    NotReady(String),
    /// A number or group that is in no form of one.
    #[error("{0} must be {1}")]
    Target(&'static str, &'static str),
    /// `only` names nothing.
    #[error("no check's name begins with {0}; --list shows all names")]
    Nothing(String),
}

impl Target {
    /// Whether it could be right, so that a slip of the operator is not taken for one of the host.
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
                "a group's id as /api/groups shows it",
            ));
        }
        Ok(())
    }

    /// Whether the host is on this machine, by its address.
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

/// All checks, in the order in which they run.
#[must_use]
pub fn checks() -> Vec<Check> {
    checks::all()
}

/// Runs the checks one after the other. `told` hears of each as it ends.
///
/// # Errors
/// Where there is nothing to judge: no host, no linked bot, no address to listen on.
pub async fn run(target: &Target, mut told: impl FnMut(&Tried)) -> Result<Report, StartError> {
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
    let (ear, listening) = Ear::open(target)
        .await
        .map_err(|error| StartError::Listen(target.listen, error))?;
    let began = tokio::time::Instant::now();
    let asking = async {
        let run = Run::new(target, host, ear).await?;
        let mut tried = Vec::with_capacity(chosen.len());
        for check in chosen {
            let began = tokio::time::Instant::now();
            let outcome = (check.run)(&run)
                .await
                .map_or_else(Outcome::from, |()| Outcome::Passed);
            let one = Tried {
                check,
                outcome,
                took: began.elapsed(),
            };
            told(&one);
            tried.push(one);
        }
        Ok(Report {
            url: target.url.clone(),
            tried,
            sent: run.sent(),
            took: began.elapsed(),
        })
    };
    // Both in one task: the listener ends with the checks.
    tokio::select! {
        report = asking => report,
        gone = listening => Err(StartError::Listen(target.listen, gone.err().unwrap_or_else(|| std::io::ErrorKind::Other.into()))),
    }
}
