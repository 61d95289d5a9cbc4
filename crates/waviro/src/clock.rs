//! Time as an argument: the one place that asks the machine what time it is.
//!
//! Times in the database and between rooms are Unix milliseconds ([`Millis`]). Tests take [`Clock::manual`] and move it
//! by hand; `tokio::time::pause` is no alternative, it breaks the database pool's own timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tracing::warn;

/// Unix time in milliseconds.
pub type Millis = i64;

/// A difference that is worth a word in the log.
const WORTH_A_WORD: Millis = 60_000;

/// Tells the time and waits for it.
///
/// The machine's clock may be set while the gateway runs. Three readings, and each says what it is good for: [`Clock::now`] for what
/// is kept, [`Clock::steady`] for what is waited for, [`Clock::wall`] for whoever compares it with a clock of their own.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine(Arc<Machine>),
    Manual(Arc<Manual>),
}

/// The time when it was first asked, what has passed since, and what the clock was put forward by.
#[derive(Debug)]
struct Machine {
    began: Instant,
    first: Millis,
    stepped: AtomicI64,
    /// How far the machine's clock was from ours when the log was last told.
    told: AtomicI64,
}

#[derive(Debug)]
struct Manual {
    now: AtomicI64,
    stepped: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::beginning(wall())
    }

    fn beginning(first: Millis) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let began = Instant::now();
        Self(Source::Machine(Arc::new(Machine {
            began,
            first,
            stepped: AtomicI64::new(0),
            told: AtomicI64::new(0),
        })))
    }

    /// A clock that stands still at `now` until [`Clock::advance`].
    #[must_use]
    pub fn manual(now: Millis) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            now: AtomicI64::new(now),
            stepped: AtomicI64::new(0),
            moved: Notify::new(),
        })))
    }

    /// The time now. It never goes back: where the machine's clock is put back, this goes on from where it was, until the next
    /// start. Where that is put forward, this follows.
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

    /// The time as it passes: [`Clock::now`] without what the machine's clock was put forward by since this clock was made. For
    /// whatever counts from one moment of this process to another.
    #[must_use]
    pub fn steady(&self) -> Millis {
        match &self.0 {
            Source::Machine(machine) => machine.steady(),
            Source::Manual(manual) => {
                manual.now.load(Ordering::SeqCst) - manual.stepped.load(Ordering::SeqCst)
            }
        }
    }

    /// What the machine's clock says, right or wrong.
    #[must_use]
    pub fn wall(&self) -> Millis {
        match &self.0 {
            Source::Machine(_) => wall(),
            Source::Manual(_) => self.now(),
        }
    }

    /// Moves a manual clock on and wakes whoever waits for it; the machine's clock does not move by hand.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.now.fetch_add(millis(by), Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Puts a manual clock forward, as a machine's is put right: no time passes.
    pub fn put_forward(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.stepped.fetch_add(millis(by), Ordering::SeqCst);
            manual.now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Returns at `when` of [`Clock::steady`], at once where that is past.
    pub async fn sleep_until(&self, when: Millis) {
        match &self.0 {
            Source::Machine(_) => {
                let left = u64::try_from(when - self.steady()).unwrap_or(0);
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
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

    /// Returns after `span`.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.steady().saturating_add(millis(span)))
            .await;
    }
}

impl Machine {
    fn steady(&self) -> Millis {
        self.first + millis(self.began.elapsed())
    }

    /// The steady time, and what the machine's clock was put forward by.
    fn read(&self) -> (Millis, Millis) {
        let (steady, wall) = (self.steady(), wall());
        let ahead = wall - steady;
        let before = self.stepped.fetch_max(ahead, Ordering::SeqCst);
        let told = self.told.load(Ordering::Relaxed);
        if (ahead - told).abs() >= WORTH_A_WORD && self.told.swap(ahead, Ordering::Relaxed) == told
        {
            let by_s = (ahead - told) / 1000;
            if ahead > before {
                warn!(by_s, "the machine's clock was put forward");
            } else {
                warn!(
                    by_s,
                    "the machine's clock was set: times are kept as before, until the gateway is restarted"
                );
            }
        }
        (steady, before.max(ahead))
    }
}

fn wall() -> Millis {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, millis)
}

/// A span in the clock's unit; saturates after 292 million years.
#[must_use]
pub fn millis(span: Duration) -> Millis {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, to the millisecond where there are any: `2026-01-02T03:04:05.678Z`.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    // Beyond the years that have a name nothing is stored.
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
    fn what_is_put_forward_shows_in_the_time_and_not_in_what_has_passed() {
        let clock = Clock::manual(1_000);
        clock.put_forward(Duration::from_hours(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.now(), clock.steady()), (3_602_000, 2_000));
    }

    #[test]
    fn a_machine_whose_clock_is_put_back_tells_a_time_that_goes_on() {
        // Began an hour later than the machine's clock says now.
        let hour = 3_600_000;
        let back = Clock::beginning(wall() + hour);
        let first = back.now();
        assert!(first - back.wall() > hour - 1_000);
        assert!(back.now() >= first && back.now() - back.steady() < 1_000);
    }

    #[test]
    fn a_machine_whose_clock_is_put_forward_is_followed_once() {
        let hour = 3_600_000;
        let forward = Clock::beginning(wall() - hour);
        let (now, steady) = (forward.now(), forward.steady());
        assert!((forward.wall() - now).abs() < 1_000);
        assert!((now - steady - hour).abs() < 1_000);
        assert!((forward.now() - now) < 1_000);
    }
}
