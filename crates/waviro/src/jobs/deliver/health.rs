//! How endpoints fare: since when one fails, when it is switched off, and that it works again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::clock::{Clock, Millis, millis};
use crate::store::Trouble;

/// An endpoint that only fails for so long is switched off: five days, a long weekend and the days around it.
pub const OFF_AFTER: Duration = Duration::from_hours(120);

/// Endpoints and bots of which it is known that the last request failed. All are forgotten when there are more: each costs one
/// more failed request then.
const FAILING_KNOWN: usize = 10_000;

/// The endpoints in trouble.
pub(super) struct Health {
    /// Those that work are not here.
    troubles: HashMap<String, Known>,
    /// Switched off, and that is not in the database yet.
    unwritten: HashSet<String>,
    /// Endpoints and bots whose last request there failed. A host may serve one bot and fail another.
    failing: HashSet<(String, i32)>,
}

/// An endpoint's trouble, and since when it fails in steady time: a clock that is put forward must switch nothing off.
struct Known {
    trouble: Trouble,
    since: Millis,
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It fails, or is switched off now.
    Fails(Trouble),
    /// It works again.
    Works {
        /// Scheme, host and port.
        lane: String,
        /// How long it had failed.
        after: Millis,
    },
}

impl Change {
    /// Scheme, host and port of the endpoint.
    pub(super) fn lane(&self) -> &str {
        match self {
            Self::Fails(trouble) => &trouble.lane,
            Self::Works { lane, .. } => lane,
        }
    }
}

impl Health {
    pub(super) fn new(troubles: Vec<Trouble>, clock: &Clock) -> Self {
        let now = clock.steady();
        let known = |trouble: Trouble| Known {
            // Later than now: the machine's clock was put back.
            since: trouble.failing_since.min(now),
            trouble,
        };
        let troubles = troubles
            .into_iter()
            .map(|trouble| (trouble.lane.clone(), known(trouble)));
        Self {
            troubles: troubles.collect(),
            unwritten: HashSet::new(),
            failing: HashSet::new(),
        }
    }

    pub(super) fn is_off(&self, lane: &str) -> bool {
        self.troubles
            .get(lane)
            .is_some_and(|known| known.trouble.off_at.is_some())
    }

    /// Whether the bot's last request to this endpoint failed.
    pub(super) fn fails(&self, lane: &str, bot: i32) -> bool {
        // Usually nothing fails, and the key of a look-up is a copy of the name.
        !self.failing.is_empty() && self.failing.contains(&(lane.to_owned(), bot))
    }

    /// The endpoints and bots of which this is so.
    pub(super) fn failing(&self) -> &HashSet<(String, i32)> {
        &self.failing
    }

    /// Takes in how a bot's attempt went; what changes by it for the endpoint.
    pub(super) fn fared(
        &mut self,
        (lane, bot): (&str, i32),
        fared: Result<(), String>,
        clock: &Clock,
    ) -> Option<Change> {
        let (now, steady) = (clock.now(), clock.steady());
        if fared.is_ok() {
            if !self.failing.is_empty() {
                self.failing.remove(&(lane.to_owned(), bot));
            }
        } else {
            if self.failing.len() >= FAILING_KNOWN {
                self.failing.clear();
            }
            self.failing.insert((lane.to_owned(), bot));
        }
        match (fared, self.troubles.get_mut(lane)) {
            (Ok(()), None) => None,
            (Ok(()), Some(known)) => {
                let after = steady - known.since;
                self.troubles.remove(lane);
                let lane = lane.to_owned();
                Some(Change::Works { lane, after })
            }
            (Err(last_error), None) => {
                let trouble = Trouble {
                    lane: lane.to_owned(),
                    failing_since: now,
                    last_error,
                    off_at: None,
                };
                let known = Known {
                    trouble: trouble.clone(),
                    since: steady,
                };
                self.troubles.insert(lane.to_owned(), known);
                Some(Change::Fails(trouble))
            }
            (Err(last_error), Some(Known { trouble, since })) => {
                trouble.last_error = last_error;
                let over = steady - *since >= millis(OFF_AFTER);
                if trouble.off_at.is_some() || !over {
                    return None;
                }
                trouble.off_at = Some(now);
                self.unwritten.insert(lane.to_owned());
                Some(Change::Fails(trouble.clone()))
            }
        }
    }

