//! Messages to send: accepting with the duplicate rule, and reading back.

mod failure;
mod insert;

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::{mpsc, oneshot};
use url::Url;
use waviro_fault::Bug;
use waviro_link::{Chat, Content, ContentError, MessageId, Outgoing};

use super::writer::Command;
use super::{KeepingAnswer, KeptAnswer, Store, StoreError};
use crate::clock::Millis;

pub use failure::{MessageCause, MessageFailure};
pub(super) use insert::{Insertion, apply, apply_with_key, insert};

/// A message to be accepted.
#[derive(Debug, Clone)]
pub struct NewMessageRow {
    bot_id: i32,
    message: Outgoing,
    chat: String,
    kind: &'static str,
    body: String,
    content_sha256: String,
    notify_url: Option<String>,
    at: Millis,
    epoch: u64,
    repeats: Repeats,
}

/// The duplicate rule for a message: compares the message with the previous message to the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// A repeat is refused.
    Refused,
    /// A repeat is refused if the previous message was accepted at this time or later.
    RefusedSince(Millis),
    /// A repeat is allowed.
    Fine,
}

/// The result of accepting a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepting {
    /// The message is in the bot's queue.
    Taken,
    /// The previous message of the bot to the chat has the same content.
    Duplicate {
        /// The id of the previous message.
        of: MessageId,
    },
    /// Only from [`Store::accept_with_key`]: the message was accepted before, with this response.
    Before(KeptAnswer),
}

/// A message in a bot's queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The position in the order of acceptance over all bots.
    pub seq: i64,
    pub accepted_at: Millis,
    /// The link's epoch at acceptance; `None` for a message read from the database.
    pub epoch: Option<u64>,
    /// The message to send.
    pub message: Outgoing,
}

/// A commit reported to a bot's lane, in the order of the commits.
#[derive(Debug)]
pub enum Committed {
    /// The message is queued.
    Accepted(Queued),
    /// The message left ack 0.
    Settled(MessageId),
}

/// The state of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The bot id.
    pub bot_id: i32,
    /// The address of the recipient.
    pub chat: String,
    /// The ack, -1 to 3.
    pub ack: i8,
    /// The cause, if the message failed.
    pub failure: Option<MessageFailure>,
    pub accepted_at: Millis,
}

/// The command of [`Store::accept`] for the writer.
pub(super) struct Accept {
    row: NewMessageRow,
    /// The response to store with the message.
    keeping: Option<KeepingAnswer>,
    lane: mpsc::UnboundedSender<Committed>,
    seq: i64,
    outcome: Accepting,
    answer: oneshot::Sender<Result<Accepting, StoreError>>,
}

impl NewMessageRow {
    /// Creates a row. `at` is the time of acceptance, `epoch` the link's epoch at that time.
    #[must_use]
    pub fn new(
        bot_id: i32,
        message: Outgoing,
        notify_url: Option<&Url>,
        at: Millis,
        epoch: u64,
    ) -> Self {
        let kind = message.content.kind().word();
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update([0]);
        hash.update(message.content.identity());
        Self {
            bot_id,
            chat: message.to.address(),
            kind,
            content_sha256: hex::encode(hash.finalize()),
            body: message.content.to_json(),
            notify_url: notify_url.map(Url::to_string),
            message,
            at,
            epoch,
            repeats: Repeats::Refused,
        }
    }

    /// Sets the duplicate rule; the default refuses a repeat.
    #[must_use]
    pub fn repeats(self, repeats: Repeats) -> Self {
        Self { repeats, ..self }
    }

    pub(super) fn id(&self) -> &str {
        self.message.id.as_str()
    }

    /// Converts the row to the queued message.
    pub(super) fn queued(self, seq: i64) -> Queued {
        Queued {
            seq,
            accepted_at: self.at,
            epoch: Some(self.epoch),
            message: self.message,
        }
    }
}

impl Store {
    /// Adds a message to its bot's queue and applies the duplicate rule in the same transaction.
    /// After the commit, `lane` gets the accepted messages in the order of acceptance. The message
    /// is durable when the function returns.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the writer's queue is full; [`StoreError::Refused`] if the id is
    /// taken.
    pub async fn accept(
        &self,
        row: NewMessageRow,
        lane: mpsc::UnboundedSender<Committed>,
    ) -> Result<Accepting, StoreError> {
        self.submit_accept(row, None, lane).await
    }

