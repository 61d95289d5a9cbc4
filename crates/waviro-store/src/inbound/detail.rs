//! The details of an inbound message beyond its text. The details are stored as JSON with the
//! message and are part of its event.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use waviro_link::{Card, InboundKind, Location};

use crate::invisible::{is_blank, without_bidi_controls};

/// The details of a message; fields unused by its kind are omitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The details of a file, as reported by the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<FileDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<Card>>,
    /// The id of the message that was edited, deleted or reacted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The text after an edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The emoji of a reaction; empty for a removed reaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// The details of a file, as reported by the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileDetail {
    /// The media type; empty if the sender gave none.
    pub mime: String,
    /// The size in bytes; 0 if unknown.
    pub size: u64,
    /// The file name of a document.
    pub file_name: Option<String>,
    /// The duration of audio or video.
    pub seconds: Option<u32>,
    /// The file is a voice message.
    pub voice: bool,
}

impl Detail {
    /// Returns the details of a kind.
    #[must_use]
    pub fn of(kind: &InboundKind) -> Self {
        let mut detail = Self::default();
        match kind {
            InboundKind::Media(file) => {
                detail.media = Some(FileDetail {
                    mime: file.mime.clone(),
                    size: file.size,
                    file_name: file.file_name.as_deref().and_then(file_name),
                    seconds: file.seconds,
                    voice: file.voice,
                });
            }
            InboundKind::Location(place) => detail.location = Some(place.clone()),
            InboundKind::Contacts(cards) => detail.contacts = Some(cards.clone()),
            InboundKind::Edited { of, text } => {
                detail.of = Some(of.as_str().to_owned());
                detail.text = Some(text.clone());
            }
            InboundKind::Deleted { of, .. } => detail.of = Some(of.as_str().to_owned()),
            InboundKind::Reaction { to, emoji } => {
                detail.of = Some(to.as_str().to_owned());
                detail.emoji = Some(emoji.clone());
            }
            InboundKind::Text(_) | InboundKind::Structured { .. } | InboundKind::Other(_) => {}
        }
        detail
    }

    /// Parses the details of a row. Unreadable details become empty, because the message itself
    /// must be shown.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// Returns the details as JSON for the row; `None` for a kind without details.
    pub(super) fn json(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        // Texts and numbers can always be serialized; NaN and infinity become null.
        serde_json::to_string(self).ok()
    }
}

/// Returns a file name without the characters that reorder the display of its letters; `None` for a
/// blank name.
fn file_name(original: &str) -> Option<String> {
    let name = without_bidi_controls(original);
    (!is_blank(&name)).then_some(name)
}

/// Returns the id of a message's file for links. No other message has the same id, and a redelivery
/// has the same id again. `chat` and `sender` are the addresses stored in the row.
#[must_use]
pub fn media_id(bot_id: i32, chat: &str, sender: &str, id: &str) -> String {
    let mut hash = Sha256::new();
    for part in [chat, sender, id, "file"] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(bot_id.to_le_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    hex::encode(&hash[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_has_no_bidirectional_controls_and_a_blank_one_is_none() {
        assert_eq!(file_name("faktur.pdf"), Some("faktur.pdf".to_owned()));
        let turned = "faktur\u{202e}fdp.exe";
        assert_eq!(file_name(turned), Some("fakturfdp.exe".to_owned()));
        for blank in ["", " ", "\u{200b}\u{2066}", "\u{3164}"] {
            assert_eq!(file_name(blank), None, "{blank:?}");
        }
    }
}
