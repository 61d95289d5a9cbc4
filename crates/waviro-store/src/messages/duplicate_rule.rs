//! The duplicate rule: a message with the same content as the last message of the bot to the chat
//! is refused.
//!
//! `Content::identity` of `waviro-link` gives the compared content. The settings of the bot give
//! the window. [`super::insert`] applies the rule in the inserting statement, so concurrent
//! requests cannot both pass.

use crate::clock::Millis;

/// The duplicate rule for a message: compares the message with the previous message to the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// A repeat is refused.
    Refused,
    /// A repeat is refused if the previous message was accepted at this time or later.
    RefusedSince(Millis),
    /// A repeat is allowed.
    Fine,
}

impl Repeats {
    /// Returns `true` if an equal message accepted at `before` makes the new message a repeat.
    pub(super) fn refuses(self, before: Millis) -> bool {
        self != Self::Fine && before >= self.since()
    }

    /// The time from which on an equal message counts.
    pub(super) fn since(self) -> Millis {
        match self {
            Self::Refused => Millis::MIN,
            Self::RefusedSince(since) => since,
            Self::Fine => Millis::MAX,
        }
    }
}
