//! A message on the way into its bot's queue.

use sha2::{Digest, Sha256};
use url::Url;
use waviro_link::{MessageId, Outgoing};

use super::duplicate_rule::Repeats;
use crate::clock::Millis;
use crate::idempotency::KeptAnswer;

/// A message to be accepted.
#[derive(Debug, Clone)]
pub struct NewMessageRow {
    pub(super) bot_id: i32,
    pub(super) message: Outgoing,
    pub(super) chat: String,
    pub(super) kind: &'static str,
    pub(super) body: String,
    pub(super) content_sha256: String,
    pub(super) notify_url: Option<String>,
    pub(super) at: Millis,
    pub(super) epoch: u64,
    pub(super) repeats: Repeats,
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
    /// The message was accepted before under the same idempotency key, with this response.
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

    pub(crate) fn id(&self) -> &str {
        self.message.id.as_str()
    }

    /// Converts the row to the queued message.
    pub(crate) fn queued(self, seq: i64) -> Queued {
        Queued {
            seq,
            accepted_at: self.at,
            epoch: Some(self.epoch),
            message: self.message,
        }
    }
}
