//! Parses the answer of a keyword webhook: the messages in the body of a 2xx response.
//!
//! The parser does no I/O. Webhook authors often build answers by hand, mostly in PHP. The parser
//! therefore accepts both shapes of the API document, and common mistakes. A faulty item is skipped
//! with a text for the author, shown in the journal; the other items are still sent.

mod coordinate;
mod envelope;
mod item;
mod reply;
#[cfg(test)]
#[expect(clippy::panic, reason = "a test panics with the reason")]
mod tests;

use envelope::Entries;

pub use item::TYPES;
pub use reply::{Item, MAX_ITEMS, NoReply, Parsed, Skipped};

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
/// The types of items and their contents are listed in `item.rs`.
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
