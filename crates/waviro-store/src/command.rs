//! The commands for the writer.

use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::sync::{mpsc, oneshot};
use waviro_link::MessageId;

use crate::acks::{AckUpdate, CommitFeeds};
use crate::clock::Millis;
use crate::counts::Counters;
use crate::deliveries::{Attempt, Callback, Due, ReplyNote};
use crate::error::StoreError;
use crate::events::Audience;
use crate::idempotency::KeepingAnswer;
use crate::messages::{Accepting, Committed, NewMessageRow};

/// A command for the writer.
pub(crate) enum Command {
    Accept(Box<Accept>),
    ApplyAcks(ApplyAcks),
    Posted(Posted),
    Replying(Replying),
    Other(Box<dyn Other>),
}

/// The channel for the result of a command. The caller may have been cancelled and dropped the
/// receiver.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// The command of [`crate::Store::accept`].
pub(crate) struct Accept {
    pub(crate) row: NewMessageRow,
    /// The response to store with the message.
    pub(crate) keeping: Option<KeepingAnswer>,
    pub(crate) lane: mpsc::UnboundedSender<Committed>,
    pub(crate) seq: i64,
    pub(crate) outcome: Accepting,
    pub(crate) answer: Answer<Accepting>,
}

/// The command of [`crate::Store::apply_acks`].
pub(crate) struct ApplyAcks {
    pub(crate) bot_id: i32,
    pub(crate) updates: Vec<(MessageId, AckUpdate)>,
    pub(crate) now: Millis,
    pub(crate) feeds: CommitFeeds,
    pub(crate) audience: Arc<Audience>,
    pub(crate) settled: Vec<MessageId>,
    pub(crate) due: Vec<Due>,
    pub(crate) answer: Answer<()>,
}

/// The command of [`crate::Store::posted`].
pub(crate) struct Posted {
    pub(crate) delivery: i64,
    pub(crate) callback: Callback,
    pub(crate) stage: i8,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) now: Millis,
    pub(crate) next: Option<i8>,
    pub(crate) answer: Answer<Option<i8>>,
}

/// The command of [`crate::Store::reply`]: the messages of a webhook reply and the end of the
/// delivery.
pub(crate) struct Replying {
    pub(crate) rows: Vec<NewMessageRow>,
    pub(crate) delivery: i64,
    pub(crate) note: ReplyNote,
    pub(crate) now: Millis,
    pub(crate) bot_lane: mpsc::UnboundedSender<Committed>,
    pub(crate) first_seq: i64,
    pub(crate) answer: Answer<()>,
}

/// A less frequent command, as a closure.
pub(crate) trait Other: Send {
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        counters: &'c mut Counters,
    ) -> Changing<'c, ()>;

    fn answer(self: Box<Self>, done: Result<(), StoreError>);

    fn name(&self) -> &'static str;
}

/// The future of a change in a transaction.
pub(crate) type Changing<'c, T> = BoxFuture<'c, Result<T, StoreError>>;

struct Closure<I, T, F> {
    name: &'static str,
    input: I,
    change: F,
    outcome: Option<T>,
    answer: Answer<T>,
}

/// Sends a command and returns its result; waits while the queue is full.
pub(crate) async fn submit<T>(
    queue: &mpsc::Sender<Command>,
    command: impl FnOnce(Answer<T>) -> Command,
) -> Result<T, StoreError> {
    let (answer, receiver) = oneshot::channel();
    let sent = queue.send(command(answer)).await;
    sent.map_err(|_| StoreError::Closed)?;
    receiver.await.map_err(|_| StoreError::Closed)?
}

/// Sends a closure and returns its result. `change` may run more than once, each time with `input`.
pub(crate) async fn run<I, T, F>(
    queue: &mpsc::Sender<Command>,
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
    submit(queue, |answer| {
        Command::Other(Box::new(Closure {
            name,
            input,
            change,
            outcome: None,
            answer,
        }))
    })
    .await
}

impl Accept {
    /// Returns `true` if the command is a single SQL statement.
    pub(crate) fn is_one_statement(&self) -> bool {
        self.keeping.is_none()
    }

    /// Reports the commit: first to the lane, so that the order of the queue does not depend on the
    /// order in which callers wake.
    pub(crate) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() && self.outcome == Accepting::Taken {
            // A closed lane belongs to a removed bot or to a stopping process.
            let _ = self
                .lane
                .send(Committed::Accepted(self.row.queued(self.seq)));
        }
        let _ = self.answer.send(done.map(|()| self.outcome));
    }
}

impl ApplyAcks {
    pub(crate) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() {
            // If a channel is closed, the process is stopping; the next process finds the rows in
            // the database.
            for id in self.settled {
                let _ = self.feeds.lane.send(Committed::Settled(id));
            }
            self.feeds.enqueue(self.due);
        }
        let _ = self.answer.send(done);
    }
}

impl Posted {
    pub(crate) fn answer(self, done: Result<(), StoreError>) {
        let _ = self.answer.send(done.map(|()| self.next));
    }
}

impl Replying {
    /// Reports the commit: first to the lane, in the order of the messages.
    pub(crate) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() {
            for (row, seq) in self.rows.into_iter().zip(self.first_seq..) {
                // A closed lane belongs to a removed bot or to a stopping process.
                let _ = self.bot_lane.send(Committed::Accepted(row.queued(seq)));
            }
        }
        let _ = self.answer.send(done);
    }
}

impl<I, T, F> Other for Closure<I, T, F>
where
    I: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c I, &'c mut AnyConnection, &'c mut Counters) -> Changing<'c, T> + Send,
{
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut AnyConnection,
        counters: &'c mut Counters,
    ) -> Changing<'c, ()> {
        let change = (self.change)(&self.input, connection, counters);
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
        let _ = answer.send(done.and_then(|()| outcome.ok_or(StoreError::Closed)));
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
