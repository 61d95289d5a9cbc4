//! The messages that a phone can send.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A message to send. Texts and files convert with `into()`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outgoing {
    /// A text.
    Text(String),
    /// A file.
    Media(OutgoingMedia),
    /// A location.
    Location {
        /// Degrees, north positive.
        latitude: f64,
        /// Degrees, east positive.
        longitude: f64,
        /// The name of the place.
        name: Option<String>,
    },
    /// A contact card.
    Contact {
        /// The name of the person.
        name: String,
        /// The person's numbers, country code first.
        numbers: Vec<String>,
    },
    /// Several contact cards in one message.
    Contacts(Vec<ContactCard>),
    /// A reaction to a message in this chat.
    Reaction {
        /// The message's id.
        to: String,
        /// The emoji; an empty text removes an earlier reaction.
        emoji: String,
    },
    /// A new text for a message sent by this account.
    Edit {
        /// The message's id.
        of: String,
        /// The new text.
        text: String,
    },
    /// Deletes a message of this account for everyone.
    Revoke {
        /// The message's id.
        of: String,
    },
    /// A choice from the options in a business message.
    Answer {
        /// The kind of the options.
        to: AnswerTo,
        /// The id of the chosen option.
        id: String,
        /// The shown title of the option.
        title: Option<String>,
    },
    /// A reply that quotes a message in this chat.
    Reply {
        /// The message's id.
        to: String,
        /// The content of the reply.
        with: Box<Outgoing>,
    },
    /// Any message, as an encoded protobuf `Message`: for kinds that phones of people cannot write,
    /// and for messages of a hostile client.
    Raw(Vec<u8>),
    /// A message that can be opened once.
    ViewOnce(Box<Outgoing>),
    /// A message in a chat with disappearing messages.
    Disappearing(Box<Outgoing>),
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactCard {
    /// The name of the person.
    pub name: String,
    /// The person's numbers, country code first.
    pub numbers: Vec<String>,
}

/// A kind of options in a business message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AnswerTo {
    /// Buttons below a text.
    Buttons,
    /// The rows of a list.
    List,
    /// The buttons of a template.
    Template,
    /// A native flow, the newest form.
    Interactive,
}

impl From<&str> for Outgoing {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<OutgoingMedia> for Outgoing {
    fn from(media: OutgoingMedia) -> Self {
        Self::Media(media)
    }
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// Music, or a voice message.
    Audio,
    /// Any file, with a name.
    Document,
    /// A sticker.
    Sticker,
}

/// A file to send.
#[derive(Debug, Clone)]
#[must_use]
pub struct OutgoingMedia {
    pub(crate) kind: MediaKind,
    pub(crate) bytes: Bytes,
    pub(crate) mimetype: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) voice: bool,
}

impl OutgoingMedia {
    /// A file of this kind, with the usual MIME type of the kind.
    pub fn new(kind: MediaKind, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
            mimetype: None,
            file_name: None,
            caption: None,
            voice: false,
        }
    }

    /// Sets the MIME type.
    pub fn mimetype(mut self, mimetype: impl Into<String>) -> Self {
        self.mimetype = Some(mimetype.into());
        self
    }

    /// Sets the name of a document.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// Sets the text below an image, a video or a document.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }

    /// Makes audio a voice message.
    pub fn voice(mut self, on: bool) -> Self {
        self.voice = on;
        self
    }
}

/// The reason why a phone could not send.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No phone has that number.
    #[error("no phone has the number {0}; add it first")]
    UnknownNumber(String),
    /// There is no such group.
    #[error("there is no group {0}; create it first")]
    UnknownGroup(String),
    /// The phone is not a member of the group.
    #[error("{number} is not a member of the group {group}")]
    NotAMember {
        /// The phone.
        number: String,
        /// The group.
        group: String,
    },
    /// The phone has no such message in this chat.
    #[error("the phone has no message {0} in this chat")]
    UnknownMessage(String),
    /// A phone can only change or delete messages of its own account.
    #[error("the message {0} is not from this phone's account")]
    NotOwn(String),
    /// The bytes are not an encoded message.
    #[error("the bytes are not an encoded Message: {0}")]
    Unreadable(String),
    /// The media host refused the file.
    #[error("the file cannot be uploaded: {0}")]
    File(String),
}
