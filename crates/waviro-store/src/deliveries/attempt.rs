//! An attempt and the cause of its failure, stored as a code beside a text.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::clock::Millis;
use crate::error::StoreError;
use crate::row::narrow;

/// An attempt, as stored in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The start time.
    pub at: Millis,
    pub url: String,
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// The time from the request to the last byte of the response, or to the failure.
    pub took_ms: i64,
    /// The network address of the connection.
    pub address: Option<String>,
    /// The beginning of the response body.
    pub answer: String,
    /// The failure; `None` for a success.
    pub failure: Option<AttemptFailure>,
}

/// The cause for which an attempt does not count as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptCause {
    /// The endpoint answered with this status, other than 2xx.
    Status(u16),
    /// The guard forbids the address of the endpoint.
    Refused,
    /// The endpoint did not complete its answer in time.
    TimedOut,
    /// The connection failed or was lost.
    Unreachable,
    /// The gateway could not create its HTTP client.
    NoClient,
    /// The endpoint accepted the webhook and redirected to its answer. The next attempt reads the
    /// answer.
    Redirected,
    /// The URL of the answer, to which the endpoint redirected, answered 410.
    AnswerGone,
    /// An older release stored the attempt with a text that names no known cause.
    Unknown,
}

/// A cause with its text in English, for people who read logs and the API. The text never decides
/// anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFailure {
    pub cause: AttemptCause,
    pub text: String,
}

impl Attempt {
    /// The column `cause`, and `last_error` of a delivery.
    pub(crate) fn text(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.text.as_str())
    }

    /// The column `cause_code`, and `last_error_code` of a delivery.
    pub(crate) fn code(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.cause.code())
    }

    /// The column `last_status` of a delivery.
    pub(super) fn failed_status(&self) -> Option<i64> {
        let status = self.failure.as_ref()?.cause.status();
        status.map(i64::from)
    }
}

impl AttemptCause {
    /// One cause for each code.
    pub const ALL: [Self; 8] = [
        Self::Status(500),
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::NoClient,
        Self::Redirected,
        Self::AnswerGone,
        Self::Unknown,
    ];

    /// Returns the stable code, as stored and as shown by `/v1`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::NoClient => "no_client",
            Self::Redirected => "redirected",
            Self::AnswerGone => "answer_gone",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the status of the endpoint, if the status is the cause.
    #[must_use]
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::Refused
            | Self::TimedOut
            | Self::Unreachable
            | Self::NoClient
            | Self::Redirected
            | Self::AnswerGone
            | Self::Unknown => None,
        }
    }

    /// Returns the cause from its code and the status of the endpoint. The migration
    /// `0031_causes.sql` gives [`Self::Unknown`] to the rows of older releases whose text names no
    /// known cause.
    #[must_use]
    pub fn from_code(code: &str, status: Option<u16>) -> Self {
        match Self::ALL.into_iter().find(|cause| cause.code() == code) {
            Some(Self::Status(_)) => status.map_or(Self::Unknown, Self::Status),
            Some(cause) => cause,
            None => Self::Unknown,
        }
    }
}

impl AttemptFailure {
    #[must_use]
    pub fn new(cause: AttemptCause, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cause, text }
    }

    /// The endpoint answered with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(AttemptCause::Status(status), format!("status {status}"))
    }

    /// The endpoint redirected to its answer.
    #[must_use]
    pub fn redirected() -> Self {
        Self::new(AttemptCause::Redirected, "redirected to the answer")
    }

    /// The URL of the answer answered 410.
    #[must_use]
    pub fn answer_gone() -> Self {
        Self::new(AttemptCause::AnswerGone, "unreachable: status 410")
    }

    /// Reads a text with its code and its status from these columns. `None` without a text.
    pub(super) fn read(row: &AnyRow, columns: [usize; 3]) -> Result<Option<Self>, StoreError> {
        let [text, code, status] = columns;
        let Some(text) = row.try_get(text)? else {
            return Ok(None);
        };
        let code: Option<String> = row.try_get(code)?;
        let status: Option<i64> = row.try_get(status)?;
        let status = status.map(narrow).transpose()?;
        let cause = AttemptCause::from_code(code.as_deref().unwrap_or_default(), status);
        Ok(Some(Self { cause, text }))
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_read_back_from_its_code() {
        for cause in AttemptCause::ALL {
            let read = AttemptCause::from_code(cause.code(), cause.status());
            assert_eq!(read, cause);
        }
        let unwritten = AttemptCause::from_code("status 500", Some(500));
        assert_eq!(unwritten, AttemptCause::Unknown);
    }
}
