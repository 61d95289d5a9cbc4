//! The one writer: takes whatever commands wait, applies them in one transaction, commits, answers.
//!
//! Frequent commands (accepting, acks, posted callbacks) are applied many at a time, each group in a few statements.
//! Where the transaction breaks on a rule of the schema, each command is applied again in a transaction of its own:
//! one bad command never takes its neighbours along. Where the database itself fails, all get the error.

mod batch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::{AnyConnection, Executor, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::acks::Raise;
use super::aside::Pace;
use super::deliveries::{Posted, Replying};
use super::messages::Accept;
use super::open::Place;
use super::{Counts, State, StoreError};

use batch::Batch;

/// Commands of one transaction at most: enough to share a sync among all who wait, few enough that the first of them
/// is not kept waiting for the last.
const TOGETHER: usize = 512;

/// Acks and receipts wait so long for company. Nobody has a request open for them, and a commit that is under way when an
/// accept comes is one that its caller waits for. What was posted does not wait: a kill before its commit posts it twice.
const LINGER: Duration = Duration::from_millis(10);

/// How often the page cache is sized for the database, at most.
const CACHE_FITTED_EVERY: Duration = Duration::from_mins(10);

/// The writer's task.
pub(super) struct Writer {
    place: Place,
    /// `None` after a connection broke, until the next command.
    connection: Option<AnyConnection>,
    counters: Counters,
    state: Arc<State>,
    pace: Pace,
    cache_fitted: Instant,
}

/// The next ids, and what the transaction changes in the counts of what waits. One process writes, so none of it needs a round
/// trip; numbers of a failed transaction are skipped.
#[derive(Debug)]
pub(super) struct Counters {
    /// The last [`super::Queued::seq`].
    pub(super) seq: i64,
    /// The last id of a delivery.
    pub(super) delivery: i64,
    /// The last id of an attempt.
    pub(super) attempt: i64,
    /// The last id of an event.
    pub(super) event: i64,
    /// How the transaction under way changes what waits.
    pub(super) waiting: Counts,
}

/// What callers ask for.
pub(super) enum Command {
    Accept(Box<Accept>),
    Raise(Raise),
    Posted(Posted),
    Replying(Replying),
    Other(Box<dyn Other>),
}

/// A rarer command, as a closure.
pub(super) trait Other: Send {
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        counters: &'c mut Counters,
    ) -> BoxFuture<'c, Result<(), StoreError>>;

    fn answer(self: Box<Self>, done: Result<(), StoreError>);

    fn name(&self) -> &'static str;
}

struct Closure<T, F> {
    name: &'static str,
    change: F,
    outcome: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    pub(super) fn new(
        place: Place,
        connection: AnyConnection,
        counters: Counters,
        state: Arc<State>,
    ) -> Self {
        Self {
            place,
            connection: Some(connection),
            counters,
            state,
            pace: Pace::new(),
            cache_fitted: Instant::now(),
        }
    }

