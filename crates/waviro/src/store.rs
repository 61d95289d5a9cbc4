//! The database: SQL and nothing else. SQLite by default, PostgreSQL by its URL; one text of SQL for both.
//!
//! Everything that changes goes through one writer (`store/writer.rs`): callers hand it commands, it applies all that
//! wait in one transaction, commits, and only then answers each of them. So a caller's `Ok` means durable, and under load
//! many callers share one sync of the disk. Reads use a small pool of their own.
//!
//! SQLite runs with `journal_mode=WAL` and `synchronous=FULL`: a commit that was answered survives a power cut.

mod acks;
mod aside;
mod bots;
mod content;
mod counts;
mod deliveries;
mod events;
mod evidence;
mod idempotency;
mod inbound;
mod installation;
mod journal;
mod log;
mod messages;
mod names;
mod numbers;
mod open;
mod retention;
mod rules;
mod search;
mod secrets;
mod sql;
mod subscriptions;
mod tokens;
mod users;
mod writer;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::DatabaseAt;
use crate::telemetry::panics;

pub use acks::{Feeds, News, Reader};
pub use bots::{AddBot, BotRow, PreviousKey, Renaming, SetKey};
pub use counts::Counts;
pub use deliveries::{
    Attempt, AttemptRow, Callback, DeliveryAfter, DeliveryFilter, DeliveryKind, DeliveryRow, Due,
    Fate, Heard, Hook, Lost, Replay, Replayed, Replaying, Trouble, Webhook, Work, lane,
};
pub use events::{Audience, EventKind, EventRow, Kinds, Listening, NewEvent, event_id};
pub use evidence::Evidence;
pub use idempotency::{KeepingAnswer, KeptAnswer};
pub use inbound::{
    CardDetail, Detail, FileDetail, InboundRow, Kept, MediaRow, Place, address, media_id,
};
pub use journal::beginning;
pub use log::{HeardAfter, HeardRow, LogFilter, SentAfter, SentRow, words};
pub use messages::{Accepting, Committed, MessageRow, NewMessageRow, Queued, Repeats};
pub use retention::{Kept as Keeping, Sweep, Swept};
pub use rules::{AddRule, MOST_RULES, NewRule, RuleChange, RuleRow};
pub use search::Found;
pub use secrets::SecretsRow;
pub use subscriptions::{MOST_SUBSCRIPTIONS, NewSubscription, SubscriptionChange, SubscriptionRow};
pub use tokens::{AddToken, TokenRole, TokenRow};
pub use users::{AddUser, ChangeUser, UserChange, UserRole, UserRow};

use search::Searches;
use writer::{Command, Counters, Writer};

/// Connections for reads. SQLite reads beside the writer in WAL mode; four saturate two cores.
const READERS: u32 = 4;

/// Commands that may wait for the writer; more than this and [`Store::accept`] refuses with [`StoreError::Busy`].
const WAITING: usize = 4096;

/// The database. Cheap to clone; the last thing to close.
#[derive(Clone)]
pub struct Store {
    reads: AnyPool,
    searches: Searches,
    writes: mpsc::Sender<Command>,
    /// Work that nobody waits for.
    asides: mpsc::Sender<Command>,
    state: Arc<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the writer tells without being asked.
#[derive(Debug, Default)]
struct State {
    last_seq: AtomicI64,
    commits: AtomicU64,
    last_event: watch::Sender<i64>,
    audiences: events::Audiences,
    counts: Mutex<Counts>,
}

impl State {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the database did not do what it was asked. After any of these nothing of the command is in the database, except
/// that a failed commit on a lost PostgreSQL connection leaves it unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A rule of the schema speaks against it.
    #[error("the database refused it: {0}")]
    Refused(String),
    /// The database, its disk or the connection to it fails.
    #[error("the database failed: {0}")]
    Failed(String),
    /// What is stored cannot be understood, or a value cannot be stored.
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
    /// Too many commands wait already.
    #[error("the database is behind")]
    Busy,
    /// A PostgreSQL server on another machine would get the password without a proof of its
    /// identity: the mode, and the host.
    #[error(
        "{0} would give the database's password to whoever answers for {1}, which is another machine; say sslmode=verify-full in \
         database.url (with sslrootcert=FILE where the certificate is from an authority of your own), or set \
         database.allow_unverified = true where nobody else is on the network in between"
    )]
    Unverified(String, String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What stands in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// No database, or an empty one.
    None,
    /// Opening it will bring it up to date.
    Older,
    /// This program's own.
    Current,
    /// Made by a later version, which this one can't read.
    Newer,
}

impl Store {
    /// What stands there; makes and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own words.
    pub async fn schema_at(at: impl Into<DatabaseAt>) -> Result<Schema, StoreError> {
        open::schema_at(&at.into()).await
    }

    /// Opens `sqlite:PATH` (made with mode 0600 where it is missing) or `postgres://…`, brings the schema up to date
    /// and starts the writer.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own words, [`StoreError::Unverified`] for a mode
    /// that is too weak.
    pub async fn open(at: impl Into<DatabaseAt>) -> Result<Self, StoreError> {
        let at = at.into();
        let place = open::Place::parse(&at)?;
        open::create(&at.url)?;
        let mut connection = place.connect().await?;
        open::migrate(&mut connection).await?;
        place.fit_cache(&mut connection).await?;
        let counters = Counters::read(&mut connection).await?;
        let state = Arc::new(State::default());
        *state.counts() = Counts::read(&mut connection).await?;
        state.last_seq.store(counters.seq, Ordering::SeqCst);
        state.last_event.send_replace(counters.event);
        let (reads, searches) = (place.pool(READERS), Searches::new(place.pool(1)));
        let (writes, inbox) = mpsc::channel(WAITING);
        let (asides, beside) = mpsc::channel(1);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let task = Writer::new(place, connection, counters, Arc::clone(&state));
        let writing = task.run(inbox, beside, stop.clone());
        tasks.spawn(panics::vital("the database's writer", writing));
        tasks.close();
        Ok(Self {
            reads,
            searches,
            writes,
            asides,
            state,
            tasks,
            stop,
        })
    }

    /// Commits what waits, then closes. Commands sent later get [`StoreError::Closed`].
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.searches.close().await;
        self.reads.close().await;
    }

    /// One cheap question to the database.
    ///
    /// # Errors
    /// [`StoreError::Failed`] where it does not answer, [`StoreError::Closed`] where nothing can be written any more.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.writes.is_closed() {
            return Err(StoreError::Closed);
        }
        sqlx::query("SELECT 1").execute(&self.reads).await?;
        Ok(())
    }

    /// The highest [`Queued::seq`] given out so far.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.state.last_seq.load(Ordering::SeqCst)
    }

    /// How many transactions the writer has committed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Relaxed)
    }

    /// Waits for a place in the writer's queue.
    async fn submit(&self, command: Command) -> Result<(), StoreError> {
        self.writes
            .send(command)
            .await
            .map_err(|_| StoreError::Closed)
    }

    /// Runs `change` in the writer's next transaction, under the name of the function that asks, as [`waviro_fault::WRITES`] has it.
    /// It runs again, alone, where a neighbour spoilt that transaction.
    async fn write<T, F>(&self, name: &'static str, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(
                &'c mut AnyConnection,
                &'c mut Counters,
            ) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (command, answer) = Command::other(name, change);
        self.submit(command).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal)
                if !matches!(refusal.kind(), sqlx::error::ErrorKind::Other) =>
            {
                Self::Refused(error.to_string())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Unreadable(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}
