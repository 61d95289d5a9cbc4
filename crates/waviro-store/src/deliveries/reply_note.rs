//! The outcome of a webhook reply, stored as a code beside a text.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;

/// The outcome of a webhook reply, or the reason for which there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyOutcome {
    /// All messages of the reply were queued.
    Sent,
    /// Some messages were queued; items with an error were left out.
    SentInPart,
    /// Nothing was queued, because every item has an error.
    AllLeftOut,
    /// The answer of the endpoint is empty, or has no item.
    Empty,
    /// The answer is not a reply in JSON.
    Unreadable,
    /// The answer says that the webhook failed (`success` is not true).
    Unsuccessful,
    /// The delivery was replayed, and a reply was sent before.
    RepliedBefore,
    /// The bot is not linked.
    NotLinked,
    /// The bot was removed.
    BotRemoved,
    /// The database refused the messages.
    NotStored,
    /// Nothing was posted, because the rule or the subscription is disabled or was deleted.
    Cancelled,
    /// An older release stored the delivery with a text that names no known outcome.
    Unknown,
}

/// An outcome with its text in English, for the authors of webhooks. The text never decides
/// anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyNote {
    pub outcome: ReplyOutcome,
    pub text: String,
}

impl ReplyOutcome {
    pub const ALL: [Self; 12] = [
        Self::Sent,
        Self::SentInPart,
        Self::AllLeftOut,
        Self::Empty,
        Self::Unreadable,
        Self::Unsuccessful,
        Self::RepliedBefore,
        Self::NotLinked,
        Self::BotRemoved,
        Self::NotStored,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// Returns the stable code, as stored and as shown by `/v1`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SentInPart => "sent_in_part",
            Self::AllLeftOut => "all_left_out",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Unsuccessful => "unsuccessful",
            Self::RepliedBefore => "replied_before",
            Self::NotLinked => "not_linked",
            Self::BotRemoved => "bot_removed",
            Self::NotStored => "not_stored",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the outcome from its code. The migration `0031_causes.sql` gives [`Self::Unknown`]
    /// to the rows of older releases whose text names no known outcome.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let known = Self::ALL.into_iter();
        let mut known = known.filter(|outcome| outcome.code() == code);
        known.next().unwrap_or(Self::Unknown)
    }
}

impl ReplyNote {
    /// Nothing was queued, for this reason.
    #[must_use]
    pub fn nothing_sent(outcome: ReplyOutcome, reason: impl fmt::Display) -> Self {
        Self::new(outcome, format!("nothing sent: {reason}"))
    }

    /// Messages were queued.
    #[must_use]
    pub fn sent(count: usize, left_out: &[String], tolerant: bool) -> Self {
        let mut text = format!("sent {count} messages");
        let mut outcome = ReplyOutcome::Sent;
        if !left_out.is_empty() {
            outcome = ReplyOutcome::SentInPart;
            text = format!("{text}; left out: {}", left_out.join("; "));
        }
        if tolerant {
            text.push_str("; the answer is not strict JSON and was read all the same");
        }
        Self::new(outcome, text)
    }

    /// Nothing was posted.
    #[must_use]
    pub fn cancelled(reason: &str) -> Self {
        Self::new(ReplyOutcome::Cancelled, reason.to_owned())
    }

    fn new(outcome: ReplyOutcome, text: String) -> Self {
        Self { outcome, text }
    }

    /// Reads the columns `note` and `note_code`. `None` without a note.
    pub(super) fn read(row: &AnyRow, [text, code]: [usize; 2]) -> Result<Option<Self>, StoreError> {
        let Some(text) = row.try_get(text)? else {
            return Ok(None);
        };
        let code: Option<String> = row.try_get(code)?;
        let outcome = ReplyOutcome::from_code(code.as_deref().unwrap_or_default());
        Ok(Some(Self { outcome, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_back_from_its_code() {
        for outcome in ReplyOutcome::ALL {
            assert_eq!(ReplyOutcome::from_code(outcome.code()), outcome);
        }
        let unwritten = ReplyOutcome::from_code("sent 2 messages");
        assert_eq!(unwritten, ReplyOutcome::Unknown);
    }
}
