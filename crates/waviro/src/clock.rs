//! Time as an argument: the one place that asks the machine what time it is.
//!
//! Times in the database and between rooms are Unix milliseconds ([`Millis`]). Tests take [`Clock::manual`] and move it
//! by hand; `tokio::time::pause` is no alternative, it breaks the database pool's own timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// Unix time in milliseconds.
pub type Millis = i64;

/// Tells the time and waits for it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

#[derive(Debug)]
struct Manual {
    now: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `now` until [`Clock::advance`].
    #[must_use]
    pub fn manual(now: Millis) -> Self {
        Self(Some(Arc::new(Manual {
            now: AtomicI64::new(now),
            moved: Notify::new(),
        })))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Some(manual) => manual.now.load(Ordering::SeqCst),
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, millis),
        }
    }

    /// Moves a manual clock on and wakes whoever waits for it; the machine's clock does not move by hand.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.now.fetch_add(millis(by), Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Returns at `when`, at once where that is past.
    pub async fn sleep_until(&self, when: Millis) {
        match &self.0 {
            None => {
                let left = u64::try_from(when - self.now()).unwrap_or(0);
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
            Some(manual) => loop {
                let moved = manual.moved.notified();
                if self.now() >= when {
                    return;
                }
                moved.await;
            },
        }
    }

    /// Returns after `span`.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now().saturating_add(millis(span)))
            .await;
    }
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
}
