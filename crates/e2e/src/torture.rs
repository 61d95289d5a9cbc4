//! A rig that tries to break what is promised: load of every kind, faults at moments that a seed chooses, and the oracle over what
//! phones, receiver and load saw.
//!
//! The seed fixes the plan: what is sent to whom and when, and which fault comes when. What the machine makes of it differs from run to
//! run, so a seed that failed is tried several times.

mod chores;
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
use chores::Chores;
use log::Log;
use stage::Stage;

/// How long the queues may take to empty after the last fault. A call that has failed three times waits for two minutes.
const SETTLES_WITHIN: Duration = Duration::from_secs(200);

/// What to do to the gateway.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What chance is made of.
    pub seed: u64,
    /// Faults, one after the other.
    pub faults: usize,
    /// Which of them may come.
    pub kinds: Vec<Fault>,
    /// The longest that faults are done for; the run ends with the first of both.
    pub within: Duration,
    /// Requests a second, over all bots.
    pub rate: u32,
    /// Whether the server drops a message whose id it had, as WhatsApp may or may not.
    pub dedupe: bool,
    /// Moments to end the gateway at, once each, before the faults.
    pub moments: Vec<String>,
    /// A bug of the gateway, to see whether it is found.
    pub bug: Option<String>,
    /// Whether the groups' members have the bots' keys before the first fault. A group's first message that is lost is an open finding of
    /// `docs/reliability.md`.
    pub greeted: bool,
    /// How long the queues may take to empty after the last fault.
    pub settles_within: Duration,
    /// More in the gateway's environment.
    pub environment: Vec<(&'static str, String)>,
    /// Whether a line says each few seconds how it goes.
    pub progress: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The plan's.
    pub seed: u64,
    /// Everything that was seen.
    pub log: Vec<Entry>,
    /// What the oracle says.
    pub violations: Vec<Violation>,
    /// Moments that the gateway never came to.
    pub missed: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// The end of the gateway's own log.
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

/// Carries the plan out.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let log = Log::begin();
    let mut stage = Stage::set(plan, &log).await;
    let load = load::Load::start(&stage, &mut chance, plan.rate, plan.greeted, &log).await;
    let chores = Chores {
        admin: stage.admin.clone(),
        book: load.book(),
        sim: Arc::clone(&stage.sim),
        ear: stage.receiver.ear().clone(),
        spare: stage.spare.clone(),
        log: log.clone(),
        next: AtomicU64::new(0),
    };
    let missed = moments::end_at_each(plan, &mut stage, &chores, &mut chance, &log).await;
    let mut done = 0;
    while done < plan.faults && began.elapsed() < plan.within {
        let fault = Fault::any(&plan.kinds, &mut chance);
        fault.strike(&mut stage, &mut chance, &log).await;
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

/// Every kind of fault but those after which something waits for minutes.
#[must_use]
pub fn all_faults() -> Vec<Fault> {
    let all = faults::ALL.map(|(_, fault)| fault).into_iter();
    all.filter(|fault| !fault.is_slow()).collect()
}

/// How much of what was seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Messages asked for.
    pub asked: usize,
    /// Answered with 200.
    pub accepted: usize,
    /// Refused.
    pub refused: usize,
    /// Whose connection ended first.
    pub unanswered: usize,
    /// Frames on the wire.
    pub framed: usize,
    /// Of these, those that were on the wire before.
    pub repeated: usize,
    /// Callbacks taken.
    pub told: usize,
    /// Questions of customers.
    pub questions: usize,
    /// Faults.
    pub faults: usize,
    /// The longest that a request waited for its answer or the end of its connection, milliseconds.
    pub slowest: u64,
}

impl Counts {
    /// Of a log.
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
                Seen::Asked { request, .. } => drop(asked.insert(*request, entry.at)),
                _ => {}
            }
            match &entry.seen {
                Seen::Asked { .. } => counts.asked += 1,
                Seen::Accepted { .. } => counts.accepted += 1,
                Seen::Refused { .. } => counts.refused += 1,
                Seen::Unanswered { .. } => counts.unanswered += 1,
                Seen::Framed { id } => {
                    counts.framed += 1;
                    counts.repeated += usize::from(!framed.insert(id));
                }
                Seen::Told { .. } => counts.told += 1,
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
            self.told,
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
