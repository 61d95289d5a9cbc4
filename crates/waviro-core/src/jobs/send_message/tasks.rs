//! The tasks that run beside a lane, and their outcomes.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use waviro_link::{Chat, Content, Link, LinkError, MessageId, Number};
use waviro_store::clock::Millis;
use waviro_store::{MessageFailure, Queued, StoreError};

use super::backlog::Read;
use super::failures::Failures;
use super::window::Written;
use super::write::Write;
use crate::outbox::Outbox;

/// The running tasks of a lane.
pub(super) struct Tasks {
    failures: Failures,
    outbox: Outbox,
    running: FuturesUnordered<BoxFuture<'static, Outcome>>,
    writing: usize,
}

/// The outcome of a task.
pub(super) enum Outcome {
    Wrote {
        seq: i64,
        id: MessageId,
        chat: Chat,
        written: Written,
        result: Result<(), LinkError>,
    },
    /// The times of the bot's last messages, needed to continue the pace after a restart.
    Remembered(Result<Vec<Millis>, StoreError>),
    Read {
        limit: usize,
        result: Result<Vec<Queued>, StoreError>,
    },
    Ended {
        up_to: i64,
        result: Result<(), StoreError>,
    },
    Done,
}

impl Tasks {
    pub(super) fn new(failures: Failures, outbox: Outbox) -> Self {
        Self {
            failures,
            outbox,
            running: FuturesUnordered::new(),
            writing: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Returns the number of writes in progress.
    pub(super) fn writing(&self) -> usize {
        self.writing
    }

    /// Waits for the end of a task. `None` if no task runs.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        let outcome = self.running.next().await?;
        if matches!(outcome, Outcome::Wrote { .. }) {
            self.writing -= 1;
        }
        Some(outcome)
    }

    /// Writes a message to WhatsApp.
    pub(super) fn write(&mut self, seq: i64, written: Written, mut write: Write) {
        self.writing += 1;
        write.message = self.outbox.located(write.message);
        self.start(async move {
            let (id, chat) = (write.message.id.clone(), write.message.to.clone());
            Outcome::Wrote {
                seq,
                id,
                chat,
                written,
                result: write.run().await,
            }
        });
    }

    /// Reads further messages from the database.
    pub(super) fn read(&mut self, Read { after, limit }: Read) {
        let (store, bot_id) = (self.failures.store.clone(), self.failures.bot.id());
        self.start(async move {
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let result = store.pending(bot_id, after, most).await;
            Outcome::Read { limit, result }
        });
    }

    /// Reads the times of the bot's last messages, `most` at the most.
    pub(super) fn remember(&mut self, most: usize) {
        let (store, bot_id) = (self.failures.store.clone(), self.failures.bot.id());
        self.start(async move {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            Outcome::Remembered(store.last_sent(bot_id, most).await)
        });
    }

    /// Reconnects the link.
    pub(super) fn reconnect(&mut self, link: Arc<dyn Link>) {
        self.start(async move {
            link.reconnect().await;
            Outcome::Done
        });
    }

    /// Ends messages with -1.
    pub(super) fn fail(&mut self, ids: Vec<MessageId>, failure: MessageFailure) {
        let failures = self.failures.clone();
        self.start(async move {
            failures.fail(ids, failure).await;
            Outcome::Done
        });
    }

    /// Ends all messages accepted before the device ended.
    pub(super) fn end_queue(&mut self, up_to: i64, failure: MessageFailure) {
        let failures = self.failures.clone();
        self.start(async move {
            let result = failures.end_queue(up_to, failure).await;
            Outcome::Ended { up_to, result }
        });
    }

    /// Removes the file of a final message.
    pub(super) fn remove_file(&mut self, content: Content) {
        let outbox = self.outbox.clone();
        self.start(async move {
            outbox.remove_file(&content).await;
            Outcome::Done
        });
    }

    /// Forgets the stored lookup of a number that WhatsApp refused.
    pub(super) fn forget_number(&mut self, number: Number) {
        let outbox = self.outbox.clone();
        self.start(async move {
            outbox.number_gone(&number).await;
            Outcome::Done
        });
    }

    fn start(&mut self, task: impl Future<Output = Outcome> + Send + 'static) {
        self.running.push(Box::pin(task));
    }
}