    /// The last change of this endpoint is in the database.
    pub(super) fn written(&mut self, lane: &str) {
        self.unwritten.remove(lane);
    }

    /// Those that are switched off, also in the database.
    pub(super) fn off(&self) -> HashSet<String> {
        let off = |lane: &&String| self.is_off(lane) && !self.unwritten.contains(*lane);
        self.troubles.keys().filter(off).cloned().collect()
    }

    /// Somebody has switched these on again.
    pub(super) fn switched_on(&mut self, lanes: &HashSet<String>) {
        self.troubles.retain(|lane, _| !lanes.contains(lane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn failed() -> Result<(), String> {
        Err("status 500".to_owned())
    }

    fn at(hours: Millis) -> Clock {
        Clock::manual(hours * HOUR)
    }

    #[test]
    fn an_endpoint_that_only_fails_for_120_hours_is_switched_off_once() {
        let mut health = Health::new(Vec::new(), &at(0));
        assert!(matches!(
            health.fared(("a", 1), failed(), &at(0)),
            Some(Change::Fails(_))
        ));
        assert_eq!(health.fared(("a", 1), failed(), &at(119)), None);
        assert!(!health.is_off("a"));
        let off = health.fared(("a", 1), failed(), &at(120));
        assert!(
            matches!(&off, Some(Change::Fails(trouble)) if trouble.off_at == Some(120 * HOUR)),
            "{off:?}"
        );
        assert!(health.is_off("a") && !health.is_off("b"));
        assert_eq!(health.fared(("a", 1), failed(), &at(121)), None);
    }

    #[test]
    fn an_endpoint_may_fail_one_bot_and_serve_another() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.fared(("a", 1), failed(), &at(0));
        health.fared(("a", 2), Ok(()), &at(0));
        assert!(health.fails("a", 1) && !health.fails("a", 2) && !health.fails("b", 1));
        health.fared(("a", 1), Ok(()), &at(1));
        assert!(!health.fails("a", 1));
    }

    #[test]
    fn one_success_forgets_all_failures() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.fared(("a", 1), failed(), &at(0));
        let works = Change::Works {
            lane: "a".to_owned(),
            after: 100 * HOUR,
        };
        assert_eq!(health.fared(("a", 1), Ok(()), &at(100)), Some(works));
        assert_eq!(health.fared(("a", 1), Ok(()), &at(100)), None);
        health.fared(("a", 1), failed(), &at(100));
        health.fared(("a", 1), failed(), &at(130));
        assert!(!health.is_off("a"));
    }

    #[test]
    fn an_endpoint_that_somebody_switched_on_is_called_again() {
        let off = Trouble {
            lane: "a".to_owned(),
            failing_since: 0,
            last_error: String::new(),
            off_at: Some(1),
        };
        let mut health = Health::new(vec![off], &at(0));
        assert!(health.off().contains("a"));
        health.switched_on(&HashSet::from(["b".to_owned()]));
        assert!(health.is_off("a"));
        health.switched_on(&HashSet::from(["a".to_owned()]));
        assert!(!health.is_off("a"));
    }

    #[test]
    fn an_endpoint_just_switched_off_is_not_missed_in_what_was_read_before_it_was_written() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.fared(("a", 1), failed(), &at(0));
        health.fared(("a", 1), failed(), &at(120));
        assert!(health.is_off("a") && health.off().is_empty());
        health.written("a");
        assert!(health.off().contains("a"));
    }

    #[test]
    fn a_clock_that_is_put_forward_switches_nothing_off() {
        let (mut health, clock) = (Health::new(Vec::new(), &at(0)), Clock::manual(0));
        health.fared(("a", 1), failed(), &clock);
        clock.put_forward(2 * OFF_AFTER);
        assert_eq!(health.fared(("a", 1), failed(), &clock), None);
        clock.advance(OFF_AFTER);
        assert!(health.fared(("a", 1), failed(), &clock).is_some() && health.is_off("a"));
    }
}
