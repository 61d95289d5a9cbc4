//! The health of endpoints: since when an endpoint fails, when the gateway switches an endpoint
//! off, and when an endpoint works again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{AttemptFailure, EndpointFailure};

/// The gateway switches an endpoint off after 120 hours without a success: five days cover a long
/// weekend and the days around it.
pub const OFF_AFTER: Duration = Duration::from_hours(120);

/// The most pairs of endpoint and bot whose last request failed. At the limit the whole set is
/// cleared, at the cost of another failed request for each pair.
const FAILING_KNOWN: usize = 10_000;

/// The health of all failing endpoints.
pub(super) struct Health {
    /// The failing endpoints by name. Working endpoints have no entry.
    endpoint_failures: HashMap<String, FailingEndpoint>,
    /// Endpoints switched off in memory but not yet in the database.
    unwritten: HashSet<String>,
    /// Pairs of endpoint and bot whose last request failed. A host may serve one bot and fail for
    /// another.
    failing: HashSet<(String, i32)>,
}

/// A failing endpoint, and the start of the failure in steady time: putting the machine's clock
/// forward must not switch an endpoint off.
struct FailingEndpoint {
    failure: EndpointFailure,
    since: Millis,
}

/// A change to write to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The endpoint started to fail, or was switched off.
    Fails(EndpointFailure),
    /// The endpoint works again.
    Works {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// How long the endpoint had failed.
        after: Millis,
    },
}

impl Change {
    /// Returns scheme, host and port of the endpoint.
    pub(super) fn endpoint(&self) -> &str {
        match self {
            Self::Fails(failure) => &failure.endpoint,
            Self::Works { endpoint, .. } => endpoint,
        }
    }
}

impl Health {
    pub(super) fn new(endpoint_failures: Vec<EndpointFailure>, clock: &Clock) -> Self {
        let now = clock.steady();
        let known = |failure: EndpointFailure| FailingEndpoint {
            // A start in the future means that the machine's clock was put back.
            since: failure.failing_since.min(now),
            failure,
        };
        let endpoint_failures = endpoint_failures
            .into_iter()
            .map(|failure| (failure.endpoint.clone(), known(failure)));
        Self {
            endpoint_failures: endpoint_failures.collect(),
            unwritten: HashSet::new(),
            failing: HashSet::new(),
        }
    }

    pub(super) fn is_off(&self, endpoint: &str) -> bool {
        self.endpoint_failures
            .get(endpoint)
            .is_some_and(|known| known.failure.off_at.is_some())
    }

    /// Returns true if the bot's last request to this endpoint failed.
    pub(super) fn fails(&self, endpoint: &str, bot: i32) -> bool {
        // The set is usually empty, and a look-up would allocate a copy of the name.
        !self.failing.is_empty() && self.failing.contains(&(endpoint.to_owned(), bot))
    }

    /// Returns the pairs of endpoint and bot whose last request failed.
    pub(super) fn failing(&self) -> &HashSet<(String, i32)> {
        &self.failing
    }

    /// Records the result of a bot's attempt. Returns the change of the endpoint's health, if there
    /// is a change.
    pub(super) fn record(
        &mut self,
        (endpoint, bot): (&str, i32),
        result: Result<(), AttemptFailure>,
        clock: &Clock,
    ) -> Option<Change> {
        let (now, steady) = (clock.now(), clock.steady());
        if result.is_ok() {
            if !self.failing.is_empty() {
                self.failing.remove(&(endpoint.to_owned(), bot));
            }
        } else {
            if self.failing.len() >= FAILING_KNOWN {
                self.failing.clear();
            }
            self.failing.insert((endpoint.to_owned(), bot));
        }
        match (result, self.endpoint_failures.get_mut(endpoint)) {
            (Ok(()), None) => None,
            (Ok(()), Some(known)) => {
                let after = steady - known.since;
                self.endpoint_failures.remove(endpoint);
                let endpoint = endpoint.to_owned();
                Some(Change::Works { endpoint, after })
            }
            (Err(last_error), None) => {
                let failure = EndpointFailure {
                    endpoint: endpoint.to_owned(),
                    failing_since: now,
                    last_error,
                    off_at: None,
                };
                let known = FailingEndpoint {
                    failure: failure.clone(),
                    since: steady,
                };
                self.endpoint_failures.insert(endpoint.to_owned(), known);
                Some(Change::Fails(failure))
            }
            (Err(last_error), Some(FailingEndpoint { failure, since })) => {
                failure.last_error = last_error;
                let over = steady - *since >= millis(OFF_AFTER);
                if failure.off_at.is_some() || !over {
                    return None;
                }
                failure.off_at = Some(now);
                self.unwritten.insert(endpoint.to_owned());
                Some(Change::Fails(failure.clone()))
            }
        }
    }

