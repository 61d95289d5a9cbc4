//! Messages for sending: accepting them (the duplicate rule included) and reading them back.

mod insert;

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::{mpsc, oneshot};
use url::Url;
use waviro_fault::Bug;
use waviro_link::{Chat, MessageId, Outgoing};

use super::content::{decode, encode, identity};
use super::writer::Command;
use super::{KeepingAnswer, KeptAnswer, Store, StoreError};
use crate::clock::Millis;

pub(super) use insert::{Putting, apply, apply_once, insert};

/// A message about to be accepted.
#[derive(Debug, Clone)]
pub struct NewMessageRow {
    slot: i32,
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

/// Whether a message may say what the one before it said to that chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// It may not.
    Refused,
    /// It may not where the one before was accepted at this moment or later.
    RefusedSince(Millis),
    /// It may.
    Fine,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepting {
    /// It is in the bot's queue.
    Taken,
    /// The message right before it, of that bot to that chat, said the same.
    Duplicate {
        /// That message.
        of: MessageId,
    },
    /// [`Store::accept_once`] alone: it was accepted before, and answered so.
    Before(KeptAnswer),
}

/// A message in a bot's queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Order of acceptance over all bots.
    pub seq: i64,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// The link's epoch at which it was accepted; `None` where it was read back from the database.
    pub epoch: Option<u64>,
    /// What to write on the wire.
    pub message: Outgoing,
}

/// What a commit means to a bot's lane, told in the order of the commits.
#[derive(Debug)]
pub enum Committed {
    /// The message is queued.
    Accepted(Queued),
    /// The message left ack 0.
    Settled(MessageId),
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The bot's slot.
    pub slot: i32,
    /// Where to.
    pub chat: String,
    /// -1 to 3.
    pub ack: i8,
    /// Why -1.
    pub cause: Option<String>,
    /// When it was accepted.
    pub accepted_at: Millis,
}

/// The writer's command.
pub(super) struct Accept {
    row: NewMessageRow,
    /// What is kept with it.
    keeping: Option<KeepingAnswer>,
    lane: mpsc::UnboundedSender<Committed>,
    seq: i64,
    outcome: Accepting,
    answer: oneshot::Sender<Result<Accepting, StoreError>>,
}

impl NewMessageRow {
    /// `at` is the moment of acceptance, `epoch` the link's at that moment.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for a kind of content that this version cannot store.
    pub fn new(
        slot: i32,
        message: Outgoing,
        notify_url: Option<&Url>,
        at: Millis,
        epoch: u64,
    ) -> Result<Self, StoreError> {
        let (kind, body) = encode(&message.content)?;
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update([0]);
        hash.update(identity(&message.content, &body));
        Ok(Self {
            slot,
            chat: message.to.address(),
            kind,
            content_sha256: hex::encode(hash.finalize()),
            body,
            notify_url: notify_url.map(Url::to_string),
            message,
            at,
            epoch,
            repeats: Repeats::Refused,
        })
    }

    /// The same by another duplicate rule; without this a repeat is refused.
    #[must_use]
    pub fn repeats(self, repeats: Repeats) -> Self {
        Self { repeats, ..self }
    }

    /// The message's id.
    pub(super) fn id(&self) -> &str {
        self.message.id.as_str()
    }

    /// The row as it stands in the queue.
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
    /// Puts the message in its bot's queue, in one transaction with the duplicate rule, and tells `lane` after the
    /// commit, in the order of acceptance. Durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where too many wait; [`StoreError::Refused`] where the id is taken.
    pub async fn accept(
        &self,
        row: NewMessageRow,
        lane: mpsc::UnboundedSender<Committed>,
    ) -> Result<Accepting, StoreError> {
        self.submit_accept(row, None, lane).await
    }

    /// The same for a message whose answer is kept, in the same transaction: no kill leaves one without the other. Where an answer
    /// is kept under that id already, nothing is put in, and the duplicate rule is not asked.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub async fn accept_once(
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

    /// The next `limit` messages of a bot's queue after `seq`, oldest first.
    pub async fn pending(
        &self,
        slot: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Queued>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, accepted_at, id, chat, kind, body FROM messages \
             WHERE bot = $1 AND ack = 0 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(i64::from(slot))
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(queued).collect()
    }

    /// When the server took a bot's last messages, at most `limit` of them, in no order.
    pub async fn last_sent(&self, slot: i32, limit: i64) -> Result<Vec<Millis>, StoreError> {
        let rows = sqlx::query(
            "SELECT settled_at FROM messages WHERE bot = $1 AND ack > 0 AND settled_at > 0 \
             ORDER BY settled_at DESC LIMIT $2",
        )
        .bind(i64::from(slot))
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// One message, `None` where there is none of that id.
    pub async fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StoreError> {
        let row =
            sqlx::query("SELECT bot, chat, ack, cause, accepted_at FROM messages WHERE id = $1")
                .bind(id.as_str().to_owned())
                .fetch_optional(&self.reads)
                .await?;
        row.map(|row| {
            Ok(MessageRow {
                slot: narrow(row.try_get(0)?)?,
                chat: row.try_get(1)?,
                ack: narrow(row.try_get(2)?)?,
                cause: row.try_get(3)?,
                accepted_at: row.try_get(4)?,
            })
        })
        .transpose()
    }
}

impl Repeats {
    /// Whether an equal message of that moment makes this one a repeat.
    fn refuses(self, before: Millis) -> bool {
        self != Self::Fine && before >= self.since()
    }

    /// From when on an equal message counts.
    fn since(self) -> Millis {
        match self {
            Self::Refused => Millis::MIN,
            Self::RefusedSince(since) => since,
            Self::Fine => Millis::MAX,
        }
    }
}

impl Accept {
    /// It changes the database by one statement.
    pub(super) fn is_one_statement(&self) -> bool {
        self.keeping.is_none()
    }

    /// After the commit: the lane first, so that the queue's order never depends on how callers are woken.
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() && self.outcome == Accepting::Taken {
            // A lane that is gone belongs to a removed bot or to a process that stops.
            let _ = self
                .lane
                .send(Committed::Accepted(self.row.queued(self.seq)));
        }
        let _ = self.answer.send(done.map(|()| self.outcome));
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
            content: decode(&kind, &body)?,
        },
    })
}

/// The way back from [`Chat::address`].
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

/// Columns are BIGINT on both databases; what is smaller in Rust is checked on the way back.
pub(super) fn narrow<T: TryFrom<i64>>(wide: i64) -> Result<T, StoreError> {
    T::try_from(wide).map_err(|_| StoreError::Unreadable(format!("the number {wide}")))
}
