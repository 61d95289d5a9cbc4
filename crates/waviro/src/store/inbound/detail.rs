//! What an inbound message is beyond a text: kept as JSON beside it, and part of its event.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use waviro_link::InboundKind;

use crate::invisible::{is_blank, without_bidi_controls};

/// What a kind has beyond a text; what it has not is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// What the sender said of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<FileDetail>,
    /// A place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Place>,
    /// Cards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<Card>>,
    /// The message that was edited, deleted or reacted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it says now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was chosen; empty where a reaction was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// What the sender said of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileDetail {
    /// The media type; empty where they gave none.
    pub mime: String,
    /// Bytes; 0 where they don't say.
    pub size: u64,
    /// What a document is called.
    pub file_name: Option<String>,
    /// How long sound or film is.
    pub seconds: Option<u32>,
    /// Sound that was spoken into the phone.
    pub voice: bool,
}

/// A place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What stands under it.
    pub name: Option<String>,
}

/// Somebody's card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Whose it is.
    pub name: String,
    /// The card itself.
    pub vcard: String,
}

impl Detail {
    /// What this kind has.
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
            InboundKind::Location(place) => {
                detail.location = Some(Place {
                    latitude: place.latitude,
                    longitude: place.longitude,
                    name: place.name.clone(),
                });
            }
            InboundKind::Contacts(cards) => {
                let card = |card: &waviro_link::Card| Card {
                    name: card.name.clone(),
                    vcard: card.vcard.clone(),
                };
                detail.contacts = Some(cards.iter().map(card).collect());
            }
            InboundKind::Edited { of, text } => {
                detail.of = Some(of.as_str().to_owned());
                detail.text = Some(text.clone());
            }
            InboundKind::Deleted { of, .. } => detail.of = Some(of.as_str().to_owned()),
            InboundKind::Reaction { to, emoji } => {
                detail.of = Some(to.as_str().to_owned());
                detail.emoji = Some(emoji.clone());
            }
            _ => {}
        }
        detail
    }

    /// From the row. What can't be read is as if it were not there: the message itself is, and must be shown.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// For the row; `None` where the kind has nothing beyond a text.
    pub(super) fn json(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        // Texts and numbers; one that is no number becomes null.
        serde_json::to_string(self).ok()
    }
}

/// A file's name without the characters that show its letters in another order; `None` for a blank name.
fn file_name(told: &str) -> Option<String> {
    let name = without_bidi_controls(told);
    (!is_blank(&name)).then_some(name)
}

/// What links call a message's file: of nobody else's making, and the same however often WhatsApp delivers the message. Chat and
/// sender as the row has them.
#[must_use]
pub fn media_id(slot: i32, chat: &str, sender: &str, id: &str) -> String {
    let mut hash = Sha256::new();
    for part in [chat, sender, id, "file"] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(slot.to_le_bytes());
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
