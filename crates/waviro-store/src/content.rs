//! The content of a message as stored in a row: the name of its kind and a JSON body with the
//! fields of that kind.
//!
//! The duplicate rule hashes the same body, see [`identity`].

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use waviro_link::{Contact, Content, Location, Media, MediaKind, Preview};

use super::StoreError;

#[derive(Serialize, Deserialize)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct StoredLocation {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Card {
    name: String,
    numbers: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Spooled {
    /// The bare file name, because the spool folder may move between two starts.
    file: String,
    sha256: String,
    mime: String,
    file_name: String,
    caption: Option<String>,
    voice: bool,
    /// Missing in rows older than the preview feature.
    #[serde(default)]
    preview: StoredPreview,
}

/// A stored preview, so that a retry after a restart shows the same preview.
#[derive(Default, Serialize, Deserialize)]
struct StoredPreview {
    size: Option<(u32, u32)>,
    seconds: Option<u32>,
    /// Base64.
    thumbnail: Option<String>,
}

/// Returns the text compared by the duplicate rule: the body, or for a file its SHA-256 and its
/// caption.
pub(super) fn identity(content: &Content, body: &str) -> String {
    match content {
        Content::Media(media) => {
            let caption = media.caption.as_deref().unwrap_or_default();
            format!("{}\n{caption}", hex::encode(media.sha256))
        }
        _ => body.to_owned(),
    }
}

/// Returns the name of the kind and the JSON body.
pub(super) fn encode(content: &Content) -> Result<(&'static str, String), StoreError> {
    let (kind, body) = match content {
        Content::Text(text) => ("text", serde_json::to_string(&Text { text: text.clone() })),
        Content::Location(place) => {
            let place = StoredLocation {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name.clone(),
            };
            ("location", serde_json::to_string(&place))
        }
        Content::Contact(card) => {
            let card = Card {
                name: card.name.clone(),
                numbers: card.numbers.iter().map(ToString::to_string).collect(),
            };
            ("contact", serde_json::to_string(&card))
        }
        Content::Media(media) => {
            let name = media.file.file_name().unwrap_or_default();
            let spooled = Spooled {
                file: name.to_string_lossy().into_owned(),
                sha256: hex::encode(media.sha256),
                mime: media.mime.clone(),
                file_name: media.file_name.clone(),
                caption: media.caption.clone(),
                voice: media.voice,
                preview: shown(&media.preview),
            };
            (word(media.kind), serde_json::to_string(&spooled))
        }
        _ => {
            return Err(StoreError::Unreadable(
                "a kind of content without a form".to_owned(),
            ));
        }
    };
    let body = body.map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok((kind, body))
}

/// Parses a stored kind and body.
pub(super) fn decode(kind: &str, body: &str) -> Result<Content, StoreError> {
    let unreadable = || StoreError::Unreadable(format!("a message body of kind {kind}"));
    match kind {
        "text" => serde_json::from_str(body)
            .map(|Text { text }| Content::Text(text))
            .map_err(|_| unreadable()),
        "location" => {
            let place: StoredLocation = serde_json::from_str(body).map_err(|_| unreadable())?;
            Ok(Content::Location(Location {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
            }))
        }
        "contact" => {
            let card: Card = serde_json::from_str(body).map_err(|_| unreadable())?;
            let numbers = card.numbers.iter().map(|number| number.parse());
            Ok(Content::Contact(Contact {
                name: card.name,
                numbers: numbers
                    .collect::<Result<_, _>>()
                    .map_err(|_| unreadable())?,
            }))
        }
        "image" => media(MediaKind::Image, body).ok_or_else(unreadable),
        "video" => media(MediaKind::Video, body).ok_or_else(unreadable),
        "audio" => media(MediaKind::Audio, body).ok_or_else(unreadable),
        "document" => media(MediaKind::Document, body).ok_or_else(unreadable),
        _ => Err(unreadable()),
    }
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Document => "document",
    }
}

/// Parses the content of a media message. The path is the bare file name; the outbox adds the
/// folder.
fn media(kind: MediaKind, body: &str) -> Option<Content> {
    let spooled: Spooled = serde_json::from_str(body).ok()?;
    let name = Path::new(&spooled.file).file_name()?;
    Some(Content::Media(Box::new(Media {
        kind,
        file: PathBuf::from(name),
        sha256: hex::decode(spooled.sha256).ok()?.try_into().ok()?,
        mime: spooled.mime,
        file_name: spooled.file_name,
        caption: spooled.caption,
        voice: spooled.voice,
        preview: preview(spooled.preview)?,
    })))
}

fn shown(preview: &Preview) -> StoredPreview {
    StoredPreview {
        size: preview.size,
        seconds: preview.seconds,
        thumbnail: preview.thumbnail.as_ref().map(|jpeg| BASE64.encode(jpeg)),
    }
}

fn preview(shown: StoredPreview) -> Option<Preview> {
    let thumbnail = shown.thumbnail.map(|text| BASE64.decode(text).ok());
    Some(Preview {
        size: shown.size,
        seconds: shown.seconds,
        thumbnail: match thumbnail {
            Some(jpeg) => Some(jpeg?),
            None => None,
        },
    })
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
            let (kind, body) = encode(&content).unwrap();
            assert_eq!(decode(kind, &body).unwrap(), content);
        }
    }

    #[test]
    fn rows_of_before_there_were_previews_are_read() {
        let sha256 = "07".repeat(32);
        let body = format!(
            r#"{{"file":"3EB0","sha256":"{sha256}","mime":"image/png","file_name":"a.png","caption":null,"voice":false}}"#
        );
        let content = decode("image", &body).unwrap();
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
            let content = Content::Media(Box::new(media));
            identity(&content, &encode(&content).unwrap().1)
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
            assert!(matches!(decode(kind, body), Err(StoreError::Unreadable(_))));
        }
    }
}
