//! The database layer: all SQL of the gateway and nothing else. The default is SQLite; a
//! `postgres://` URL selects PostgreSQL. Each statement has the same text for both.
//!
//! Every change goes through one writer (`store/writer.rs`). Callers send commands to the writer.
//! The writer applies all waiting commands in one transaction, commits, and only then answers each
//! command. An `Ok` therefore means a durable change, and under load many callers share one fsync.
//! Reads use a small pool of their own.
//!
//! SQLite runs with `journal_mode=WAL` and `synchronous=FULL`, so every answered commit survives a
//! power cut.

mod acks;
mod background;
mod bots;
pub mod clock;
mod counts;
mod database_at;
mod deliveries;
mod events;
mod evidence;
mod idempotency;
mod inbound;
mod installation;
pub mod invisible;
mod journal;
pub mod keyword;
mod log;
mod messages;
mod names;
mod numbers;
mod open;
pub mod panics;
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

pub use acks::{AckUpdate, CommitFeeds, Reader};
pub use bots::{AddBot, BotRow, PreviousKey, Renaming, SetKey};
pub use counts::Counts;
pub use database_at::DatabaseAt;
pub use deliveries::{
    Attempt, AttemptCause, AttemptFailure, AttemptRow, Callback, DeliveryAfter, DeliveryFilter,
    DeliveryKind, DeliveryOutcome, DeliveryRow, Due, EndpointFailure, Hook, Lost, Replay, Replayed,
    Replaying, ReplyNote, ReplyOutcome, Webhook, WebhookAnswer, Work, endpoint_of,
};
pub use events::{Audience, EventKind, EventRow, Kinds, Listening, NewEvent, event_id};
pub use evidence::Evidence;
pub use idempotency::{KeepingAnswer, KeptAnswer};
pub use inbound::{Detail, FileDetail, MediaRow, NewInboundRow, StoredInbound, address, media_id};
pub use journal::beginning;
pub use log::{InboundAfter, InboundRow, LogFilter, SentAfter, SentRow};
pub use messages::{
    Accepting, Committed, MessageCause, MessageFailure, MessageRow, NewMessageRow, Queued, Repeats,
};
pub use retention::{RetentionLimits, Sweep, Swept};
pub use rules::{AddRule, MAX_RULES, NewRule, RuleChange, RuleRow};
pub use search::Found;
pub use secrets::SecretsRow;
pub use subscriptions::{MAX_SUBSCRIPTIONS, NewSubscription, SubscriptionChange, SubscriptionRow};
pub use tokens::{AddToken, TokenRole, TokenRow};
pub use users::{AddUser, ChangeUser, UserChange, UserRole, UserRow};

use search::Searches;
use writer::{Command, Counters, Writer};

/// The number of read connections. In WAL mode SQLite reads beside the writer; four readers
/// saturate two cores.
const READERS: u32 = 4;

/// The capacity of the writer's queue. If the queue is full, [`Store::accept`] refuses with
/// [`StoreError::Busy`].
const WAITING: usize = 4096;

/// The handle of the database; cheap to clone. Close the store last.
#[derive(Clone)]
pub struct Store {
    reads: AnyPool,
    searches: Searches,
    writes: mpsc::Sender<Command>,
    /// Background commands, see ``background.rs``.
    background: mpsc::Sender<Command>,
    state: Arc<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// State shared by the writer and the readers.
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

/// The causes of a failed database operation. After an error, nothing of the command is in the
/// database. The exception is a commit that failed together with the PostgreSQL connection: the
/// outcome is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The command violates a constraint of the schema.
    #[error("the database refused the command: {0}")]
    Refused(String),
    /// The database, its disk or the connection failed.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A stored value cannot be parsed, or a value cannot be stored.
    #[error("the database contains an unreadable value: {0}")]
    Unreadable(String),
    /// The writer's queue is full.
    #[error("the database is overloaded")]
    Busy,
    /// The connection would send the password to a PostgreSQL server on another machine without
    /// verifying the server's identity. The fields are the `sslmode` and the host.
    #[error(
        "{0} would send the database password to any server that answers for {1}, another machine; set sslmode=verify-full in \
         database.url (with sslrootcert=FILE if your own authority signed the certificate), or set \
         database.allow_unverified = true if no other machine uses the network between both"
    )]
    Unverified(String, String),
    #[error("the store is closed")]
    Closed,
}

/// The schema version found in a database, compared with the version of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The database does not exist or is empty.
    None,
    /// An older schema; [`Store::open`] migrates it.
    Older,
    /// The schema of the running version.
    Current,
    /// A schema of a later version; the running version cannot read it.
    Newer,
}

impl Store {
    /// Returns the state of the schema at an address. Creates and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own message.
    pub async fn schema_at(at: impl Into<DatabaseAt>) -> Result<Schema, StoreError> {
        open::schema_at(&at.into()).await
    }

    /// Opens `sqlite:PATH` (a missing file is created with mode 0600) or `postgres://…`, migrates
    /// the schema and starts the writer.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with the database's own message, [`StoreError::Unverified`] for an
    /// `sslmode` that is too weak.
    pub async fn open(at: impl Into<DatabaseAt>) -> Result<Self, StoreError> {
        let at = at.into();
        let place = open::DatabaseAddress::parse(&at)?;
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
        let (background, background_inbox) = mpsc::channel(1);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let task = Writer::new(place, connection, counters, Arc::clone(&state));
        let writing = task.run(inbox, background_inbox, stop.clone());
        tasks.spawn(panics::vital("database writer", writing));
        tasks.close();
        Ok(Self {
            reads,
            searches,
            writes,
            background,
            state,
            tasks,
            stop,
        })
    }

    /// Commits all waiting commands and closes the database. Later commands get
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.searches.close().await;
        self.reads.close().await;
    }

    /// Checks with one cheap query that the database answers.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the database does not answer, [`StoreError::Closed`] if the writer
    /// has ended.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.writes.is_closed() {
            return Err(StoreError::Closed);
        }
        sqlx::query("SELECT 1").execute(&self.reads).await?;
        Ok(())
    }

    /// The highest [`Queued::seq`] assigned so far.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.state.last_seq.load(Ordering::SeqCst)
    }

    /// The number of transactions committed by the writer.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Relaxed)
    }

    /// Sends a command to the writer; waits while the queue is full.
    async fn submit(&self, command: Command) -> Result<(), StoreError> {
        self.writes
            .send(command)
            .await
            .map_err(|_| StoreError::Closed)
    }

    /// Runs `change` in the writer's next transaction. `name` is the name of the calling function,
    /// as listed in [`waviro_fault::WRITES`]. If another command makes the transaction fail,
    /// `change` runs again in a transaction of its own.
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
