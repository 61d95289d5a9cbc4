//! The plan of a torture run.

use std::time::Duration;

use super::faults::Fault;

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

impl Plan {
    /// Prints a line if the plan asks for progress.
    #[expect(clippy::print_stderr, reason = "long work shows progress")]
    pub(super) fn print_progress(&self, line: &str) {
        if self.progress {
            eprintln!("{line}");
        }
    }
}
