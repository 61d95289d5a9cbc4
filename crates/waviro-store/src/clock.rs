//! Time as an argument: only this module reads the machine's clock.
//!
//! Times in the database and between modules are Unix milliseconds ([`Millis`]). Tests use
//! [`Clock::manual`] and advance the clock themselves. `tokio::time::pause` does not work here,
//! because it breaks the timeouts of the database pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tracing::warn;

pub type Millis = i64;

/// The smallest difference between the clocks worth a log line.
const WORTH_A_WORD: Millis = 60_000;

/// Returns the time and waits for a time.
///
/// The machine's clock may be set while the gateway runs, so there are three readings:
/// [`Clock::now`] for stored times, [`Clock::steady`] for waits and timeouts, and [`Clock::wall`]
/// for readers with a clock of their own.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine(Arc<Machine>),
    Manual(Arc<Manual>),
}

/// The start time, the time elapsed since then, and the largest step of the machine's clock
/// forward.
#[derive(Debug)]
struct Machine {
    began: Instant,
    first: Millis,
    stepped: AtomicI64,
    /// The difference between the machine's clock and the steady time at the last log line.
    logged: AtomicI64,
}

#[derive(Debug)]
struct Manual {
    now: AtomicI64,
    stepped: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::beginning(wall())
    }

    fn beginning(first: Millis) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the system clock is read here only"
        )]
        let began = Instant::now();
        Self(Source::Machine(Arc::new(Machine {
            began,
            first,
            stepped: AtomicI64::new(0),
            logged: AtomicI64::new(0),
        })))
    }

    /// Returns a clock that stands still at `now` until [`Clock::advance`].
    #[must_use]
    pub fn manual(now: Millis) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            now: AtomicI64::new(now),
            stepped: AtomicI64::new(0),
            moved: Notify::new(),
        })))
    }

    /// Returns the current time, which never goes backwards. If the machine's clock is put forward,
    /// the time follows. If the clock is put back, the time continues as before until the next
    /// start.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::Machine(machine) => {
                let (steady, stepped) = machine.read();
                steady + stepped
            }
            Source::Manual(manual) => manual.now.load(Ordering::SeqCst),
        }
    }

    /// Returns the time as it elapses: [`Clock::now`] without the steps of the machine's clock
    /// forward since the `Clock` was created. Use the steady time to measure between two moments of
    /// one process.
    #[must_use]
    pub fn steady(&self) -> Millis {
        match &self.0 {
            Source::Machine(machine) => machine.steady(),
            Source::Manual(manual) => {
                manual.now.load(Ordering::SeqCst) - manual.stepped.load(Ordering::SeqCst)
            }
        }
    }

    /// Returns the time of the machine's clock, right or wrong.
    #[must_use]
    pub fn wall(&self) -> Millis {
        match &self.0 {
            Source::Machine(_) => wall(),
            Source::Manual(_) => self.now(),
        }
    }

    /// Advances a manual clock and wakes its sleepers; does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.now.fetch_add(millis(by), Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Puts a manual clock forward, as when the machine's clock is corrected: the steady time
    /// stays.
    pub fn put_forward(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.stepped.fetch_add(millis(by), Ordering::SeqCst);
            manual.now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Waits until the steady time ([`Clock::steady`]) reaches `when`; returns at once if `when` is
    /// past.
    pub async fn sleep_until(&self, when: Millis) {
        match &self.0 {
            Source::Machine(_) => {
                let left = u64::try_from(when - self.steady()).unwrap_or(0);
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the system clock is read here only"
                )]
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
            Source::Manual(manual) => loop {
                let moved = manual.moved.notified();
                if self.steady() >= when {
                    return;
                }
                moved.await;
            },
        }
    }

    /// Waits for a duration.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.steady().saturating_add(millis(span)))
            .await;
    }
}

impl Machine {
    fn steady(&self) -> Millis {
        self.first + millis(self.began.elapsed())
    }

    /// Returns the steady time and the largest step of the machine's clock forward.
    fn read(&self) -> (Millis, Millis) {
        let (steady, wall) = (self.steady(), wall());
        let ahead = wall - steady;
        let before = self.stepped.fetch_max(ahead, Ordering::SeqCst);
        let logged = self.logged.load(Ordering::Relaxed);
        if (ahead - logged).abs() >= WORTH_A_WORD
            && self.logged.swap(ahead, Ordering::Relaxed) == logged
        {
            let by_s = (ahead - logged) / 1000;
            if ahead > before {
                warn!(by_s, "machine clock was set forward");
            } else {
                warn!(
                    by_s,
                    "machine clock was changed; the gateway keeps its own time until a restart"
                );
            }
        }
        (steady, before.max(ahead))
    }
}

fn wall() -> Millis {
    #[expect(
        clippy::disallowed_methods,
        reason = "the system clock is read here only"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, millis)
}

/// Converts a duration to milliseconds; saturates after 292 million years.
#[must_use]
pub fn millis(span: Duration) -> Millis {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Formats a time as RFC 3339 in UTC, with milliseconds unless they are zero:
/// `2026-01-02T03:04:05.678Z`.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    // No stored time is outside the range of `jiff::Timestamp`.
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_it_is_moved() {
        let clock = Clock::manual(1_000);
        let sleeper = tokio_util::task::TaskTracker::new().spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        while !sleeper.is_finished() {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        assert!(clock.now() >= 6_000);
    }

    #[test]
    fn a_forward_step_changes_the_time_but_not_the_elapsed_time() {
        let clock = Clock::manual(1_000);
        clock.put_forward(Duration::from_hours(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.now(), clock.steady()), (3_602_000, 2_000));
    }

    #[test]
    fn time_continues_when_the_machine_clock_is_set_back() {
        // The clock begins one hour ahead of the machine's clock.
        let hour = 3_600_000;
        let back = Clock::beginning(wall() + hour);
        let first = back.now();
        assert!(first - back.wall() > hour - 1_000);
        assert!(back.now() >= first && back.now() - back.steady() < 1_000);
    }

    #[test]
    fn time_follows_once_when_the_machine_clock_is_set_forward() {
        let hour = 3_600_000;
        let forward = Clock::beginning(wall() - hour);
        let (now, steady) = (forward.now(), forward.steady());
        assert!((forward.wall() - now).abs() < 1_000);
        assert!((now - steady - hour).abs() < 1_000);
        assert!((forward.now() - now) < 1_000);
    }
}
