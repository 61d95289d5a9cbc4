//! The reasons for refusing a message, a lookup or a file.

use waviro_link::{LinkError, MessageId, Status};
use waviro_store::StoreError;

use crate::net::FetchError;
use crate::permits::NoPermit;

/// The reason for refusing a message or a lookup.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bot has no working link; the state gives the cause. [`Status::Reconnecting`] means that
    /// the grace time is over, or that the number could not be looked up in time.
    #[error("the bot is not connected: {}", .0.word())]
    NotConnected(Status),
    #[error("the number is not on WhatsApp")]
    NotRegistered,
    #[error("the bot is not in the group")]
    NotInGroup,
    /// The duplicate rule refuses the message: the last message to the same chat had the same
    /// content.
    #[error("a repeat of {}", .of.as_str())]
    Duplicate {
        /// The id of the earlier message.
        of: MessageId,
    },
    /// WhatsApp did not answer whether the number is registered, or in which groups the bot is.
    #[error("WhatsApp could not be asked: {0}")]
    LookupFailed(LinkError),
    /// The file could not be fetched.
    #[error("no file: {0}")]
    NoFile(FetchError),
    /// No further file is accepted at the moment.
    #[error("no room for another file: {0:?}")]
    NoRoom(NoRoom),
    /// The database has too many writes waiting. A retry after one second may succeed.
    #[error("too many messages at once")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Storage(StoreError),
}

/// The limit that prevents another file. Messages without a file are still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Too many files are being fetched, for this bot or in all.
    Fetches(NoPermit),
    /// Too many files of the bot wait in the spool.
    Waiting {
        /// The most files of one bot.
        files: u64,
        /// The most MiB of one bot's files.
        mib: u64,
    },
    /// The free space on the disk is below `limits.free_disk_mib`.
    Disk,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            other => Self::Storage(other),
        }
    }
}