    /// Runs until `stop`, then until the inbox is empty. What is `beside` waits for its turn, see [`super::aside`].
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut beside: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        let mut waiting = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !inbox.is_closed() => inbox.close(),
                count = inbox.recv_many(&mut waiting, TOGETHER) => {
                    if count == 0 {
                        return;
                    }
                    gather(&mut waiting, &mut inbox, &stop).await;
                    let count = waiting.len();
                    metrics::histogram!("waviro_store_batch_commands").record(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
                    self.take(waiting.drain(..).collect()).await;
                    if self.pace.is_starved() && let Ok(command) = beside.try_recv() {
                        self.take_aside(command).await;
                    }
                }
                Some(command) = async {
                    self.pace.rested().await;
                    beside.recv().await
                } => self.take_aside(command).await,
            }
        }
    }

    async fn take_aside(&mut self, command: Command) {
        let began = Instant::now();
        self.take(std::iter::once(command).collect()).await;
        let took = began.elapsed();
        metrics::histogram!("waviro_store_aside_seconds").record(took.as_secs_f64());
        self.pace.took(took);
        // Retention has its turn every hour.
        if self.cache_fitted.elapsed() > CACHE_FITTED_EVERY
            && let Some(connection) = &mut self.connection
        {
            self.cache_fitted = Instant::now();
            if let Err(reason) = self.place.fit_cache(connection).await {
                warn!(%reason, "the page cache was not sized");
            }
        }
    }

    async fn take(&mut self, mut batch: Batch) {
        let done = self.commit(&mut batch).await;
        match &done {
            Err(StoreError::Refused(reason)) if batch.len() > 1 => {
                warn!(commands = batch.len(), %reason, "a command broke its transaction; each goes alone now");
                for mut single in batch.singles() {
                    let done = self.commit(&mut single).await;
                    single.answer(&done);
                }
            }
            Err(reason) => {
                error!(commands = batch.len(), %reason, "a transaction failed");
                batch.answer(&done);
            }
            Ok(()) => batch.answer(&done),
        }
    }

    /// One transaction: all of the batch, or nothing.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            let mut connection = self.place.connect().await?;
            // Nobody knows what became of the last commit.
            *self.state.counts() = Counts::read(&mut connection).await?;
            connection
        };
        self.counters.waiting = Counts::default();
        let applied = if batch.is_one_statement() {
            batch.names().for_each(waviro_fault::writing);
            batch.apply(&mut connection, &mut self.counters).await
        } else {
            connection.execute(self.place.begin()).await?;
            match batch.apply(&mut connection, &mut self.counters).await {
                Ok(()) => {
                    batch.names().for_each(waviro_fault::writing);
                    let committed = connection.execute("COMMIT").await;
                    committed.map(drop).map_err(Into::into)
                }
                Err(reason) => Err(reason),
            }
        };
        if applied.is_ok() {
            batch.names().for_each(waviro_fault::written);
            self.connection = Some(connection);
            let change = std::mem::take(&mut self.counters.waiting);
            self.state.counts().add(change);
            self.state.commits.fetch_add(1, Ordering::Relaxed);
            self.state
                .last_seq
                .fetch_max(self.counters.seq, Ordering::SeqCst);
            let event = self.counters.event;
            let is_new = |last: &mut i64| std::mem::replace(last, event) != event;
            self.state.last_event.send_if_modified(is_new);
            metrics::counter!("waviro_store_commits_total").increment(1);
        } else if connection.execute("ROLLBACK").await.is_ok() {
            self.connection = Some(connection);
        }
        // A connection that cannot roll back is dropped here; closing it rolls back.
        applied
    }
}

/// Lets what nobody waits for gather company, until somebody waits.
async fn gather(
    waiting: &mut Vec<Command>,
    inbox: &mut mpsc::Receiver<Command>,
    stop: &CancellationToken,
) {
    let urgent = |command: &Command| !matches!(command, Command::Raise(_));
    if waiting.iter().any(urgent) {
        return;
    }
    let company = async {
        while waiting.len() < TOGETHER
            && let Some(command) = inbox.recv().await
        {
            let over = urgent(&command);
            waiting.push(command);
            if over {
                break;
            }
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(LINGER, company) => {}
        () = stop.cancelled() => {}
    }
    // What came with it is taken along.
    while waiting.len() < TOGETHER
        && let Ok(command) = inbox.try_recv()
    {
        waiting.push(command);
    }
}

impl Counters {
    /// Continues after what the database holds.
    pub(super) async fn read(connection: &mut AnyConnection) -> Result<Self, StoreError> {
        let row = sqlx::query(
            "SELECT COALESCE((SELECT MAX(seq) FROM messages), 0), COALESCE((SELECT MAX(id) FROM deliveries), 0), \
             COALESCE((SELECT MAX(id) FROM attempts), 0), COALESCE((SELECT MAX(id) FROM events), 0)",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self {
            seq: row.try_get(0)?,
            delivery: row.try_get(1)?,
            attempt: row.try_get(2)?,
            event: row.try_get(3)?,
            waiting: Counts::default(),
        })
    }
}

impl Command {
    /// A command from a closure, and where its answer will come.
    pub(super) fn other<T, F>(
        name: &'static str,
        change: F,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>)
    where
        T: Send + 'static,
        F: for<'c> Fn(
                &'c mut AnyConnection,
                &'c mut Counters,
            ) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let closure = Closure {
            name,
            change,
            outcome: None,
            answer,
        };
        (Self::Other(Box::new(closure)), receiver)
    }
}

impl<T, F> Other for Closure<T, F>
where
    T: Send,
    F: for<'c> Fn(&'c mut AnyConnection, &'c mut Counters) -> BoxFuture<'c, Result<T, StoreError>>
        + Send,
{
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        counters: &'c mut Counters,
    ) -> BoxFuture<'c, Result<(), StoreError>> {
        let change = (self.change)(connection, counters);
        let outcome = &mut self.outcome;
        Box::pin(async move {
            *outcome = Some(change.await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, done: Result<(), StoreError>) {
        let Self {
            outcome, answer, ..
        } = *self;
        // A caller that went away asks for nothing more.
        let _ = answer.send(done.and_then(|()| outcome.ok_or(StoreError::Closed)));
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
