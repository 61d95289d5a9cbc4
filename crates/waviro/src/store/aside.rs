//! Work that nobody waits for: it is done beside the commands, in small transactions, when the writer has nothing else to do.
//!
//! A transaction of such work ends after [`BATCH`] at the latest, and as soon as a command waits. After it the work rests
//! [`REST`] times as long as the transaction took, its commit included, so that all of it together has a twentieth of the
//! writer's time. Under a load that never pauses one small step is taken every [`STARVED`].

use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::writer::{Command, Counters};
use super::{Store, StoreError};

/// The longest that such a transaction goes on before it commits.
const BATCH: Duration = Duration::from_millis(5);

/// The rest after a transaction, in its own lengths: 1 of 20 is 5 %.
const REST: u32 = 19;

/// Work that got no turn for so long takes one step although commands wait.
const STARVED: Duration = Duration::from_secs(1);

/// The most rows of one step, see [`Budget::rows`].
const MOST_ROWS: i64 = 64;

/// The rows of a transaction's first step: few, for nobody knows whether they have to come from the disk.
const FIRST_ROWS: i64 = 8;

/// Within this a step is short enough to be doubled, and beyond four times this it is halved.
const SHORT: Duration = Duration::from_micros(500);

/// Says when a transaction has to end.
pub(super) struct Budget {
    began: Instant,
    stepped: Instant,
    inbox: mpsc::WeakSender<Command>,
    rows: i64,
}

/// When work beside the commands may go on.
#[derive(Debug)]
pub(super) struct Pace {
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

    /// How many rows the next step takes: as many as are done within some 2 ms, measured at the steps before.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// A step is done: whether the transaction has to end now.
    pub(super) fn is_spent(&mut self) -> bool {
        let now = Instant::now();
        let took = now - self.stepped;
        self.stepped = now;
        if took < SHORT {
            self.rows = (self.rows * 2).min(MOST_ROWS);
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
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            ended: now,
            resting_until: now,
        }
    }

    /// Waits until the rest is over.
    pub(super) async fn rested(&self) {
        tokio::time::sleep_until(self.resting_until).await;
    }

    /// Whether the work got no turn for too long.
    pub(super) fn is_starved(&self) -> bool {
        let now = Instant::now();
        now >= self.resting_until && now - self.ended >= STARVED
    }

    /// A transaction took so long.
    pub(super) fn took(&mut self, took: Duration) {
        self.ended = Instant::now();
        self.resting_until = self.ended + took * REST;
    }
}

impl Store {
    /// Runs `change` beside the commands, as [`Store::write`] runs it among them. It takes steps until its [`Budget`] is spent.
    pub(super) async fn aside<T, F>(&self, name: &'static str, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(
                &'c mut AnyConnection,
                &'c mut Counters,
                Budget,
            ) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let inbox = self.writes.downgrade();
        let (command, answer) = Command::other(name, move |connection, counters| {
            change(
                connection,
                counters,
                Budget::begin(inbox.clone(), FIRST_ROWS),
            )
        });
        let sent = self.asides.send(command).await;
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Command {
        let (command, _) = Command::other("test", |_, _| Box::pin(async { Ok(()) }));
        command
    }

    #[tokio::test]
    async fn a_transaction_nobody_waits_for_ends_when_a_command_waits() {
        let (inbox, mut taken) = mpsc::channel(4);
        let mut budget = Budget::begin(inbox.downgrade(), 16);
        assert!(!budget.is_spent());
        assert!(inbox.try_send(waiting()).is_ok());
        assert!(budget.is_spent());
        taken.recv().await.unwrap();
        assert!(!budget.somebody_waits());
    }

    #[tokio::test]
    async fn a_transaction_nobody_waits_for_ends_after_5_ms() {
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
    fn such_work_has_a_twentieth_of_the_writers_time() {
        let mut pace = Pace::new();
        pace.took(Duration::from_millis(10));
        assert_eq!(pace.resting_until - pace.ended, Duration::from_millis(190));
        assert!(!pace.is_starved());
        pace.resting_until -= Duration::from_secs(2);
        pace.ended -= Duration::from_secs(2);
        assert!(pace.is_starved());
    }
}
