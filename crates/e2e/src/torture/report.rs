//! The result of a torture run, with counts over the observations.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use crate::oracle::{Entry, Seen, Violation, shortest};

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
