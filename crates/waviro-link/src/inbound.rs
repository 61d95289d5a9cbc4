//! The types of inbound events: messages, calls and group changes.
//!
//! Texts written by people are untrusted. The sender's description of a file is a claim until
//! [`crate::Link::download`] has checked the file.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::content::Location;
use crate::message::{Chat, GroupId, MessageId, Sender};

/// A message to the bot, or a message from the owner's phone or another device of the bot's
/// account.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The sender's id for the message: unique only within a chat and sender.
    pub id: MessageId,
    /// The chat of the message.
    pub chat: Chat,
    /// The author: the phone number if known, or [`Sender::Hidden`] if WhatsApp hides the number
    /// behind a LID.
    pub sender: Sender,
    /// The author's other name: the LID of a known number. Edits and deletions need it, because the
    /// gateway compares them with the author of the earlier message.
    pub alias: Option<Sender>,
    /// The display name chosen by the sender: untrusted text.
    pub push_name: String,
    /// The time set by WhatsApp.
    pub at: SystemTime,
    /// True if another device of the bot's own account wrote the message.
    pub from_me: bool,
    /// The quoted message, if the message is a reply.
    pub quoted: Option<MessageId>,
    /// The content.
    pub kind: InboundKind,
}

/// The content of an inbound message. Wrappers (disappearing, view-once, captioned) are removed:
/// the kind is the kind of the wrapped message.
#[derive(Debug, Clone, PartialEq)]
pub enum InboundKind {
    /// Text as typed, or the option chosen from buttons or a list, as shown to the sender.
    Text(String),
    /// A file.
    Media(Box<InboundMedia>),
    /// A place on the map. For a live location, the position at the time of the message.
    Location(Location),
    /// One or several contact cards.
    Contacts(Vec<Card>),
    /// A structured message with a text that a phone shows: a template, list, order, poll …
    Structured {
        /// The kind as a stable word.
        word: String,
        /// The text, not empty, with one part per line.
        text: String,
    },
    /// An edit of an earlier message in the same chat. The sender claims the edit; the receiver
    /// must compare the sender with the author of the earlier message.
    Edited {
        /// The id of the edited message.
        of: MessageId,
        /// The new text or caption; may be empty.
        text: String,
    },
    /// An earlier message of the same chat was deleted for everyone, by its author or by a group's
    /// admin.
    Deleted {
        /// The id of the deleted message.
        of: MessageId,
        /// True if the sender deleted a message of another author and WhatsApp confirms that the
        /// sender is a group admin.
        by_admin: bool,
    },
    /// A reaction to a message of the same chat.
    Reaction {
        /// The id of the message with the reaction.
        to: MessageId,
        /// The chosen emoji; empty if the sender removed the reaction.
        emoji: String,
    },
    /// Any other content, as a stable word: `poll_vote`, `sticker_pack`, `pin` …; `other` for
    /// unknown content.
    Other(String),
}

/// A received file. The file stays with WhatsApp until the gateway downloads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMedia {
    /// How a phone shows the file.
    pub kind: InboundMediaKind,
    /// The media type claimed by the sender; empty if there is none.
    pub mime: String,
    /// The size in bytes claimed by the sender; 0 if there is none.
    pub size: u64,
    /// The name of a document.
    pub file_name: Option<String>,
    /// The text below the file, not empty.
    pub caption: Option<String>,
    /// The length of audio or video, in whole seconds.
    pub seconds: Option<u32>,
    /// True for a voice note.
    pub voice: bool,
    /// The handle for [`crate::Link::download`].
    pub handle: MediaHandle,
}

/// How a phone shows a received file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InboundMediaKind {
    /// A picture in the chat.
    Image,
    /// A video, or a round video note.
    Video,
    /// Audio.
    Audio,
    /// A file to open or to save.
    Document,
    /// A sticker.
    Sticker,
}

/// The location and the key of a received file, as one line of text. Only the link knows the
/// format.
///
/// The handle contains the file's key, so it is as secret as the file. WhatsApp keeps files for
/// some weeks.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaHandle(String);