    /// As [`Store::accept`], and stores the response in the same transaction, so that no process
    /// end leaves one without the other. If a response is already stored under the id, nothing is
    /// inserted and the duplicate rule is not checked.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub async fn accept_with_key(
        &self,
        row: NewMessageRow,
        keeping: KeepingAnswer,
        lane: mpsc::UnboundedSender<Committed>,
    ) -> Result<Accepting, StoreError> {
        self.submit_accept(row, Some(keeping), lane).await
    }

    async fn submit_accept(
        &self,
        row: NewMessageRow,
        keeping: Option<KeepingAnswer>,
        lane: mpsc::UnboundedSender<Committed>,
    ) -> Result<Accepting, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let accept = Accept {
            row,
            keeping,
            lane,
            seq: 0,
            outcome: Accepting::Taken,
            answer,
        };
        if waviro_fault::planted(Bug::CommitAfterAnswer) {
            let writes = self.writes.clone();
            waviro_fault::later(async move {
                let _ = writes.send(Command::Accept(Box::new(accept))).await;
            });
            return Ok(Accepting::Taken);
        }
        self.writes
            .try_send(Command::Accept(Box::new(accept)))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns the next `limit` messages of a bot's queue after `seq`, oldest first.
    pub async fn pending(
        &self,
        bot_id: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Queued>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, accepted_at, id, chat, kind, body FROM messages \
             WHERE bot = $1 AND ack = 0 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(i64::from(bot_id))
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(queued).collect()
    }

    /// Returns the times of the last `limit` server acks of a bot, in no order.
    pub async fn last_sent(&self, bot_id: i32, limit: i64) -> Result<Vec<Millis>, StoreError> {
        let rows = sqlx::query(
            "SELECT settled_at FROM messages WHERE bot = $1 AND ack > 0 AND settled_at > 0 \
             ORDER BY settled_at DESC LIMIT $2",
        )
        .bind(i64::from(bot_id))
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Returns a message; `None` if the id is unknown.
    pub async fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StoreError> {
        let row = sqlx::query(
            "SELECT bot, chat, ack, accepted_at, cause, cause_code, whatsapp_code FROM messages WHERE id = $1",
        )
        .bind(id.as_str().to_owned())
        .fetch_optional(&self.reads)
        .await?;
        row.map(|row| {
            Ok(MessageRow {
                bot_id: narrow(row.try_get(0)?)?,
                chat: row.try_get(1)?,
                ack: narrow(row.try_get(2)?)?,
                accepted_at: row.try_get(3)?,
                failure: MessageFailure::read(&row, 4)?,
            })
        })
        .transpose()
    }
}

impl Repeats {
    /// Returns `true` if an equal message accepted at `before` makes the new message a repeat.
    fn refuses(self, before: Millis) -> bool {
        self != Self::Fine && before >= self.since()
    }

    /// The time from which on an equal message counts.
    fn since(self) -> Millis {
        match self {
            Self::Refused => Millis::MIN,
            Self::RefusedSince(since) => since,
            Self::Fine => Millis::MAX,
        }
    }
}

impl Accept {
    /// Returns `true` if the command is a single SQL statement.
    pub(super) fn is_one_statement(&self) -> bool {
        self.keeping.is_none()
    }

    /// Reports the commit: first to the lane, so that the order of the queue does not depend on the
    /// order in which callers wake.
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() && self.outcome == Accepting::Taken {
            // A closed lane belongs to a removed bot or to a stopping process.
            let _ = self
                .lane
                .send(Committed::Accepted(self.row.queued(self.seq)));
        }
        let _ = self.answer.send(done.map(|()| self.outcome));
    }
}

impl From<ContentError> for StoreError {
    fn from(error: ContentError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

fn queued(row: &AnyRow) -> Result<Queued, StoreError> {
    let (chat, kind, body): (String, String, String) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(Queued {
        seq: row.try_get(0)?,
        accepted_at: row.try_get(1)?,
        epoch: None,
        message: Outgoing {
            id: message_id(row.try_get(2)?)?,
            to: parse_chat(&chat)?,
            content: Content::from_json(&kind, &body)?,
        },
    })
}

/// Parses the result of [`Chat::address`].
pub(super) fn parse_chat(address: &str) -> Result<Chat, StoreError> {
    let unreadable = || StoreError::Unreadable("a chat's address".to_owned());
    let (user, server) = address.split_once('@').ok_or_else(unreadable)?;
    match server {
        "c.us" => user.parse().map(Chat::Person).map_err(|_| unreadable()),
        "g.us" => user.parse().map(Chat::Group).map_err(|_| unreadable()),
        "lid" => Ok(Chat::Hidden(user.to_owned())),
        _ => Err(unreadable()),
    }
}

pub(super) fn message_id(text: &str) -> Result<MessageId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Unreadable("a message id".to_owned()))
}

/// Converts a number from the database. Columns are BIGINT in both databases, so smaller types are
/// checked here.
pub(super) fn narrow<T: TryFrom<i64>>(wide: i64) -> Result<T, StoreError> {
    T::try_from(wide).map_err(|_| StoreError::Unreadable(format!("the number {wide}")))
}
