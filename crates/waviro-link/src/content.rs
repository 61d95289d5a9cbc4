//! The content of an outgoing message: one type for each kind, its name, its stored form, and the
//! texts that the message log and the duplicate rule use.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::message::Number;

/// The content of an outgoing message.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Plain text, not empty.
    Text(String),
    /// A place on the map.
    Location(Location),
    /// A contact card.
    Contact(Contact),
    /// A file, with the data for its preview on the phone.
    Media(Box<Media>),
}

/// The kind of an outgoing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// A text.
    Text,
    /// A place on the map.
    Location,
    /// A contact card.
    Contact,
    /// A file.
    Media(MediaKind),
}

/// The error for a stored content that does not belong to its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message body of kind {kind}")]
pub struct ContentError {
    /// The name of the kind.
    pub kind: String,
}

/// The stored form of a text.
#[derive(Serialize, Deserialize)]
struct Text<T> {
    text: T,
}

/// A file to send. The file must exist until the server has acked the message, because the message
/// may be resent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// How the phone shows the file. The stored form names the kind beside the fields.
    #[serde(skip)]
    pub kind: MediaKind,
    /// The path of the file on this machine. The stored form is the bare name, because the folder
    /// may move between two starts.
    #[serde(with = "file_name")]
    pub file: PathBuf,
    /// The SHA-256 hash of the file.
    #[serde(with = "hex_text")]
    pub sha256: [u8; 32],
    /// The media type: `image/jpeg`, `audio/ogg; codecs=opus`.
    pub mime: String,
    /// The name that the phone shows for a document.
    pub file_name: String,
    /// The text below the file. Ignored for audio: WhatsApp has no caption for audio.
    pub caption: Option<String>,
    /// The phone plays the audio as a voice note.
    pub voice: bool,
    /// The data that the phone shows before it downloads the file. Older stored forms lack it.
    #[serde(default)]
    pub preview: Preview,
}

/// The data for a file's preview on the phone. Each part may be unknown. Without a preview, the
/// phone shows a picture as a grey box of the wrong shape.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The width and height of a picture or video in pixels, after the rotation that the file's
    /// metadata asks for.
    pub size: Option<(u32, u32)>,
    /// The length of audio or video, in whole seconds.
    pub seconds: Option<u32>,
    /// A small JPEG of the picture, already rotated. The thumbnail travels inside the message, so
    /// it must have a few KB at most.
    #[serde(default, with = "base64_text")]
    pub thumbnail: Option<Vec<u8>>,
}

/// How a phone shows a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture in the chat.
    Image,
    /// A video.
    Video,
    /// Audio.
    Audio,
    /// A file to open or to save.
    #[default]
    Document,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// The text that the phone shows beside the map.
    pub name: Option<String>,
}

/// A contact card with the numbers of one person or shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The name on the card, not empty.
    pub name: String,
    /// The phone numbers, at least one.
    pub numbers: Vec<Number>,
}

impl Content {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Location(_) => MessageKind::Location,
            Self::Contact(_) => MessageKind::Contact,
            Self::Media(media) => MessageKind::Media(media.kind),
        }
    }

    /// Returns the file, if the content has a file.
    #[must_use]
    pub fn file(&self) -> Option<&Media> {
        if let Self::Media(media) = self {
            Some(media)
        } else {
            None
        }
    }

    /// Returns the location, if the content is a location.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        if let Self::Location(place) = self {
            Some(place)
        } else {
            None
        }
    }

    /// Returns the contact card, if the content is a contact card.
    #[must_use]
    pub fn contact(&self) -> Option<&Contact> {
        if let Self::Contact(card) = self {
            Some(card)
        } else {
            None
        }
    }

    /// Returns the stored form: a JSON object with the fields of the kind.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::Text(text) => serde_json::to_string(&Text { text }),
            Self::Location(place) => serde_json::to_string(place),
            Self::Contact(card) => serde_json::to_string(card),
            Self::Media(media) => serde_json::to_string(media),
        };
        // Texts, numbers and lists of them can always be serialized.
        json.unwrap_or_default()
    }

    /// Parses the stored form of a kind. The path of a file is its bare name.
    ///
    /// # Errors
    /// [`ContentError`] for an unknown kind, and for fields of another kind.
    pub fn from_json(kind: &str, json: &str) -> Result<Self, ContentError> {
        fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
            serde_json::from_str(json).ok()
        }
        let content = match MessageKind::named(kind) {
            None => None,
            Some(MessageKind::Text) => read(json).map(|Text { text }| Self::Text(text)),
            Some(MessageKind::Location) => read(json).map(Self::Location),
            Some(MessageKind::Contact) => read(json).map(Self::Contact),
            Some(MessageKind::Media(kind)) => read(json).map(|media| {
                let media = Media { kind, ..media };
                Self::Media(Box::new(media))
            }),
        };
        content.ok_or_else(|| ContentError {
            kind: kind.to_owned(),
        })
    }

    /// Returns the readable text: the text, the caption, or the name of a location or contact.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Location(place) => place.name.as_deref().unwrap_or_default(),
            Self::Contact(card) => &card.name,
            Self::Media(media) => media.caption.as_deref().unwrap_or_default(),
        }
    }

    /// Returns the text that the duplicate rule compares: the stored form, or for a file its hash
    /// and its caption.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Media(media) => format!("{}\n{}", hex::encode(media.sha256), self.text()),
            Self::Text(_) | Self::Location(_) | Self::Contact(_) => self.to_json(),
        }
    }
}