/// The error for a text that is not a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a media handle is one line of at most 4096 characters")]
pub struct MediaHandleError;

/// The longest handle. Real paths have about 200 characters, and the other parts about as many.
const LONGEST_HANDLE: usize = 4096;

/// A received contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The name of the contact in the sender's phone.
    pub name: String,
    /// The card itself (RFC 2426): untrusted text.
    pub vcard: String,
}

/// An incoming call to the bot's number or to a group with the bot as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// WhatsApp's id for the call. The link reports each call once.
    pub id: String,
    /// The caller.
    pub from: Sender,
    /// The time set by WhatsApp.
    pub at: SystemTime,
    /// True for a video call. False if the call ended before the device came back, because WhatsApp
    /// does not report the kind then.
    pub video: bool,
    /// The called group, if WhatsApp names it.
    pub group: Option<GroupId>,
}

/// A change of a group with the bot as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// The group.
    pub group: GroupId,
    /// The time set by WhatsApp.
    pub at: SystemTime,
    /// The author of the change, if WhatsApp names the author.
    pub by: Option<Sender>,
    /// The kind of the change.
    pub what: GroupEvent,
}

/// The kinds of group changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// New members. Lists only the bot if the bot was added, or if the group was created with the
    /// bot.
    Joined {
        /// The new members.
        people: Vec<Sender>,
    },
    /// Members left or were removed. If a member left, the author of the change is the same member.
    Left {
        /// The former members.
        people: Vec<Sender>,
    },
    /// New admins.
    Promoted {
        /// The new admins.
        people: Vec<Sender>,
    },
    /// Former admins.
    Demoted {
        /// The former admins.
        people: Vec<Sender>,
    },
    /// The new subject: untrusted text.
    Subject(String),
    /// The description was changed or removed.
    Description,
    /// A changed setting, as WhatsApp's word for the new value: `announcement`, `not_announcement`,
    /// `locked` …
    Settings(String),
    /// Any other change, as WhatsApp's word: `delete`, `revoke`, `link` …
    Other(String),
}

impl InboundKind {
    /// Returns the text for the comparison with keywords: a text, the caption of a file, or the
    /// text of a structured message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Structured { text, .. } => Some(text),
            Self::Media(file) => file.caption.as_deref(),
            Self::Location(_)
            | Self::Contacts(_)
            | Self::Edited { .. }
            | Self::Deleted { .. }
            | Self::Reaction { .. }
            | Self::Other(_) => None,
        }
    }

    /// Returns the kind as a stable word: `text`, `image`, `video`, `audio`, `document`, `sticker`,
    /// `location`, `contact`, `edited`, `deleted`, `reaction`, or the word of
    /// [`InboundKind::Structured`] and [`InboundKind::Other`].
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
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Document,
        Self::Sticker,
    ];

    /// Returns the kind as a stable word.
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
    /// Returns the handle as a line of text to store.
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

/// Hides the content, because logs must not contain keys.
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
    fn a_keyword_is_compared_with_texts_and_captions_only() {
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
    fn media_content_is_named_by_its_media_kind() {
        assert_eq!(picture(None).word(), "image");
        assert_eq!(InboundKind::Other("poll".to_owned()).word(), "poll");
        let words = InboundMediaKind::ALL.map(InboundMediaKind::word);
        assert_eq!(words, ["image", "video", "audio", "document", "sticker"]);
    }

    #[test]
    fn a_media_handle_is_one_line_and_hidden_in_debug_output() {
        let handle: MediaHandle = "a line".parse().unwrap();
        assert_eq!(handle.as_str(), "a line");
        assert_eq!(format!("{handle:?}"), "MediaHandle(…)");
        for wrong in ["", "two\nlines", &"x".repeat(LONGEST_HANDLE + 1)] {
            assert_eq!(wrong.parse::<MediaHandle>(), Err(MediaHandleError));
        }
    }
}
