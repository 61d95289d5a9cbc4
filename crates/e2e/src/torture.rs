//! Torture runs, which try to break the gateway's promises. A run combines load of every kind with
//! faults at random moments; afterwards the oracle judges the observations of phones, receivers and
//! load.
//!
//! The seed fixes the plan: the messages with their times and recipients, and the order of the
//! faults. Timing on the machine still differs between runs, so a failed seed is run several times.

mod actions;
mod faults;
mod load;
mod log;
mod moments;
mod receiver;
mod stage;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

pub use faults::Fault;

use crate::oracle::{Entry, Seen, Violation, judge, shortest};
use actions::Actions;
use log::Log;
use stage::Stage;

/// The time limit for emptying the queues after the last fault. A call that failed three times
/// waits two minutes for its next attempt.
const SETTLES_WITHIN: Duration = Duration::from_secs(200);

/// The plan of one run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of the random number generator.
    pub seed: u64,
    /// The number of faults, injected one after the other.
    pub faults: usize,
    /// The kinds of faults to choose from.
    pub kinds: Vec<Fault>,
    /// The time limit for injecting faults. The run ends at this limit or after the last fault,
    /// whichever comes first.
    pub within: Duration,
    /// Requests per second, over all bots.
    pub rate: u32,
    /// True if the simulated server drops a message with an id received before. WhatsApp's
    /// behaviour here is unknown.
    pub dedupe: bool,
    /// The moments at which to end the gateway, once each, before the faults.
    pub moments: Vec<String>,
    /// A bug to switch on in the gateway, to check that the oracle finds the bug.
    pub bug: Option<String>,
    /// True if the group members receive the bots' sender keys before the first fault. The loss of
    /// a group's first message is an open finding of `docs/reliability.md`.
    pub greeted: bool,
    /// The time limit for emptying the queues after the last fault.
    pub settles_within: Duration,
    /// Additional environment variables of the gateway.
    pub environment: Vec<(&'static str, String)>,
    /// Prints a progress line every few seconds.
    pub progress: bool,
}

/// The result of one run.
#[derive(Debug)]
pub struct Report {
    /// The seed of the plan.
    pub seed: u64,
    /// All observations.
    pub log: Vec<Entry>,
    /// The violations found by the oracle.
    pub violations: Vec<Violation>,
    /// The moments that the gateway never reached.
    pub missed: Vec<String>,
    /// The duration of the run.
    pub took: Duration,
    /// The last lines of the gateway's own log.
    pub gateway: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            faults: 30,
            kinds: vec![Fault::Kill],
            within: Duration::from_mins(5),
            rate: 40,
            dedupe: true,
            moments: Vec::new(),
            bug: None,
            greeted: true,
            settles_within: SETTLES_WITHIN,
            environment: Vec::new(),
            progress: false,
        }
    }
}

/// Executes the plan.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let log = Log::begin();
    let mut stage = Stage::set(plan, &log).await;
    let load = load::Load::start(&stage, &mut chance, plan.rate, plan.greeted, &log).await;
    let actions = Actions {
        admin: stage.admin.clone(),
        participants: load.participants(),
        sim: Arc::clone(&stage.sim),
        endpoints: stage.receiver.endpoints().clone(),
        log: log.clone(),
        next: AtomicU64::new(0),
    };
    let missed = moments::end_at_each(plan, &mut stage, &actions, &mut chance, &log).await;
    let mut done = 0;
    while done < plan.faults && began.elapsed() < plan.within {
        let fault = Fault::any(&plan.kinds, &mut chance);
        fault.inject(&mut stage, &mut chance, &log).await;
        done += 1;
        if plan.progress && done % 10 == 0 {
            say(&format!(
                "{done} of {} faults, {} s: {}",
                plan.faults,
                began.elapsed().as_secs(),
                Counts::of(&log.entries())
            ));
        }
    }
    load.stop().await;
    log.see(Seen::Fault {
        what: "no more".to_owned(),
    });
    stage.settle(plan.settles_within, &log).await;
    stage.read_phones(&log).await;
    let gateway = stage.gateway.log();
    let lines: Vec<&str> = gateway.lines().rev().take(40).collect();
    let gateway = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    let log = log.entries();
    Report {
        seed: plan.seed,
        violations: judge(&log),
        missed,
        log,
        took: began.elapsed(),
        gateway,
    }
}

