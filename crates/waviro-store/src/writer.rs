//! The writer: takes all waiting commands, applies them in one transaction, commits and answers.
//!
//! Frequent commands (accepts, acks, posted callbacks) are applied together, each kind in a few
//! statements. If the transaction fails on a constraint of the schema, the writer applies each
//! command again in a transaction of its own, so that a bad command does not affect the others. If
//! the database itself fails, all commands get the error.

mod batch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::{AnyConnection, Executor};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::background::Pace;
use crate::command::Command;
use crate::counts::{Counters, Counts};
use crate::database::DatabaseAddress;
use crate::error::StoreError;
use crate::store::State;

use batch::Batch;

/// The maximum number of commands in a transaction: enough to share an fsync among all waiting
/// callers, and few enough that the first caller does not wait long for the last command.
const TOGETHER: usize = 512;

/// How long acks and receipts wait for more commands to share a commit. No request waits for an
/// ack, but an accept that arrives during a commit has to wait for that commit. Results of posted
/// callbacks do not wait: if the process ends before the commit, the callback is posted twice.
const LINGER: Duration = Duration::from_millis(10);

/// The minimum interval between two adjustments of the page cache.
const CACHE_FITTED_EVERY: Duration = Duration::from_mins(10);

/// The state of the writer's task.
pub(super) struct Writer {
    place: DatabaseAddress,
    /// `None` from a lost connection until the next command.
    connection: Option<AnyConnection>,
    counters: Counters,
    state: Arc<State>,
    pace: Pace,
    cache_fitted: Instant,
}

impl Writer {
    pub(super) fn new(
        place: DatabaseAddress,
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

    /// Runs until `stop`, and then until the inbox is empty. Commands from `beside` run in the
    /// background, see [`crate::background`].
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
                        self.take_background(command).await;
                    }
                }
                Some(command) = async {
                    self.pace.rested().await;
                    beside.recv().await
                } => self.take_background(command).await,
            }
        }
    }

    async fn take_background(&mut self, command: Command) {
        let began = Instant::now();
        self.take(std::iter::once(command).collect()).await;
        let took = began.elapsed();
        metrics::histogram!("waviro_store_background_seconds").record(took.as_secs_f64());
        self.pace.took(took);
        // The check belongs to background work, because retention runs every hour.
        if self.cache_fitted.elapsed() > CACHE_FITTED_EVERY
            && let Some(connection) = &mut self.connection
        {
            self.cache_fitted = Instant::now();
            if let Err(reason) = self.place.fit_cache(connection).await {
                warn!(%reason, "size of the page cache could not be set");
            }
        }
    }

    async fn take(&mut self, mut batch: Batch) {
        let done = self.commit(&mut batch).await;
        match &done {
            Err(StoreError::Refused(reason)) if batch.len() > 1 => {
                warn!(commands = batch.len(), %reason, "transaction refused because of one command; each command is committed alone");
                for mut single in batch.singles() {
                    let done = self.commit(&mut single).await;
                    single.answer(&done);
                }
            }
            Err(reason) => {
                error!(commands = batch.len(), %reason, "transaction failed");
                batch.answer(&done);
            }
            Ok(()) => batch.answer(&done),
        }
    }

    /// Runs one transaction: the whole batch or nothing.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            let mut connection = self.place.connect().await?;
            // The outcome of the last commit is unknown after a lost connection, so the rows are
            // counted again.
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
        // A connection that cannot roll back is dropped here; closing the connection rolls back.
        applied
    }
}

/// Collects more commands while only acks and receipts wait; stops at the first other command, or
/// after [`LINGER`].
async fn gather(
    waiting: &mut Vec<Command>,
    inbox: &mut mpsc::Receiver<Command>,
    stop: &CancellationToken,
) {
    let urgent = |command: &Command| !matches!(command, Command::ApplyAcks(_));
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
    // Commands already in the inbox join the batch.
    while waiting.len() < TOGETHER
        && let Ok(command) = inbox.try_recv()
    {
        waiting.push(command);
    }
}
