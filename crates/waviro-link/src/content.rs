//! The content of an outgoing message, with one type for each kind.

use std::path::PathBuf;

use crate::message::Number;

/// The content of an outgoing message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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

/// A file to send. The file must exist until the server has acked the message, because the message
/// may be resent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// How the phone shows the file.
    pub kind: MediaKind,
    /// The path of the file on this machine.
    pub file: PathBuf,
    /// The SHA-256 hash of the file.
    pub sha256: [u8; 32],
    /// The media type: `image/jpeg`, `audio/ogg; codecs=opus`.
    pub mime: String,
    /// The name that the phone shows for a document.
    pub file_name: String,
    /// The text below the file. Ignored for audio: WhatsApp has no caption for audio.
    pub caption: Option<String>,
    /// The phone plays the audio as a voice note.
    pub voice: bool,
    /// The data that the phone shows before it downloads the file.
    pub preview: Preview,
}

/// The data for a file's preview on the phone. Each part may be unknown. Without a preview, the
/// phone shows a picture as a grey box of the wrong shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// The width and height of a picture or video in pixels, after the rotation that the file's
    /// metadata asks for.
    pub size: Option<(u32, u32)>,
    /// The length of audio or video, in whole seconds.
    pub seconds: Option<u32>,
    /// A small JPEG of the picture, already rotated. The thumbnail travels inside the message, so
    /// it must have a few KB at most.
    pub thumbnail: Option<Vec<u8>>,
}

/// How a phone shows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture in the chat.
    Image,
    /// A video.
    Video,
    /// Audio.
    Audio,
    /// A file to open or to save.
    Document,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// The text that the phone shows beside the map.
    pub name: Option<String>,
}

/// A contact card with the numbers of one person or shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name on the card, not empty.
    pub name: String,
    /// The phone numbers, at least one.
    pub numbers: Vec<Number>,
}