impl MessageKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Location,
        Self::Contact,
        Self::Media(MediaKind::Image),
        Self::Media(MediaKind::Video),
        Self::Media(MediaKind::Audio),
        Self::Media(MediaKind::Document),
    ];

    /// Returns the kind as a stable word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Media(kind) => kind.word(),
        }
    }

    /// Returns the kind with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl MediaKind {
    /// Returns the kind as a stable word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
        }
    }
}

/// The stored form of a path: its file name.
mod file_name {
    use std::path::{Path, PathBuf};

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.file_name().unwrap_or_default().to_string_lossy())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PathBuf, D::Error> {
        let path = PathBuf::deserialize(from)?;
        let name = path.file_name().map(PathBuf::from);
        name.ok_or_else(|| D::Error::custom("no file name"))
    }
}

/// The stored form of a hash: hex digits.
mod hex_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(hash))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<[u8; 32], D::Error> {
        let mut hash = [0; 32];
        let text = String::deserialize(from)?;
        hex::decode_to_slice(text, &mut hash).map_err(D::Error::custom)?;
        Ok(hash)
    }
}

/// The stored form of bytes: Base64.
mod base64_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes the field like this")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes
            .as_ref()
            .map(|bytes| BASE64.encode(bytes))
            .serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let bytes = text.map(|text| BASE64.decode(text).map_err(D::Error::custom));
        bytes.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_content_is_restored_unchanged() {
        for content in [
            Content::Text("Halo \"dunia\"\n".to_owned()),
            Content::Location(Location {
                latitude: 0.52596,
                longitude: -101.426_866,
                name: Some("Kantor Pusat".to_owned()),
            }),
            Content::Location(Location {
                latitude: -90.0,
                longitude: 180.0,
                name: None,
            }),
            Content::Contact(Contact {
                name: "Test".to_owned(),
                numbers: vec!["6281240000001".parse().unwrap()],
            }),
            Content::Media(Box::new(Media {
                kind: MediaKind::Audio,
                file: "3EB0".into(),
                sha256: [7; 32],
                mime: "audio/ogg; codecs=opus".to_owned(),
                file_name: "catatan.ogg".to_owned(),
                caption: None,
                voice: true,
                preview: Preview {
                    size: Some((1200, 1600)),
                    seconds: Some(7),
                    thumbnail: Some(vec![0xff, 0xd8, 0, 7]),
                },
            })),
        ] {
            let (kind, body) = (content.kind().word(), content.to_json());
            assert_eq!(Content::from_json(kind, &body).unwrap(), content);
        }
    }

    #[test]
    fn rows_of_before_there_were_previews_are_read() {
        let sha256 = "07".repeat(32);
        let body = format!(
            r#"{{"file":"3EB0","sha256":"{sha256}","mime":"image/png","file_name":"a.png","caption":null,"voice":false}}"#
        );
        let content = Content::from_json("image", &body).unwrap();
        let is_plain = |media: &Media| media.preview == Preview::default();
        assert!(matches!(content, Content::Media(media) if is_plain(&media)));
    }

    #[test]
    fn a_different_preview_does_not_change_the_content() {
        let file = |preview| {
            let media = Media {
                kind: MediaKind::Image,
                file: "3EB0".into(),
                sha256: [7; 32],
                mime: "image/png".to_owned(),
                file_name: "a.png".to_owned(),
                caption: None,
                voice: false,
                preview,
            };
            Content::Media(Box::new(media)).identity()
        };
        let shown = Preview {
            size: Some((1, 1)),
            ..Preview::default()
        };
        assert_eq!(file(shown), file(Preview::default()));
    }

    #[test]
    fn unknown_or_broken_content_is_an_error() {
        for (kind, body) in [
            ("song", "{}"),
            ("text", "{}"),
            ("location", r#"{"latitude":1}"#),
            ("contact", r#"{"name":"x","numbers":["0812"]}"#),
            (
                "image",
                r#"{"file":"x","sha256":"00","mime":"","file_name":"","caption":null,"voice":false}"#,
            ),
        ] {
            assert!(Content::from_json(kind, body).is_err(), "{kind} {body}");
        }
    }
}
