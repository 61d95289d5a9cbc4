//! The messages of a webhook reply, and the reason for a reply without messages.

use url::Url;
use waviro_link::{Content, MediaKind};
use waviro_store::ReplyOutcome;

/// The most items of one reply. More items are probably the result of a loop, and would flood the
/// chat.
pub const MAX_ITEMS: usize = 50;

/// The items of an answer in order, and the skipped items.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// At most [`MAX_ITEMS`] items. Empty if every item was skipped.
    pub items: Vec<Item>,
    /// The faulty items.
    pub skipped: Vec<Skipped>,
    /// True if the answer is not strict JSON, but could be read.
    pub tolerant: bool,
}

/// An item that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The position in the reply; the first item has 1.
    pub position: usize,
    /// The fault, in words for the author. Contains nothing from the item but a short word such as
    /// its type.
    pub why: String,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Content without a file, checked against the [`limits`](crate::limits) of the API.
    Ready(Content),
    /// A file to fetch and send.
    File {
        /// The webhook's name for the file. The bytes decide about the actual kind.
        kind: MediaKind,
        /// The http or https URL of the file. Not yet checked by the guard.
        url: Url,
        /// The text below the file.
        caption: Option<String>,
    },
    /// A contact card to fetch: a vCard file.
    Card {
        /// The http or https URL of the card.
        url: Url,
    },
}

/// The reason for an answer without messages, in words for the author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// The body is empty or blank.
    #[error("the answer is empty")]
    Blank,
    /// The body is neither JSON nor a text around the JSON of the API document.
    #[error("the answer is not JSON")]
    NotJson,
    /// The body is JSON except for a quotation mark inside a text.
    #[error(
        "the answer is not JSON: the quotation mark at line {line}, column {column} stands inside a text without a backslash; build the answer with json_encode (PHP), json.Marshal (Go) or your language's JSON function, not by joining strings"
    )]
    UnescapedQuote {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// The body is JSON in another shape.
    #[error(
        "the answer holds no reply: {{\"success\":true,\"message\":{{\"reply\":[…]}}}} is expected"
    )]
    NoEnvelope,
    /// `success` is present and not true.
    #[error("success is not true{}", .said.as_deref().map(|said| format!(": {said}")).unwrap_or_default())]
    Unsuccessful {
        /// The start of the accompanying message, at most 200 characters.
        said: Option<String>,
    },
    /// The reply is a list without items.
    #[error("the reply is empty")]
    Empty,
}

impl NoReply {
    /// Returns the outcome for the journal.
    #[must_use]
    pub fn outcome(&self) -> ReplyOutcome {
        match self {
            Self::Blank | Self::Empty => ReplyOutcome::Empty,
            Self::NotJson | Self::UnescapedQuote { .. } | Self::NoEnvelope => {
                ReplyOutcome::Unreadable
            }
            Self::Unsuccessful { .. } => ReplyOutcome::Unsuccessful,
        }
    }
}
