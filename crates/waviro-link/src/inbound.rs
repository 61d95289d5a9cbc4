//! What a bot hears: messages, calls, and what becomes of its groups.
//!
//! Everything that people wrote here is hostile text, and everything that a sender says of a file is a claim until
//! [`crate::Link::download`] has checked it.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::content::Location;
use crate::message::{Chat, GroupId, MessageId, Sender};

/// A message that somebody wrote to the bot, or that the bot's own phone wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The sender's id for it: unique within (chat, sender) only.
    pub id: MessageId,
    /// The chat it stands in.
    pub chat: Chat,
    /// Who wrote it. The phone number where it is known; WhatsApp may hide it behind a LID, then [`Sender::Hidden`].
    pub sender: Sender,
    /// The sender's other name, the LID of a known number: for edits and deletions, which are held against the author of the earlier
    /// message.
    pub alias: Option<Sender>,
    /// The name that the sender gave themselves. Hostile text.
    pub push_name: String,
    /// WhatsApp's time.
    pub at: SystemTime,
    /// Written by the bot's own account on another device.
    pub from_me: bool,
    /// The message that it answers, where the sender quoted one.
    pub quoted: Option<MessageId>,
    /// What it is.
    pub kind: InboundKind,
}

/// What an inbound message is. Disappearing, view-once and captioned messages are what is inside them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InboundKind {
    /// Text as typed, or the answer that was chosen from buttons or a list, as the sender saw it.
    Text(String),
    /// A file.
    Media(Box<InboundMedia>),
    /// A place; of one that moves, where it was when the message was written.
    Location(Location),
    /// One card or several.
    Contacts(Vec<Card>),
    /// More than text, with a text that a phone shows: a template, list, order, poll …
    Structured {
        /// The kind in a word of its own.
        word: String,
        /// The text, not empty; one part a line.
        text: String,
    },
    /// An earlier message of the same chat reads differently now. The sender says so; the receiver holds it against the author.
    Edited {
        /// The id that the message was sent under.
        of: MessageId,
        /// What it says now: its text or caption, perhaps none.
        text: String,
    },
    /// An earlier message of the same chat was deleted for everyone, by its author or by a group's admin.
    Deleted {
        /// The id that the message was sent under.
        of: MessageId,
        /// The sender is an admin of the group, as WhatsApp says, and deleted what somebody else wrote.
        by_admin: bool,
    },
    /// A reaction to a message of the same chat.
    Reaction {
        /// The id that the message was sent under.
        to: MessageId,
        /// What was chosen; empty where a reaction was taken back.
        emoji: String,
    },
    /// Anything else, by a word of its own: `poll_vote`, `sticker_pack`, `pin` …; `other` where it has none.
    Other(String),
}

/// A file that somebody sent. It stays with WhatsApp until it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMedia {
    /// How a phone shows it.
    pub kind: InboundMediaKind,
    /// The media type that the sender gave it; empty where they gave none.
    pub mime: String,
    /// Bytes, as the sender says; 0 where they don't.
    pub size: u64,
    /// What a document is called.
    pub file_name: Option<String>,
    /// The text under it, not empty.
    pub caption: Option<String>,
    /// How long sound or film is, in whole seconds.
    pub seconds: Option<u32>,
    /// Sound that was spoken into the phone.
    pub voice: bool,
    /// What [`crate::Link::download`] fetches it by.
    pub handle: MediaHandle,
}

/// How a phone shows a file that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InboundMediaKind {
    /// A picture in the chat.
    Image,
    /// A film, also one that is shown round.
    Video,
    /// Sound.
    Audio,
    /// A file to open or to keep.
    Document,
    /// A sticker.
    Sticker,
}

/// Where a file is and what opens it: one line of text to keep, whose inside is the link's own business.
///
/// It holds the file's key, so it is as secret as the file. WhatsApp keeps files for some weeks.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaHandle(String);

/// Why a text is not a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a media handle is one line of at most 4096 characters")]
pub struct MediaHandleError;

/// The longest handle. Real paths have some 200 characters, the rest of a handle as many again.
const LONGEST_HANDLE: usize = 4096;

/// Somebody's card, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Whose it is, as the sender has them in their phone.
    pub name: String,
    /// The card itself (RFC 2426). Hostile text.
    pub vcard: String,
}

/// Somebody calls the bot's number, or a group that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// WhatsApp's id for it; told of once.
    pub id: String,
    /// Who calls.
    pub from: Sender,
    /// WhatsApp's time.
    pub at: SystemTime,
    /// With a picture. Of a call that was over before the device came back this is not known, and false.
    pub video: bool,
    /// The group that is called, where WhatsApp names it.
    pub group: Option<GroupId>,
}

