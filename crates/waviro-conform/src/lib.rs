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
mod failure;
mod host;
mod report;
mod row;
mod run;
mod sent;
mod target;
mod template;

pub use checks::{Check, Origin, checks};
pub use report::{Outcome, Report, Tried};
pub use sent::{Sent, What};
pub use target::{StartError, Target};

use callback_server::CallbackServer;
use host::Host;
use run::Run;

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
