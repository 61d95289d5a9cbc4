//! The messages that a phone can send, and the API for sending.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::compose::{self, ChatContext};
use super::{Account, Origin, Phone, digits, send};
use crate::group::Group;
use crate::stanza::receipt;

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

impl Phone {
    /// Sends a message to a number. Returns the message's id.
    ///
    /// # Errors
    /// No phone has that number, the phone shows no such message, or the file is larger than 100
    /// MiB.
    pub async fn send(
        &self,
        to: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        self.send_as(None, to, outgoing).await
    }

    /// Sends a message to a number, under the given id if there is one. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_as(
        &self,
        id: Option<String>,
        to: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let peer = self.peer(to)?;
        let message = compose::message(self, outgoing.into(), &self.place(&peer))?;
        let id = id.unwrap_or_else(|| self.account.next_id());
        send::direct(&self.world, &self.account, &peer, message, &id);
        Ok(id)
    }

    /// Sends a message to a broadcast list. Each recipient gets a copy, and the recipients'
    /// companions see the address of the list beside the sender. The sender's own companions get no
    /// copy. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_to_list(
        &self,
        list: &str,
        to: &[&str],
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let peers = to.iter().map(|to| self.peer(to));
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let outgoing = outgoing.into();
        let id = self.account.next_id();
        for peer in peers {
            let message = compose::message(self, outgoing.clone(), &self.place(&peer))?;
            send::listed(&self.world, &self.account, &peer, message, &id, list);
        }
        Ok(id)
    }

    /// Sends a receipt for a message, even if the phone never got the message, like a hostile
    /// client.
    ///
    /// # Errors
    /// No phone has that number.
    pub fn claim(&self, to: &str, id: &str, read: bool) -> Result<(), SendError> {
        let peer = self.peer(to)?;
        for companion in peer.companions() {
            let origin = Origin {
                number: peer.number.clone(),
                device: companion.device,
                by_lid: peer.lid_migrated,
                group: None,
            };
            let kind = if read { "read" } else { "" };
            receipt::from_phone(&self.world, &self.account, &origin, id, kind);
        }
        Ok(())
    }

    fn peer(&self, to: &str) -> Result<Arc<Account>, SendError> {
        let to = digits(to);
        self.world
            .account_by_number(&to)
            .ok_or(SendError::UnknownNumber(to))
    }

    fn place(&self, peer: &Account) -> ChatContext {
        let by_lid = self.account.lid_migrated;
        ChatContext {
            chat: peer.number.clone(),
            jid: peer.jid(by_lid),
            by_lid,
            is_group: false,
        }
    }

    /// Sends a message to a group. Returns the message's id.
    ///
    /// # Errors
    /// There is no such group, the phone is not a member, the phone shows no such message, or the
    /// file is larger than 100 MiB.
    pub async fn send_to_group(
        &self,
        group: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        self.send_to_group_as(None, group, outgoing).await
    }

    /// Sends a message to a group, under the given id if there is one. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send_to_group`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_to_group_as(
        &self,
        id: Option<String>,
        group: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let group = self.group(group)?;
        let place = ChatContext {
            chat: group.id().to_owned(),
            jid: group.jid(),
            by_lid: group.by_lid(),
            is_group: true,
        };
        let message = compose::message(self, outgoing.into(), &place)?;
        let id = id.unwrap_or_else(|| self.account.next_id());
        send::group(&self.world, &self.account, &group, &message, &id);
        Ok(id)
    }

    /// Sends a text to a number. Returns the message's id.
    ///
    /// # Errors
    /// No phone has that number.
    pub async fn send_text(&self, to: &str, text: &str) -> Result<String, SendError> {
        self.send(to, text).await
    }

    /// Sends a text to a group. Returns the message's id.
    ///
    /// # Errors
    /// There is no such group, or the phone is not a member.
    pub async fn send_text_to_group(&self, group: &str, text: &str) -> Result<String, SendError> {
        self.send_to_group(group, text).await
    }

    /// Returns a group if the phone is a member.
    pub(super) fn group(&self, id: &str) -> Result<Arc<Group>, SendError> {
        let id = id.trim_end_matches("@g.us");
        let group = self
            .world
            .group(id)
            .ok_or_else(|| SendError::UnknownGroup(id.to_owned()))?;
        if group.has_member(&self.account.number) {
            return Ok(group);
        }
        Err(SendError::NotAMember {
            number: self.account.number.clone(),
            group: id.to_owned(),
        })
    }
}
