//! The text format of a [`MediaHandle`]: one line of words separated by spaces.
//!
//! `1 KIND LENGTH KEY SHA256 SHA256-OF-THE-ENCRYPTED ID CHAT PARTICIPANT|- me|them PATH`. The first
//! word is the version of the format. The path comes last, because WhatsApp chooses the path and it
//! may contain spaces.

use std::fmt::Write as _;

use whatsapp_rust::Jid;
use whatsapp_rust::download::{Downloadable, MediaType};

use super::content::media::Origin;
use crate::{InboundMediaKind, MediaHandle, MessageId};

/// The version of the format.
const VERSION: &str = "1";

/// A file on WhatsApp's hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    kind: InboundMediaKind,
    /// The size in bytes claimed by the sender.
    pub(super) length: u64,
    pub(super) key: Vec<u8>,
    pub(super) sha256: Vec<u8>,
    pub(super) sealed_sha256: Vec<u8>,
    /// The id of the message with the file; the phone finds the file by the id.
    pub(super) message: String,
    pub(super) chat: Jid,
    /// The author of the message, if the chat is a group.
    pub(super) participant: Option<Jid>,
    pub(super) from_me: bool,
    pub(super) path: String,
}

impl Reference {
    /// Reads the description of a file in a message; returns `None` if a part needed for the
    /// download is missing.
    pub(super) fn of(
        kind: InboundMediaKind,
        file: &impl Downloadable,
        origin: &Origin<'_>,
    ) -> Option<Self> {
        let full = |bytes: Option<&[u8]>| Some(bytes.filter(|it| it.len() == 32)?.to_vec());
        let in_group = whatsapp_rust::wacore_binary::JidExt::is_group(origin.chat);
        Some(Self {
            kind,
            length: file.file_length().unwrap_or(0),
            key: full(file.media_key())?,
            sha256: full(file.file_sha256())?,
            sealed_sha256: full(file.file_enc_sha256())?,
            message: origin.id.to_owned(),
            chat: origin.chat.to_non_ad(),
            participant: in_group.then(|| origin.sender.to_non_ad()),
            from_me: origin.from_me,
            path: file
                .direct_path()
                .filter(|it| it.starts_with('/'))?
                .to_owned(),
        })
    }

    /// Returns the handle; `None` if a value from WhatsApp does not fit into the format.
    pub(super) fn line(&self) -> Option<MediaHandle> {
        let participant = self.participant.as_ref().map(ToString::to_string);
        let words = [
            VERSION.to_owned(),
            self.kind.word().to_owned(),
            self.length.to_string(),
            hex(&self.key),
            hex(&self.sha256),
            hex(&self.sealed_sha256),
            one_word(&self.message),
            self.chat.to_string(),
            participant.unwrap_or_else(|| "-".to_owned()),
            if self.from_me { "me" } else { "them" }.to_owned(),
        ];
        if words.iter().any(|word| word.contains(' ')) {
            return None;
        }
        format!("{} {}", words.join(" "), self.path).parse().ok()
    }

    pub(super) fn read(handle: &MediaHandle) -> Option<Self> {
        let mut words = handle.as_str().splitn(11, ' ');
        let mut word = || words.next();
        if word()? != VERSION {
            return None;
        }
        let kind = word()?;
        Some(Self {
            kind: InboundMediaKind::ALL
                .into_iter()
                .find(|known| known.word() == kind)?,
            length: word()?.parse().ok()?,
            key: bytes(word()?)?,
            sha256: bytes(word()?)?,
            sealed_sha256: bytes(word()?)?,
            message: from_word(word()?)?,
            chat: word()?.parse().ok()?,
            participant: match word()? {
                "-" => None,
                name => Some(name.parse().ok()?),
            },
            from_me: word()? == "me",
            path: word()?.to_owned(),
        })
    }

    /// Returns the media type. The encryption differs between the media types.
    pub(super) fn media_type(&self) -> MediaType {
        match self.kind {
            InboundMediaKind::Image => MediaType::Image,
            InboundMediaKind::Video => MediaType::Video,
            InboundMediaKind::Audio => MediaType::Audio,
            InboundMediaKind::Document => MediaType::Document,
            InboundMediaKind::Sticker => MediaType::Sticker,
        }
    }
}

/// Returns the message id as one word, because senders choose ids freely. An id that is not one
/// word is written in hexadecimal after a mark. A very long id is shortened: the download works
/// without the id, but the phone cannot be asked to upload the file again.
fn one_word(id: &str) -> String {
    let id = MessageId::from_wire(id);
    let id = id.as_str();
    let is_word = !id.starts_with(MARK) && !id.contains(char::is_whitespace);
    if is_word {
        id.to_owned()
    } else {
        format!("{MARK}{}", hex(id.as_bytes()))
    }
}

fn from_word(word: &str) -> Option<String> {
    match word.strip_prefix(MARK) {
        Some(hexadecimal) => String::from_utf8(bytes(hexadecimal)?).ok(),
        None => Some(word.to_owned()),
    }
}

/// No id of WhatsApp's own clients starts with this character.
const MARK: char = '%';

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub(super) fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference {
            kind: InboundMediaKind::Document,
            length: 70_000,
            key: vec![1; 32],
            sha256: vec![0xab; 32],
            sealed_sha256: vec![0xff; 32],
            message: "3A01".to_owned(),
            chat: Jid::group("120363000000000001"),
            participant: Some(Jid::lid("123456789012345")),
            from_me: false,
            path: "/v/t62 7/x_n.enc?oh=1&_nc_sid=2".to_owned(),
        }
    }

    #[test]
    fn a_media_reference_is_parsed_back_unchanged() {
        let alone = Reference {
            participant: None,
            from_me: true,
            chat: Jid::pn("6281300000001"),
            ..reference()
        };
        for kept in [reference(), alone] {
            let line = kept.line().unwrap();
            assert_eq!(Reference::read(&line), Some(kept));
        }
    }

    #[test]
    fn a_file_is_found_whatever_its_messages_id_is() {
        for message in ["A B", "%41", "é ✓", "a\u{a0}b"] {
            let kept = Reference {
                message: message.to_owned(),
                ..reference()
            };
            assert_eq!(Reference::read(&kept.line().unwrap()), Some(kept));
        }
        let endless = Reference {
            message: "A ".repeat(5_000),
            ..reference()
        };
        assert!(Reference::read(&endless.line().unwrap()).is_some());
    }

    #[test]
    fn a_foreign_line_is_not_a_media_reference() {
        let line = reference().line().unwrap();
        let newer = format!("2{}", &line.as_str()[1..]);
        for wrong in ["x", "1 image", "1 image x 00 00 00 A 1@lid - me /p", &newer] {
            assert_eq!(Reference::read(&wrong.parse().unwrap()), None, "{wrong}");
        }
        let broken = Reference {
            path: "/v\n".to_owned(),
            ..reference()
        };
        assert_eq!(broken.line(), None);
    }
}
