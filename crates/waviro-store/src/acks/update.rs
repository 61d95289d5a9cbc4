//! Updates of a message's ack, and the channels that get the result.

use tokio::sync::mpsc;

use crate::deliveries::Due;
use crate::messages::{Committed, MessageFailure};

/// An update of a message's ack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckUpdate {
    /// The message reached ack 1 to 3. A value that is not above the known ack changes nothing. A
    /// message to a group stays at 1.
    Reached(i8),
    /// A device of a group member received or read the message. The update implies that the server
    /// took the message.
    Member {
        /// 2 for delivered, 3 for read.
        level: i8,
        /// The member's address, `628…@c.us` or `…@lid`.
        member: String,
        /// The member's level becomes the ack of the whole group message.
        for_all: bool,
    },
    /// As [`Self::Reached`], but a message to a group rises too.
    ReachedSomebody(i8),
    /// The message failed. Changes nothing unless the ack is 0.
    Failed(MessageFailure),
    /// A receipt. Changes nothing unless the sender is a recipient of the message.
    Receipt {
        /// The sender and the chat of the receipt.
        by: Reader,
        /// The update reported by the receipt.
        update: Box<AckUpdate>,
    },
}

/// The sender and the chat of a receipt. Anybody who knows the id of a message can send a receipt
/// for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The receipt came from a group.
    pub in_group: bool,
    /// The group's address as stored in the database, if known.
    pub group: Option<String>,
    /// The sender's addresses as stored in the database: by number and by LID. Empty if WhatsApp
    /// does not name the sender.
    pub names: Vec<String>,
}

impl Reader {
    /// Returns `true` if a message to `chat` was sent to this sender. A group's receipts need no
    /// check of the member, because the server forwards receipts of members only.
    pub(super) fn is_recipient(&self, chat: &str, is_group: bool) -> bool {
        if self.in_group {
            return is_group && self.group.as_deref().is_none_or(|group| group == chat);
        }
        !is_group && (self.names.is_empty() || self.names.iter().any(|name| name == chat))
    }
}

/// The channels to notify after the commit.
#[derive(Debug, Clone)]
pub struct CommitFeeds {
    /// The bot's lane; gets the messages that left ack 0.
    pub lane: mpsc::UnboundedSender<Committed>,
    /// The deliveries that are due at once, leased to this process.
    pub deliveries: mpsc::UnboundedSender<Due>,
}

impl CommitFeeds {
    /// Sends due deliveries to the delivery engine. If the channel is closed, the process is
    /// stopping; the next process finds the rows in the database.
    pub fn enqueue(&self, due: Vec<Due>) {
        for due in due {
            let _ = self.deliveries.send(due);
        }
    }
}