#[expect(clippy::print_stderr, reason = "long work shows progress")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// Returns every kind of fault except the slow ones, after which a delivery waits for minutes.
#[must_use]
pub fn all_faults() -> Vec<Fault> {
    let all = faults::ALL.map(|(_, fault)| fault).into_iter();
    all.filter(|fault| !fault.is_slow()).collect()
}

/// Counts over the observations of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Requested messages.
    pub asked: usize,
    /// Requests answered with 200.
    pub accepted: usize,
    /// Refused requests.
    pub refused: usize,
    /// Requests whose connection ended before the answer.
    pub unanswered: usize,
    /// Message stanzas on the wire.
    pub framed: usize,
    /// Message stanzas that were resent.
    pub repeated: usize,
    /// Callbacks answered with a 2xx.
    pub callbacks: usize,
    /// Questions from customers.
    pub questions: usize,
    /// Injected faults.
    pub faults: usize,
    /// The longest time in milliseconds from a request to its answer or to the end of its
    /// connection.
    pub slowest: u64,
}

impl Counts {
    /// Counts the entries of a log.
    #[must_use]
    pub fn of(log: &[Entry]) -> Self {
        let mut counts = Self::default();
        let (mut asked, mut framed) = (HashMap::new(), HashSet::new());
        for entry in log {
            match &entry.seen {
                Seen::Accepted { request, .. }
                | Seen::Refused { request, .. }
                | Seen::Unanswered { request } => {
                    let began = asked.get(request).copied().unwrap_or(entry.at);
                    counts.slowest = counts.slowest.max(entry.at - began);
                }
                Seen::Requested { request, .. } => drop(asked.insert(*request, entry.at)),
                _ => {}
            }
            match &entry.seen {
                Seen::Requested { .. } => counts.asked += 1,
                Seen::Accepted { .. } => counts.accepted += 1,
                Seen::Refused { .. } => counts.refused += 1,
                Seen::Unanswered { .. } => counts.unanswered += 1,
                Seen::Framed { id } => {
                    counts.framed += 1;
                    counts.repeated += usize::from(!framed.insert(id));
                }
                Seen::CalledBack { .. } => counts.callbacks += 1,
                Seen::Question { .. } => counts.questions += 1,
                Seen::Fault { .. } => counts.faults += 1,
                _ => {}
            }
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} asked, {} accepted, {} refused, {} unanswered, the slowest after {} ms; {} frames, {} of them again, {} callbacks, {} questions",
            self.asked,
            self.accepted,
            self.refused,
            self.unanswered,
            self.slowest,
            self.framed,
            self.repeated,
            self.callbacks,
            self.questions
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Counts::of(&self.log);
        writeln!(
            f,
            "seed {}, {} faults in {:.0} s: {counts}",
            self.seed,
            counts.faults,
            self.took.as_secs_f64()
        )?;
        if !self.missed.is_empty() {
            writeln!(f, "never came to: {}", self.missed.join(", "))?;
        }
        writeln!(f, "violations: {}", self.violations.len())?;
        for violation in self.violations.iter().take(5) {
            writeln!(f, "\n{violation}")?;
            for entry in shortest(violation, &self.log) {
                writeln!(f, "  {:>7} ms {:?}", entry.at, entry.seen)?;
            }
        }
        if !self.violations.is_empty() {
            writeln!(f, "\nthe gateway's last lines:\n{}", self.gateway)?;
        }
        Ok(())
    }
}
