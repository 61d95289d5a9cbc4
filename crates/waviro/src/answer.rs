//! What a keyword webhook wants sent: the messages in the body of its 2xx answer.
//!
//! Pure: bytes in, items out. The audience writes its answers by hand, in PHP as often as not, so both shapes of the document
//! are read, and what people write for them. What is wrong with an item is told in words, for the journal that its author reads,
//! and keeps no other item from being sent.

mod coordinate;
mod envelope;
mod item;
#[cfg(test)]
#[expect(clippy::panic, reason = "a test that cannot go on says why and ends")]
mod tests;

use envelope::Entries;
use url::Url;
use waviro_link::{Contact, Location, MediaKind};

/// The most items of one reply. A chat that gets more is flooded, by a loop more likely than by wish.
pub const MOST: usize = 50;

/// The most characters of a text. WhatsApp's own clients stop there.
pub const TEXT_CAP: usize = 65_536;

/// The most bytes of a URL: what browsers, proxies and web servers agree on at least.
pub const URL_CAP: usize = 2048;

/// What is to be sent, in order, and what is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// At most [`MOST`]. Empty where every item had to be skipped.
    pub items: Vec<Item>,
    /// What is wrong with the others.
    pub skipped: Vec<Skipped>,
    /// Whether the answer is not strict JSON and was read all the same.
    pub tolerant: bool,
}

/// An item that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the reply; the first is 1.
    pub position: usize,
    /// What is wrong with it, in words for its author. Holds nothing of its content but a short word like its type.
    pub why: String,
}

/// One message to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A text, not empty, at most [`TEXT_CAP`] characters.
    Text(String),
    /// A place within ±90 and ±180 degrees.
    Location(Location),
    /// A file to fetch and send.
    File {
        /// What the webhook calls it. What it is, its bytes say.
        kind: MediaKind,
        /// Where it is; http or https. Whether it may be called is for `net` to say.
        url: Url,
        /// What is to stand under it.
        caption: Option<String>,
    },
    /// A card with a name and 1 to 50 numbers.
    Contact(Contact),
    /// A card that is to be fetched: a vCard file. Http or https.
    Card {
        /// Where it is.
        url: Url,
    },
}

/// Why an answer holds nothing to send, in words for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// No bytes, or blanks alone.
    #[error("the answer is empty")]
    Blank,
    /// Neither JSON nor text with the document's JSON in it.
    #[error("the answer is not JSON")]
    NotJson,
    /// JSON but for a quotation mark inside a text.
    #[error(
        "the answer is not JSON: the quotation mark at line {line}, column {column} stands inside a text without a backslash; build the answer with json_encode (PHP), json.Marshal (Go) or your language's JSON function, not by joining strings"
    )]
    UnescapedQuote {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error(
        "the answer holds no reply: {{\"success\":true,\"message\":{{\"reply\":[…]}}}} is expected"
    )]
    NoEnvelope,
    /// `success` is there, and not true.
    #[error("success is not true{}", .said.as_deref().map(|said| format!(": {said}")).unwrap_or_default())]
    Unsuccessful {
        /// The beginning of what it says beside it, at most 200 characters.
        said: Option<String>,
    },
    /// A list without items.
    #[error("the reply is empty")]
    Empty,
}

/// Reads the body of a 2xx answer.
///
/// The envelope: `{"success":true,"message":{"reply":[…]}}` and `{"success":true,"message":[…]}`, and also with one item in the
/// place of the list, with `reply` beside `success`, or a list or an item without anything around it. `success` is true,
/// "true", 1 or "1"; left out, it is taken for true. Names of fields and types may be written in any case. Where `success` is there,
/// a `message` that is a mere text is one text to send; where it is not, such a text is no reply, since many frameworks
/// acknowledge in that way. Around the whole may stand a byte order mark, blanks, and what PHP and its hosts print before and
/// after (a warning in HTML); then only an object with `success` is looked for. JSON that was built by hand is read as
/// [`crate::lenient_json`] does. A reply may be encoded twice, and a list may be an object with numbers for keys.
///
/// The items, each `{"type":…,"content":…}`, where a list as content is one item for each of its entries:
///
/// | type | content |
/// |---|---|
/// | `message`, `text` | the text, or a number |
/// | `location` | `"LAT-LONG"`, with `-`, `,` or `;` between; `{"coordinate":…}`, `{"latitude":…,"longitude":…}`, `[LAT, LONG]` |
/// | `audio`, `image`, `document`, `video` | the URL, or `{"url":…}` |
/// | `contact`, `vcard` | `{"name":…,"numbers":[…]}`, the JSON text of that, or the URL of a vCard |
///
/// A file may have a `caption` (or `pesan`, as in the API), a place a `name` (or these), beside `content` or in it.
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
        if seen >= MOST {
            let left = entries.len() + 1 - position;
            let why = format!(
                "a reply has at most {MOST} items; this and all after it, {left} in all, are left out"
            );
            parsed.skipped.push(Skipped { position, why });
            break;
        }
        let read = item::read(entry, MOST - seen);
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