    /// The last change of this endpoint is in the database.
    pub(super) fn written(&mut self, endpoint: &str) {
        self.unwritten.remove(endpoint);
    }

    /// Returns the endpoints that are switched off both in memory and in the database.
    pub(super) fn off(&self) -> HashSet<String> {
        let off = |endpoint: &&String| self.is_off(endpoint) && !self.unwritten.contains(*endpoint);
        self.endpoint_failures.keys().filter(off).cloned().collect()
    }

    /// A user has switched these endpoints on again.
    pub(super) fn switched_on(&mut self, endpoints: &HashSet<String>) {
        self.endpoint_failures
            .retain(|endpoint, _| !endpoints.contains(endpoint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn failed() -> Result<(), AttemptFailure> {
        Err(AttemptFailure::status(500))
    }

    fn at(hours: Millis) -> Clock {
        Clock::manual(hours * HOUR)
    }

    #[test]
    fn an_endpoint_that_only_fails_for_120_hours_is_switched_off_once() {
        let mut health = Health::new(Vec::new(), &at(0));
        assert!(matches!(
            health.record(("a", 1), failed(), &at(0)),
            Some(Change::Fails(_))
        ));
        assert_eq!(health.record(("a", 1), failed(), &at(119)), None);
        assert!(!health.is_off("a"));
        let off = health.record(("a", 1), failed(), &at(120));
        assert!(
            matches!(&off, Some(Change::Fails(failure)) if failure.off_at == Some(120 * HOUR)),
            "{off:?}"
        );
        assert!(health.is_off("a") && !health.is_off("b"));
        assert_eq!(health.record(("a", 1), failed(), &at(121)), None);
    }

    #[test]
    fn an_endpoint_can_fail_for_one_bot_and_work_for_another() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.record(("a", 1), failed(), &at(0));
        health.record(("a", 2), Ok(()), &at(0));
        assert!(health.fails("a", 1) && !health.fails("a", 2) && !health.fails("b", 1));
        health.record(("a", 1), Ok(()), &at(1));
        assert!(!health.fails("a", 1));
    }

    #[test]
    fn one_success_clears_all_failures() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.record(("a", 1), failed(), &at(0));
        let works = Change::Works {
            endpoint: "a".to_owned(),
            after: 100 * HOUR,
        };
        assert_eq!(health.record(("a", 1), Ok(()), &at(100)), Some(works));
        assert_eq!(health.record(("a", 1), Ok(()), &at(100)), None);
        health.record(("a", 1), failed(), &at(100));
        health.record(("a", 1), failed(), &at(130));
        assert!(!health.is_off("a"));
    }

    #[test]
    fn an_endpoint_switched_on_by_an_operator_is_called_again() {
        let off = EndpointFailure {
            endpoint: "a".to_owned(),
            failing_since: 0,
            last_error: AttemptFailure::status(500),
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
    fn an_endpoint_is_listed_as_off_only_after_its_state_is_stored() {
        let mut health = Health::new(Vec::new(), &at(0));
        health.record(("a", 1), failed(), &at(0));
        health.record(("a", 1), failed(), &at(120));
        assert!(health.is_off("a") && health.off().is_empty());
        health.written("a");
        assert!(health.off().contains("a"));
    }

    #[test]
    fn a_clock_set_forward_switches_no_endpoint_off() {
        let (mut health, clock) = (Health::new(Vec::new(), &at(0)), Clock::manual(0));
        health.record(("a", 1), failed(), &clock);
        clock.put_forward(2 * OFF_AFTER);
        assert_eq!(health.record(("a", 1), failed(), &clock), None);
        clock.advance(OFF_AFTER);
        assert!(health.record(("a", 1), failed(), &clock).is_some() && health.is_off("a"));
    }
}
