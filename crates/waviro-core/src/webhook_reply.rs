//! Parses the answer of a keyword webhook: the messages in the body of a 2xx response.
//!
//! The parser does no I/O. Webhook authors often build answers by hand, mostly in PHP. The parser
//! therefore accepts both shapes of the API document, and common mistakes. A faulty item is skipped
//! with a text for the author, shown in the journal; the other items are still sent.

mod coordinate;
mod envelope;
mod item;
#[cfg(test)]
#[expect(clippy::panic, reason = "a test panics with the reason")]
mod tests;

use envelope::Entries;
use url::Url;
use waviro_link::{Contact, Location, MediaKind};
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
    /// A text, not empty, with at most [`limits::TEXT_CAP`](crate::limits::TEXT_CAP) characters.
    Text(String),
    /// A location within ±90 and ±180 degrees.
    Location(Location),
    /// A file to fetch and send.
    File {
        /// The webhook's name for the file. The bytes decide about the actual kind.
        kind: MediaKind,
        /// The http or https URL of the file. Not yet checked by the guard.
        url: Url,
        /// The text below the file.
        caption: Option<String>,
    },
    /// A contact card with a name and 1 to 50 numbers.
    Contact(Contact),
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

/// Parses the body of a 2xx response.
///
/// The standard envelopes are `{"success":true,"message":{"reply":[…]}}` and
/// `{"success":true,"message":[…]}`. Also accepted:
///
/// - a single item in place of the list, `reply` beside `success`, or a list or an item without any
///   envelope;
/// - for `success`: true, "true", 1 or "1"; a missing `success` counts as true;
/// - field names and type names in any case;
/// - a plain text as `message` if `success` is present: the text is sent. Without `success` such a
///   text is no reply, because many frameworks acknowledge a request in that form;
/// - a byte order mark, blanks, and the output of PHP and web hosts around the JSON (for example a
///   warning in HTML); in such a body the parser searches only for an object with `success`;
/// - JSON built by hand, see [`crate::lenient_json`]; a reply encoded twice; an object with numbers
///   as keys in place of a list.
///
/// Each item is `{"type":…,"content":…}`. A list as content stands for an item for each entry:
///
/// | type | content |
/// |---|---|
/// | `message`, `text` | the text, or a number |
/// | `location` | `"LAT-LONG"`, with `-`, `,` or `;` between; `{"coordinate":…}`, `{"latitude":…,"longitude":…}`, `[LAT, LONG]` |
/// | `audio`, `image`, `document`, `video` | the URL, or `{"url":…}` |
/// | `contact`, `vcard` | `{"name":…,"numbers":[…]}`, the same as a JSON text, or the URL of a vCard |
///
/// A file may have a `caption` (or `pesan`, as in the API). A location may have a `name` (or
/// `caption`, `pesan`). Both may be beside `content` or inside `content`.
///
/// # Errors
/// [`NoReply`], with the reason.
pub fn parse(body: &[u8]) -> Result<Parsed, NoReply> {
    let Entries { entries, tolerant } = envelope::entries(body)?;
    let mut parsed = Parsed {
        items: Vec::new(),
        skipped: Vec::new(),
        tolerant,
    };
    let mut seen = 0;
    for (position, entry) in (1..).zip(&entries) {
        if seen >= MAX_ITEMS {
            let left = entries.len() + 1 - position;
            let why = format!(
                "a reply has at most {MAX_ITEMS} items; this and all after it, {left} in all, are left out"
            );
            parsed.skipped.push(Skipped { position, why });
            break;
        }
        let read = item::read(entry, MAX_ITEMS - seen);
        seen += read.len();
        for one in read {
            match one {
                Ok(item) => parsed.items.push(item),
                Err(why) => parsed.skipped.push(Skipped { position, why }),
            }
        }
    }
    Ok(parsed)
}
