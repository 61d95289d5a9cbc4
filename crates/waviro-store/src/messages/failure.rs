//! The causes of failed messages (ack -1), stored as a code beside a text.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;
use waviro_link::Nack;

use crate::error::StoreError;
use crate::row::narrow;

/// The cause of a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageCause {
    /// WhatsApp refused the message.
    Nack(Nack),
    /// WhatsApp refused a query that the message needs, with this error code. For example the group
    /// is gone, or the bot is not a member.
    Refused(u16),
    /// The gateway or the client library cannot build the message, for example because its file is
    /// gone.
    Unsendable,
    /// The message could not be sent within 24 hours.
    Expired,
    /// The phone or WhatsApp removed the device before the message was sent.
    LoggedOut,
    /// WhatsApp banned the account before the message was sent.
    Banned,
    /// The bot was removed before the message was sent.
    BotRemoved,
    /// The bot was not linked any more when the message was to be sent.
    NotLinked,
    /// An older release stored the message with a text that names no known cause.
    Unknown,
}

/// A cause with its text in English, for people who read logs and the API. The text never decides
/// anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageFailure {
    pub cause: MessageCause,
    pub text: String,
}

impl MessageCause {
    /// One cause for each code.
    pub const ALL: [Self; 9] = [
        Self::Nack(Nack::FirstMessage),
        Self::Refused(404),
        Self::Unsendable,
        Self::Expired,
        Self::LoggedOut,
        Self::Banned,
        Self::BotRemoved,
        Self::NotLinked,
        Self::Unknown,
    ];

    /// Returns the stable code, as stored and as shown by `/v1`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Nack(_) => "nack",
            Self::Refused(_) => "refused",
            Self::Unsendable => "unsendable",
            Self::Expired => "expired",
            Self::LoggedOut => "logged_out",
            Self::Banned => "banned",
            Self::BotRemoved => "bot_removed",
            Self::NotLinked => "not_linked",
            Self::Unknown => "unknown",
        }
    }

    /// Returns WhatsApp's own error code, if WhatsApp refused.
    #[must_use]
    pub fn whatsapp_code(self) -> Option<u16> {
        match self {
            Self::Nack(nack) => Some(nack.code()),
            Self::Refused(code) => Some(code),
            Self::Unsendable
            | Self::Expired
            | Self::LoggedOut
            | Self::Banned
            | Self::BotRemoved
            | Self::NotLinked
            | Self::Unknown => None,
        }
    }

    /// Returns the cause from its code and WhatsApp's code. The migration
    /// `0031_causes.sql` gives [`Self::Unknown`] to the rows of older releases whose text names no
    /// known cause.
    #[must_use]
    pub fn from_code(code: &str, whatsapp_code: Option<u16>) -> Self {
        let number = whatsapp_code.unwrap_or(0);
        match Self::ALL.into_iter().find(|cause| cause.code() == code) {
            Some(Self::Nack(_)) => Self::Nack(Nack::from_code(number)),
            Some(Self::Refused(_)) => Self::Refused(number),
            Some(cause) => cause,
            None => Self::Unknown,
        }
    }
}

impl MessageFailure {
    /// WhatsApp refused the message.
    #[must_use]
    pub fn nack(nack: Nack) -> Self {
        Self::new(MessageCause::Nack(nack), format!("nack: {nack}"))
    }

    /// WhatsApp refused a query with this error.
    #[must_use]
    pub fn refused(code: u16, text: &str) -> Self {
        let cause = MessageCause::Refused(code);
        Self::new(cause, format!("refused: {code} {text}"))
    }

    /// The message cannot be built.
    #[must_use]
    pub fn unsendable(reason: &str) -> Self {
        Self::new(MessageCause::Unsendable, format!("refused: {reason}"))
    }

    /// The message could not be sent in time.
    #[must_use]
    pub fn expired() -> Self {
        let text = "expired: not sent within 24 hours";
        Self::new(MessageCause::Expired, text.to_owned())
    }

    /// The phone or WhatsApp removed the device.
    #[must_use]
    pub fn logged_out(reason: &str) -> Self {
        Self::new(MessageCause::LoggedOut, format!("logged_out: {reason}"))
    }

    /// WhatsApp banned the account.
    #[must_use]
    pub fn banned(reason: &str) -> Self {
        Self::new(MessageCause::Banned, format!("banned: {reason}"))
    }

    /// The bot was removed.
    #[must_use]
    pub fn bot_removed() -> Self {
        Self::new(MessageCause::BotRemoved, "bot_removed".to_owned())
    }

    /// The bot was not linked; `state` is the word of the link's state.
    #[must_use]
    pub fn not_linked(state: &str) -> Self {
        Self::new(MessageCause::NotLinked, state.to_owned())
    }

    /// The message was accepted while its device ended.
    #[must_use]
    pub fn link_ended() -> Self {
        Self::not_linked("link_ended")
    }

    fn new(cause: MessageCause, text: String) -> Self {
        Self { cause, text }
    }

    /// Reads the columns `cause`, `cause_code` and `whatsapp_code`, which stand in this order from
    /// the column `first`. `None` for a message that did not fail.
    pub(crate) fn read(row: &AnyRow, first: usize) -> Result<Option<Self>, StoreError> {
        let Some(text) = row.try_get(first)? else {
            return Ok(None);
        };
        let code: Option<String> = row.try_get(first + 1)?;
        let whatsapp_code: Option<i64> = row.try_get(first + 2)?;
        let whatsapp_code = whatsapp_code.map(narrow).transpose()?;
        let cause = MessageCause::from_code(code.as_deref().unwrap_or_default(), whatsapp_code);
        Ok(Some(Self { cause, text }))
    }
}

impl fmt::Display for MessageFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_read_back_from_its_code() {
        let nacks = Nack::KNOWN.into_iter().chain([Nack::Other(499)]);
        let causes = MessageCause::ALL.into_iter();
        for cause in causes.chain(nacks.map(MessageCause::Nack)) {
            let read = MessageCause::from_code(cause.code(), cause.whatsapp_code());
            assert_eq!(read, cause);
        }
    }

    #[test]
    fn an_unwritten_code_is_an_unknown_cause() {
        for code in ["", "nack: 463", "something"] {
            assert_eq!(MessageCause::from_code(code, None), MessageCause::Unknown);
        }
    }
}
