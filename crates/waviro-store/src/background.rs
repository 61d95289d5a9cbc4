//! Background work without a waiting caller, such as retention. The writer runs background work in
//! small transactions while its command queue is empty.
//!
//! A background transaction ends after [`BATCH`] at the latest, and as soon as a command waits.
//! Afterwards background work pauses for [`REST`] times the duration of the transaction and its
//! commit, so background work takes at most a twentieth of the writer's time. Under constant load,
//! one small step runs every [`STARVED`].

use std::time::Duration;

use sqlx::AnyConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::command::{Changing, Command, run};
use crate::{Store, StoreError};

/// The maximum duration of a background transaction before its commit.
const BATCH: Duration = Duration::from_millis(5);

/// The pause after a transaction, as a multiple of its duration: 1 of 20 is 5 %.
const REST: u32 = 19;

/// After this time without a step, one step runs even if commands wait.
const STARVED: Duration = Duration::from_secs(1);

/// The maximum number of rows in one step, see [`Budget::rows`].
const MAX_ROWS: i64 = 64;

/// The number of rows in a transaction's first step. The number is small, because the rows may have
/// to be read from the disk.
const FIRST_ROWS: i64 = 8;

/// A faster step doubles the number of rows; a step slower than four times this value halves the
/// number.
const SHORT: Duration = Duration::from_micros(500);

/// The time limit and the step size of a background transaction.
pub(crate) struct Budget {
    began: Instant,
    stepped: Instant,
    inbox: mpsc::WeakSender<Command>,
    rows: i64,
}

/// The schedule of background work.
#[derive(Debug)]
pub(crate) struct Pace {
    ended: Instant,
    resting_until: Instant,
}

impl Budget {
    fn begin(inbox: mpsc::WeakSender<Command>, rows: i64) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            stepped: now,
            inbox,
            rows,
        }
    }

    /// The number of rows for the next step: as many as take about 2 ms, measured at the previous
    /// steps.
    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// Records the end of a step. Returns `true` if the transaction must end now.
    pub(crate) fn is_spent(&mut self) -> bool {
        let now = Instant::now();
        let took = now - self.stepped;
        self.stepped = now;
        if took < SHORT {
            self.rows = (self.rows * 2).min(MAX_ROWS);
        } else if took > SHORT * 4 {
            self.rows = (self.rows / 2).max(1);
        }
        now - self.began >= BATCH || self.somebody_waits()
    }

    fn somebody_waits(&self) -> bool {
        let inbox = self.inbox.upgrade();
        inbox.is_none_or(|inbox| inbox.capacity() < inbox.max_capacity())
    }
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            ended: now,
            resting_until: now,
        }
    }

    /// Waits for the end of the pause.
    pub(crate) async fn rested(&self) {
        tokio::time::sleep_until(self.resting_until).await;
    }

    /// Returns `true` if background work has not run for [`STARVED`].
    pub(crate) fn is_starved(&self) -> bool {
        let now = Instant::now();
        now >= self.resting_until && now - self.ended >= STARVED
    }

    /// Records the duration of a transaction.
    pub(crate) fn took(&mut self, took: Duration) {
        self.ended = Instant::now();
        self.resting_until = self.ended + took * REST;
    }
}

impl Store {
    /// Runs `change` as background work. [`Store::write`] is the counterpart for commands. `change`
    /// takes steps until its [`Budget`] is spent.
    pub(crate) async fn in_background<T, F>(
        &self,
        name: &'static str,
        change: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut AnyConnection, Budget) -> Changing<'c, T> + Send + 'static,
    {
        let inbox = self.writes.downgrade();
        run(
            &self.background,
            name,
            inbox,
            move |inbox, connection, _| {
                change(connection, Budget::begin(inbox.clone(), FIRST_ROWS))
            },
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a command into the queue, and does not wait for its result.
    async fn wait_in(inbox: &mpsc::Sender<Command>) {
        let sent = run(inbox, "test", (), |(), _, _| Box::pin(async { Ok(()) }));
        let _ = tokio::time::timeout(Duration::ZERO, sent).await;
    }

    #[tokio::test]
    async fn a_background_transaction_ends_when_a_command_waits() {
        let (inbox, mut taken) = mpsc::channel(4);
        let mut budget = Budget::begin(inbox.downgrade(), 16);
        assert!(!budget.is_spent());
        wait_in(&inbox).await;
        assert!(budget.is_spent());
        taken.recv().await.unwrap();
        assert!(!budget.somebody_waits());
    }

    #[tokio::test]
    async fn a_background_transaction_ends_after_5_ms() {
        let (inbox, _taken) = mpsc::channel(4);
        let mut budget = Budget::begin(inbox.downgrade(), 16);
        budget.began -= Duration::from_millis(5);
        assert!(budget.is_spent());
    }

    #[test]
    fn a_step_that_takes_long_is_halved_and_a_short_one_doubled() {
        let (inbox, _taken) = mpsc::channel(4);
        let mut budget = Budget::begin(inbox.downgrade(), 16);
        budget.stepped -= Duration::from_millis(3);
        budget.is_spent();
        assert_eq!(budget.rows(), 8);
        budget.stepped = Instant::now() + Duration::from_secs(1);
        budget.is_spent();
        assert_eq!(budget.rows(), 16);
    }

    #[test]
    fn background_work_gets_a_twentieth_of_the_writers_time() {
        let mut pace = Pace::new();
        pace.took(Duration::from_millis(10));
        assert_eq!(pace.resting_until - pace.ended, Duration::from_millis(190));
        assert!(!pace.is_starved());
        pace.resting_until -= Duration::from_secs(2);
        pace.ended -= Duration::from_secs(2);
        assert!(pace.is_starved());
    }
}