/// A group of the bot's is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// Which.
    pub group: GroupId,
    /// WhatsApp's time.
    pub at: SystemTime,
    /// Who did it, where WhatsApp says.
    pub by: Option<Sender>,
    /// What they did.
    pub what: GroupEvent,
}

/// What happened in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// These are members now. The bot alone where it was added, or the group was made with it.
    Joined {
        /// Who.
        people: Vec<Sender>,
    },
    /// These are members no more: removed, or gone by themselves (then each did it).
    Left {
        /// Who.
        people: Vec<Sender>,
    },
    /// These are admins now.
    Promoted {
        /// Who.
        people: Vec<Sender>,
    },
    /// These are admins no more.
    Demoted {
        /// Who.
        people: Vec<Sender>,
    },
    /// It is called so now. Hostile text.
    Subject(String),
    /// Its description was written or removed.
    Description,
    /// A setting, by WhatsApp's word for what it is now: `announcement`, `not_announcement`, `locked` …
    Settings(String),
    /// Anything else, by WhatsApp's word: `delete`, `revoke`, `link` …
    Other(String),
}

impl InboundKind {
    /// What a keyword is held against: a text, the caption of a file, or the text of a structured message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Structured { text, .. } => Some(text),
            Self::Media(file) => file.caption.as_deref(),
            _ => None,
        }
    }

    /// The kind in one word, stable: `text`, `image`, `video`, `audio`, `document`, `sticker`, `location`, `contact`,
    /// `edited`, `deleted`, `reaction`, or that of [`InboundKind::Structured`] and [`InboundKind::Other`].
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Media(file) => file.kind.word(),
            Self::Location(_) => "location",
            Self::Contacts(_) => "contact",
            Self::Edited { .. } => "edited",
            Self::Deleted { .. } => "deleted",
            Self::Reaction { .. } => "reaction",
            Self::Structured { word, .. } | Self::Other(word) => word,
        }
    }
}

impl InboundMediaKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Document,
        Self::Sticker,
    ];

    /// The kind in one word, stable.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

impl MediaHandle {
    /// The line to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaHandle {
    type Err = MediaHandleError;

    fn from_str(text: &str) -> Result<Self, MediaHandleError> {
        let valid =
            (1..=LONGEST_HANDLE).contains(&text.len()) && !text.chars().any(char::is_control);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(MediaHandleError)
        }
    }
}

/// Logs carry no keys.
impl fmt::Debug for MediaHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaHandle(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(caption: Option<&str>) -> InboundKind {
        InboundKind::Media(Box::new(InboundMedia {
            kind: InboundMediaKind::Image,
            mime: "image/jpeg".to_owned(),
            size: 1,
            file_name: None,
            caption: caption.map(ToOwned::to_owned),
            seconds: None,
            voice: false,
            handle: "secret".parse().unwrap(),
        }))
    }

    #[test]
    fn a_keyword_is_held_against_texts_and_captions_alone() {
        let of = || "A1".parse::<MessageId>().unwrap();
        assert_eq!(InboundKind::Text("harga".to_owned()).text(), Some("harga"));
        assert_eq!(picture(Some("ini")).text(), Some("ini"));
        assert_eq!(picture(None).text(), None);
        let edited = InboundKind::Edited {
            of: of(),
            text: "harga".to_owned(),
        };
        let reaction = InboundKind::Reaction {
            to: of(),
            emoji: "👍".to_owned(),
        };
        for silent in [edited, reaction, InboundKind::Other("poll".to_owned())] {
            assert_eq!(silent.text(), None, "{silent:?}");
        }
    }

    #[test]
    fn a_file_is_called_by_its_kind() {
        assert_eq!(picture(None).word(), "image");
        assert_eq!(InboundKind::Other("poll".to_owned()).word(), "poll");
        let words = InboundMediaKind::ALL.map(InboundMediaKind::word);
        assert_eq!(words, ["image", "video", "audio", "document", "sticker"]);
    }

    #[test]
    fn a_handle_is_one_line_and_does_not_show_itself() {
        let handle: MediaHandle = "a line".parse().unwrap();
        assert_eq!(handle.as_str(), "a line");
        assert_eq!(format!("{handle:?}"), "MediaHandle(…)");
        for wrong in ["", "two\nlines", &"x".repeat(LONGEST_HANDLE + 1)] {
            assert_eq!(wrong.parse::<MediaHandle>(), Err(MediaHandleError));
        }
    }
}
