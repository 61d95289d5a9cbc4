//! A message before and after its acceptance.

use url::Url;
use waviro_link::{Chat, Content, Media, MediaKind, MessageId, Number};
use waviro_store::clock::Millis;

/// A message to accept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The recipient.
    pub to: Chat,
    pub content: Draft,
    /// The URL of the callbacks about the message's ack.
    pub notify_url: Option<Url>,
}

/// The content of a message to accept.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    /// Content without a file to fetch.
    Ready(Content),
    /// A file to fetch.
    File {
        url: Url,
        /// The text below the file. Audio has no caption on WhatsApp, so the caption follows as a
        /// text message.
        caption: Option<String>,
    },
}

/// An accepted message. It is durable, and is either sent or ends with ack -1.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The message id, used towards WhatsApp and in every callback.
    pub id: MessageId,
    /// The time of the acceptance.
    pub at: Millis,
    /// The bot's number.
    pub from: Number,
    /// The recipient.
    pub to: Chat,
    /// The content, with the fetched file if there is a file.
    pub content: Content,
}

/// Returns the content of a fetched file with its caption. Audio has no caption on WhatsApp, so the
/// caption of audio is returned beside the content, as the text of a message of its own.
pub(super) fn captioned(mut media: Media, caption: Option<String>) -> (Content, Option<String>) {
    let rest = if media.kind == MediaKind::Audio {
        caption
    } else {
        media.caption = caption;
        None
    };
    (Content::Media(Box::new(media)), rest)
}
