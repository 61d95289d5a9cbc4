//! Conditions on the messages of the message log.

use crate::clock::Millis;

/// Conditions on the messages of a bot; `None` matches all.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// The chat's address.
    pub chat: Option<String>,
    /// The ack, for sent messages only.
    pub ack: Option<i8>,
    /// A part of the text or the caption, compared without case.
    pub text: Option<String>,
    /// The earliest time, inclusive.
    pub since: Option<Millis>,
    /// The latest time, exclusive.
    pub until: Option<Millis>,
}

impl LogFilter {
    /// Returns `true` if `at` is not before the older end of the range.
    pub(super) fn reaches(&self, at: Millis) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    /// Returns a LIKE pattern for the text. The pattern only preselects rows, because the databases
    /// differ in upper and lower case, and a body is JSON. With `json`, the pattern matches the
    /// text as encoded in JSON.
    pub(super) fn pattern(&self, json: bool) -> Option<String> {
        let needle = self.text.as_deref()?.to_lowercase();
        let quoted = if json {
            let quoted = serde_json::Value::from(needle).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        } else {
            needle
        };
        let mut pattern = "%".to_owned();
        for one in quoted.chars() {
            match one {
                '!' | '%' | '_' => pattern.extend(['!', one]),
                // SQLite's `LOWER` handles ASCII only.
                _ if !one.is_ascii() && has_case(one) => pattern.push('%'),
                _ => pattern.push(one),
            }
        }
        pattern.push('%');
        Some(pattern)
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        let needle = self.text.as_ref().map(|needle| needle.to_lowercase());
        needle.is_none_or(|needle| text.to_lowercase().contains(&needle))
    }
}

/// Returns `true` if a letter has another case. The other case may consist of several letters.
fn has_case(one: char) -> bool {
    !one.to_lowercase().eq([one]) || !one.to_uppercase().eq([one])
}
