//! Messages to send: accepting with the duplicate rule, and reading back.

mod duplicate_rule;
mod failure;
mod insert;
mod queue;

use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::{mpsc, oneshot};
use waviro_fault::Bug;
use waviro_link::{Content, MessageId, Outgoing};

use crate::clock::Millis;
use crate::command::{Accept, Command};
use crate::idempotency::KeepingAnswer;
use crate::row::{self, message_id, narrow};
use crate::{Store, StoreError};

pub use duplicate_rule::Repeats;
pub use failure::{MessageCause, MessageFailure};
pub(crate) use insert::{Insertion, apply, apply_with_key, insert};
pub use queue::{Accepting, Committed, NewMessageRow, Queued};

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

impl Store {
    /// Adds a message to its bot's queue and applies the duplicate rule in the same transaction.
    /// After the commit, `lane` gets the accepted messages in the order of acceptance. The message
    /// is durable when the function returns.
    ///
    /// `keeping` is stored in the same transaction, so that no process end leaves the message
    /// without its response. If a response is already stored under the id, nothing is inserted and
    /// the duplicate rule is not checked.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the writer's queue is full; [`StoreError::Refused`] if the id is
    /// taken.
    pub async fn accept(
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
        let times = sqlx::query_scalar(
            "SELECT settled_at FROM messages WHERE bot = $1 AND ack > 0 AND settled_at > 0 \
             ORDER BY settled_at DESC LIMIT $2",
        )
        .bind(i64::from(bot_id))
        .bind(limit);
        Ok(times.fetch_all(&self.reads).await?)
    }

    /// Returns a message; `None` if the id is unknown.
    pub async fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StoreError> {
        let row = sqlx::query(
            "SELECT bot, chat, ack, accepted_at, cause, cause_code, whatsapp_code FROM messages WHERE id = $1",
        )
        .bind(id.as_str())
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

fn queued(row: &AnyRow) -> Result<Queued, StoreError> {
    let (chat, kind, body): (String, String, String) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(Queued {
        seq: row.try_get(0)?,
        accepted_at: row.try_get(1)?,
        epoch: None,
        message: Outgoing {
            id: message_id(row.try_get(2)?)?,
            to: row::chat(&chat)?,
            content: Content::from_json(&kind, &body)?,
        },
    })
}
