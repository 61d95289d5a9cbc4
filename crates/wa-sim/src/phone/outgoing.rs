//! What a phone can send, and sending it.

use std::fmt::Write as _;

use bytes::Bytes;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::files::Uploaded;
use super::{Phone, content, digits, send};

/// Something that a phone can send. Texts and files become one with `into()`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outgoing {
    /// A text.
    Text(String),
    /// A file.
    Media(OutgoingMedia),
    /// A place.
    Location {
        /// Degrees, north positive.
        latitude: f64,
        /// Degrees, east positive.
        longitude: f64,
        /// What the place is called.
        name: Option<String>,
    },
    /// Someone's numbers.
    Contact {
        /// The person.
        name: String,
        /// Their numbers, country code first.
        numbers: Vec<String>,
    },
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
    /// A film.
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
    /// A file of this kind, of the type that is usual for the kind.
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

    /// Its type.
    pub fn mimetype(mut self, mimetype: impl Into<String>) -> Self {
        self.mimetype = Some(mimetype.into());
        self
    }

    /// The name of a document.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// The text below an image, a video or a document.
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

/// Why a phone could not send.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No phone has that number.
    #[error("no phone has the number {0}; add it first")]
    UnknownNumber(String),
    /// There is no such group.
    #[error("there is no group {0}; create it first")]
    UnknownGroup(String),
    /// The phone is not in the group.
    #[error("{number} is not a member of the group {group}")]
    NotAMember {
        /// The phone.
        number: String,
        /// The group.
        group: String,
    },
    /// The media host does not take the file.
    #[error("the file cannot be uploaded: {0}")]
    File(String),
}

impl Phone {
    /// Sends something to a number; answers the message's id.
    ///
    /// # Errors
    /// No phone has that number, or the file is larger than 100 MiB.
    #[expect(
        clippy::unused_async,
        reason = "sending may come to wait; callers should not have to change then"
    )]
    pub async fn send(
        &self,
        to: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let to = digits(to);
        let peer = self
            .world
            .account_by_number(&to)
            .ok_or(SendError::UnknownNumber(to))?;
        let message = self.message(outgoing.into())?;
        let id = self.account.next_id();
        send::direct(&self.world, &self.account, &peer, message, &id);
        Ok(id)
    }

    /// Sends something to a group; answers the message's id.
    ///
    /// # Errors
    /// There is no such group, the phone is not in it, or the file is larger than 100 MiB.
    #[expect(
        clippy::unused_async,
        reason = "sending may come to wait; callers should not have to change then"
    )]
    pub async fn send_to_group(
        &self,
        group: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let id = group.trim_end_matches("@g.us");
        let group = self
            .world
            .group(id)
            .ok_or_else(|| SendError::UnknownGroup(id.to_owned()))?;
        if !group.has_member(&self.account.number) {
            return Err(SendError::NotAMember {
                number: self.account.number.clone(),
                group: id.to_owned(),
            });
        }
        let message = self.message(outgoing.into())?;
        let id = self.account.next_id();
        send::group(&self.world, &self.account, &group, &message, &id);
        Ok(id)
    }

    /// Sends a text to a number; answers the message's id.
    ///
    /// # Errors
    /// No phone has that number.
    pub async fn send_text(&self, to: &str, text: &str) -> Result<String, SendError> {
        self.send(to, text).await
    }

    /// Sends a text to a group; answers the message's id.
    ///
    /// # Errors
    /// There is no such group, or the phone is not in it.
    pub async fn send_text_to_group(&self, group: &str, text: &str) -> Result<String, SendError> {
        self.send_to_group(group, text).await
    }

    fn message(&self, outgoing: Outgoing) -> Result<wa::Message, SendError> {
        Ok(match outgoing {
            Outgoing::Text(text) => content::text(&text),
            Outgoing::Media(media) => {
                let key = self.account.signal.lock().rng().random();
                let file = Uploaded::new(&self.world, media.kind, &media.bytes, &key)?;
                content::media::message(media, file)
            }
            Outgoing::Location {
                latitude,
                longitude,
                name,
            } => wa::Message {
                location_message: MessageField::some(wa::message::LocationMessage {
                    degrees_latitude: Some(latitude),
                    degrees_longitude: Some(longitude),
                    name,
                    ..Default::default()
                }),
                ..Default::default()
            },
            Outgoing::Contact { name, numbers } => wa::Message {
                contact_message: MessageField::some(wa::message::ContactMessage {
                    vcard: Some(vcard(&name, &numbers)),
                    display_name: Some(name),
                    ..Default::default()
                }),
                ..Default::default()
            },
        })
    }
}

/// A card as phones write them: `waid` is what makes a number one that can be written to.
fn vcard(name: &str, numbers: &[String]) -> String {
    let name = name.replace(['\r', '\n'], " ");
    let lines = numbers.iter().fold(String::new(), |mut lines, number| {
        let number = digits(number);
        let _ = writeln!(lines, "TEL;type=CELL;type=VOICE;waid={number}:+{number}");
        lines
    });
    format!("BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{lines}END:VCARD")
}
