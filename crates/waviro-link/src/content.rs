//! What a message says, one type for each kind.

use std::path::PathBuf;

use crate::message::Number;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Plain text, not empty.
    Text(String),
    /// A place.
    Location(Location),
    /// Somebody's card.
    Contact(Contact),
    /// A file, with what the phone shows of it.
    Media(Box<Media>),
}

/// A file to send. It stays where it is until the server has acked the message: it may have to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// How the phone shows it.
    pub kind: MediaKind,
    /// Where the bytes are, on this machine.
    pub file: PathBuf,
    /// Of the bytes.
    pub sha256: [u8; 32],
    /// The media type: `image/jpeg`, `audio/ogg; codecs=opus`.
    pub mime: String,
    /// What a document is called.
    pub file_name: String,
    /// Shown under it; nothing for audio, which carries none on WhatsApp.
    pub caption: Option<String>,
    /// Audio that the phone plays as a voice note.
    pub voice: bool,
    /// What the phone shows before it has the bytes.
    pub preview: Preview,
}

/// What a phone shows of a file before it is opened, as far as it is known. Without it a picture is a grey box of the wrong shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Width and height of a picture or film in pixels, as it is shown: after the turn that the file asks for.
    pub size: Option<(u32, u32)>,
    /// How long sound or film is, in whole seconds.
    pub seconds: Option<u32>,
    /// A small JPEG of a picture, turned as it is shown. It travels inside the message, so a few KB at most.
    pub thumbnail: Option<Vec<u8>>,
}

/// How a phone shows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture in the chat.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// A file to open or to keep.
    Document,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// What the phone shows beside the map.
    pub name: Option<String>,
}

/// A card with the numbers of one person or shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Whose it is, not empty.
    pub name: String,
    /// At least one.
    pub numbers: Vec<Number>,
}
