//! The stable codes of failures, described for the OpenAPI document. The codes are the codes of
//! the store, in the same words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waviro_store::{AttemptCause, MessageCause, ReplyOutcome};

/// The cause of a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageCauseCode {
    /// WhatsApp refused the message; `whatsapp_code` has the reason.
    Nack,
    /// WhatsApp refused a query that the message needs; `whatsapp_code` has the reason. For example
    /// the group is gone, or the bot is not a member.
    Refused,
    /// The message cannot be built, for example because its file is gone.
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
    /// An older release stored the message with an unknown cause.
    Unknown,
}

/// The cause for which an attempt does not count as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptCauseCode {
    /// The endpoint answered with a status other than 2xx.
    Status,
    /// The gateway may not call the address of the endpoint.
    Refused,
    /// The endpoint did not complete its answer in time.
    TimedOut,
    /// The connection failed or was lost.
    Unreachable,
    /// The gateway has too few resources for a connection.
    NoClient,
    /// The endpoint accepted the webhook and redirected to its answer.
    Redirected,
    /// The URL of the answer, to which the endpoint redirected, answered 410.
    AnswerGone,
    /// An older release stored the attempt with an unknown cause.
    Unknown,
}

/// The outcome of a webhook reply, or the reason for which there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyOutcomeCode {
    /// All messages of the reply were sent.
    Sent,
    /// Some messages were sent; items with an error were left out.
    SentInPart,
    /// Nothing was sent, because every item has an error.
    AllLeftOut,
    /// The answer is empty, or has no item.
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
    /// Nothing was posted, because the rule or subscription is disabled or was deleted.
    Cancelled,
    /// An older release stored the delivery with an unknown outcome.
    Unknown,
}

impl From<MessageCause> for MessageCauseCode {
    fn from(cause: MessageCause) -> Self {
        match cause {
            MessageCause::Nack(_) => Self::Nack,
            MessageCause::Refused(_) => Self::Refused,
            MessageCause::Unsendable => Self::Unsendable,
            MessageCause::Expired => Self::Expired,
            MessageCause::LoggedOut => Self::LoggedOut,
            MessageCause::Banned => Self::Banned,
            MessageCause::BotRemoved => Self::BotRemoved,
            MessageCause::NotLinked => Self::NotLinked,
            MessageCause::Unknown => Self::Unknown,
        }
    }
}

impl From<AttemptCause> for AttemptCauseCode {
    fn from(cause: AttemptCause) -> Self {
        match cause {
            AttemptCause::Status(_) => Self::Status,
            AttemptCause::Refused => Self::Refused,
            AttemptCause::TimedOut => Self::TimedOut,
            AttemptCause::Unreachable => Self::Unreachable,
            AttemptCause::NoClient => Self::NoClient,
            AttemptCause::Redirected => Self::Redirected,
            AttemptCause::AnswerGone => Self::AnswerGone,
            AttemptCause::Unknown => Self::Unknown,
        }
    }
}

impl From<ReplyOutcome> for ReplyOutcomeCode {
    fn from(outcome: ReplyOutcome) -> Self {
        match outcome {
            ReplyOutcome::Sent => Self::Sent,
            ReplyOutcome::SentInPart => Self::SentInPart,
            ReplyOutcome::AllLeftOut => Self::AllLeftOut,
            ReplyOutcome::Empty => Self::Empty,
            ReplyOutcome::Unreadable => Self::Unreadable,
            ReplyOutcome::Unsuccessful => Self::Unsuccessful,
            ReplyOutcome::RepliedBefore => Self::RepliedBefore,
            ReplyOutcome::NotLinked => Self::NotLinked,
            ReplyOutcome::BotRemoved => Self::BotRemoved,
            ReplyOutcome::NotStored => Self::NotStored,
            ReplyOutcome::Cancelled => Self::Cancelled,
            ReplyOutcome::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, to_value};

    use super::*;

    #[test]
    fn every_code_of_the_api_is_the_code_in_the_database() {
        for cause in MessageCause::ALL {
            let code = to_value(MessageCauseCode::from(cause)).unwrap();
            assert_eq!(code, Value::from(cause.code()));
        }
        for cause in AttemptCause::ALL {
            let code = to_value(AttemptCauseCode::from(cause)).unwrap();
            assert_eq!(code, Value::from(cause.code()));
        }
        for outcome in ReplyOutcome::ALL {
            let code = to_value(ReplyOutcomeCode::from(outcome)).unwrap();
            assert_eq!(code, Value::from(outcome.code()));
        }
    }
}
