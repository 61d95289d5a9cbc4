//! The handle of the database. A file for each table or subject adds the queries.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AnyConnection, AnyPool};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::{Changing, Command, run};
use crate::counts::{Counters, Counts};
use crate::error::StoreError;
use crate::events::Audiences;
use crate::search::Searches;
use crate::sql::Bound;

/// The handle of the database; cheap to clone. Close the store last.
#[derive(Clone)]
pub struct Store {
    pub(crate) reads: AnyPool,
    pub(crate) searches: Searches,
    pub(crate) writes: mpsc::Sender<Command>,
    /// Background commands, see ``background.rs``.
    pub(crate) background: mpsc::Sender<Command>,
    pub(crate) state: Arc<State>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// State shared by the writer and the readers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) last_seq: AtomicI64,
    pub(crate) commits: AtomicU64,
    pub(crate) last_event: watch::Sender<i64>,
    pub(crate) audiences: Arc<Audiences>,
    counts: Mutex<Counts>,
}

impl State {
    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
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

    /// The highest [`crate::Queued::seq`] assigned so far.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.state.last_seq.load(Ordering::SeqCst)
    }

    /// The number of transactions committed by the writer.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Relaxed)
    }

    /// Returns the counts after the last commit.
    #[must_use]
    pub fn waiting(&self) -> Counts {
        self.state.counts().clone()
    }

    /// The number of queued messages of all bots.
    #[must_use]
    pub fn pending_count(&self) -> i64 {
        self.state.counts().queued()
    }

    /// The number of open deliveries of all bots.
    #[must_use]
    pub fn open_delivery_count(&self) -> i64 {
        self.state.counts().open_deliveries()
    }

    /// Runs `change` with `input` in the writer's next transaction. `name` is the name of the
    /// calling function, as listed in [`waviro_fault::WRITES`]. If another command makes the
    /// transaction fail, `change` runs again in a transaction of its own.
    pub(crate) async fn write<I, T, F>(
        &self,
        name: &'static str,
        input: I,
        change: F,
    ) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c I, &'c mut AnyConnection, &'c mut Counters) -> Changing<'c, T>,
        F: Send + 'static,
    {
        run(&self.writes, name, input, change).await
    }

    /// Runs one statement as [`Self::write`] does. Returns the number of changed rows.
    pub(crate) async fn change<F>(
        &self,
        name: &'static str,
        text: &'static str,
        bind: F,
    ) -> Result<u64, StoreError>
    where
        F: Fn(Bound) -> Bound + Send + Sync + 'static,
    {
        self.write(name, bind, move |bind, connection, _| {
            Box::pin(async move {
                let done = bind(sqlx::query(text)).execute(connection).await?;
                Ok(done.rows_affected())
            })
        })
        .await
    }
}
