//! The one writer: takes whatever commands wait, applies them in one transaction, commits, answers.
//!
//! Frequent commands (accepting, acks, posted callbacks) are applied many at a time, each group in a few statements.
//! Where the transaction breaks on a rule of the schema, each command is applied again in a transaction of its own:
//! one bad command never takes its neighbours along. Where the database itself fails, all get the error.

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
use super::{Counts, State, StoreError, deliveries};

/// Commands of one transaction at most: enough to share a sync among all who wait, few enough that the first of them
/// is not kept waiting for the last.
const TOGETHER: usize = 512;

/// Acks and receipts wait so long for company. Nobody has a request open for them, and a commit that is under way when an
/// accept comes is one that its caller waits for. What was posted does not wait: a kill before its commit posts it twice.
const LINGER: Duration = Duration::from_millis(10);

/// The writer's task.
pub(super) struct Writer {
    place: Place,
    /// `None` after a connection broke, until the next command.
    connection: Option<AnyConnection>,
    counters: Counters,
    state: Arc<State>,
    pace: Pace,
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

/// The commands of one transaction, sorted by kind. No two kinds of one message depend on their order here: whoever
/// sends an ack has been told of the accept.
#[derive(Default)]
struct Batch {
    accepts: Vec<Accept>,
    /// Accepts whose answers are kept with them.
    once: Vec<Accept>,
    raises: Vec<Raise>,
    posted: Vec<Posted>,
    replying: Vec<Replying>,
    others: Vec<Box<dyn Other>>,
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
        // Retention has its turn every hour, and whenever much is removed.
        if let Some(connection) = &mut self.connection
            && let Err(reason) = self.place.fit_cache(connection).await
        {
            warn!(%reason, "the page cache was not sized");
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
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.place.connect().await?;
                // Nobody knows what became of the last commit.
                *self.state.counts() = Counts::read(&mut connection).await?;
                connection
            }
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

impl FromIterator<Command> for Batch {
    fn from_iter<I: IntoIterator<Item = Command>>(commands: I) -> Self {
        let mut batch = Self::default();
        for command in commands {
            match command {
                Command::Accept(accept) if accept.is_one_statement() => batch.accepts.push(*accept),
                Command::Accept(accept) => batch.once.push(*accept),
                Command::Raise(raise) => batch.raises.push(raise),
                Command::Posted(posted) => batch.posted.push(posted),
                Command::Replying(replying) => batch.replying.push(replying),
                Command::Other(other) => batch.others.push(other),
            }
        }
        batch
    }
}

impl Batch {
    fn len(&self) -> usize {
        self.accepts.len()
            + self.once.len()
            + self.raises.len()
            + self.posted.len()
            + self.replying.len()
            + self.others.len()
    }

    /// What writes, once each.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let of = |count: usize, name| (count > 0).then_some(name);
        let frequent = [
            of(self.accepts.len() + self.once.len(), "accept"),
            of(self.raises.len(), "raise"),
            of(self.posted.len(), "posted"),
            of(self.replying.len(), "reply"),
        ];
        (frequent.into_iter().flatten()).chain(self.others.iter().map(|other| other.name()))
    }

    /// An accept without company changes the database by one statement, which is a transaction of its own: without BEGIN
    /// and COMMIT it waits for one hand-off to the database's thread in place of three.
    fn is_one_statement(&self) -> bool {
        self.len() == 1 && self.accepts.len() == 1
    }

    async fn apply(
        &mut self,
        connection: &mut AnyConnection,
        counters: &mut Counters,
    ) -> Result<(), StoreError> {
        super::messages::apply(&mut self.accepts, connection, counters).await?;
        super::messages::apply_once(&mut self.once, connection, counters).await?;
        super::acks::apply(&mut self.raises, connection, counters).await?;
        deliveries::apply_posted(&mut self.posted, connection, counters).await?;
        deliveries::apply_replies(&mut self.replying, connection, counters).await?;
        for other in &mut self.others {
            other.apply(connection, counters).await?;
        }
        Ok(())
    }

    fn answer(self, done: &Result<(), StoreError>) {
        // In the order in which they were put in: a lane counts on it.
        for accept in self.accepts.into_iter().chain(self.once) {
            accept.answer(done.clone());
        }
        for raise in self.raises {
            raise.answer(done.clone());
        }
        for posted in self.posted {
            posted.answer(done.clone());
        }
        for replying in self.replying {
            replying.answer(done.clone());
        }
        for other in self.others {
            other.answer(done.clone());
        }
    }

    fn singles(self) -> Vec<Self> {
        let accepts = self.accepts.into_iter().chain(self.once);
        let commands = (accepts.map(|accept| Command::Accept(Box::new(accept))))
            .chain(self.raises.into_iter().map(Command::Raise))
            .chain(self.posted.into_iter().map(Command::Posted))
            .chain(self.replying.into_iter().map(Command::Replying))
            .chain(self.others.into_iter().map(Command::Other));
        commands
            .map(|command| std::iter::once(command).collect())
            .collect()
    }
}
