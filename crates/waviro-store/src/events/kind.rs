//! The kinds of events, and sets of kinds.

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An inbound message arrived, or the owner's phone sent a message.
    MessageReceived,
    /// The ack of a sent message changed.
    MessageAck,
    /// A message was edited.
    MessageEdited,
    /// A message was deleted for everyone.
    MessageDeleted,
    /// A reaction to a message was added or removed.
    MessageReaction,
    /// The state of the bot's link changed.
    BotState,
    /// A group of the bot changed.
    GroupChanged,
    /// A call arrived.
    CallReceived,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u16);

/// The name for all kinds, including the kinds of later versions.
const ALL: &str = "*";

impl EventKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::MessageReceived,
        Self::MessageAck,
        Self::MessageEdited,
        Self::MessageDeleted,
        Self::MessageReaction,
        Self::BotState,
        Self::GroupChanged,
        Self::CallReceived,
    ];

    /// Returns the stable name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageAck => "message.ack",
            Self::MessageEdited => "message.edited",
            Self::MessageDeleted => "message.deleted",
            Self::MessageReaction => "message.reaction",
            Self::BotState => "bot.state",
            Self::GroupChanged => "group.changed",
            Self::CallReceived => "call.received",
        }
    }
}

impl Kinds {
    /// All kinds, including the kinds of later versions.
    pub const EVERY: Self = Self(u16::MAX);

    /// Parses names of kinds; `*` stands for all kinds. Returns `None` for an unknown name or
    /// without any name.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Option<Self> {
        let mut kinds = 0;
        for word in words {
            kinds |= if word == ALL {
                Self::EVERY.0
            } else {
                let kind = EventKind::ALL.into_iter().find(|kind| kind.word() == word);
                1 << kind? as u16
            };
        }
        (kinds != 0).then_some(Self(kinds))
    }

    /// Returns `true` if the set contains the kind.
    #[must_use]
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Returns the names of the kinds; only `*` for all kinds.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        if self == Self::EVERY {
            return vec![ALL];
        }
        let among = EventKind::ALL.into_iter().filter(|kind| self.has(*kind));
        among.map(EventKind::word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_its_kinds_and_the_star_contains_future_kinds() {
        let some = Kinds::of(["call.received", "message.received", "call.received"]).unwrap();
        assert_eq!(some.words(), ["message.received", "call.received"]);
        assert!(some.has(EventKind::CallReceived) && !some.has(EventKind::BotState));
        let today = Kinds::of(EventKind::ALL.map(EventKind::word)).unwrap();
        assert_eq!(today.words().len(), EventKind::ALL.len());
        assert_ne!(today, Kinds::EVERY);
        assert_eq!(Kinds::of(["bot.state", "*"]).unwrap().words(), ["*"]);
        assert_eq!(Kinds::of([]), None);
        assert_eq!(Kinds::of(["message"]), None);
    }
}
