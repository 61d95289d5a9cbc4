//! The messages that the host accepted, with the content that the phone must show.

use serde::Serialize;
use serde_json::Value;

use crate::callback_server::File;

/// A message accepted by the host.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// The message id.
    pub id: String,
    /// The recipient: `…@c.us` or `…@g.us`.
    pub to: String,
    /// The content that the phone must show.
    #[serde(flatten)]
    pub what: What,
}

/// The content of a message on the phone.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A text message.
    Text {
        /// The sent text.
        text: String,
    },
    /// A file.
    Media {
        /// `image`, `video`, `audio` or `document`.
        media: &'static str,
        /// The hash of the bytes in hex.
        sha256: String,
        /// The size in bytes.
        size: usize,
        /// The caption; may be empty.
        caption: String,
    },
    /// A location.
    Location {
        /// The latitude in degrees.
        latitude: f64,
        /// The longitude in degrees.
        longitude: f64,
        /// The name of the location; may be empty.
        name: String,
    },
    /// A contact card.
    Contact {
        /// The name on the card.
        name: String,
        /// The numbers on the card: country code first, digits only.
        numbers: Vec<String>,
    },
}

/// The kinds of files.
const MEDIA: [&str; 4] = ["image", "video", "audio", "document"];

impl What {
    /// Reads the content from the body of a request, and the file from the file of the request.
    pub(crate) fn of(body: &Value, file: Option<&File>, kind: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let degrees = |value: &Value| {
            let written = value.as_str().and_then(|text| text.parse().ok());
            value.as_f64().or(written).unwrap_or(f64::NAN)
        };
        let contact = body.get("contact").or_else(|| body.get("Contact"));
        if let Some(contact) = contact {
            let parsed = contact.as_str().map(serde_json::from_str);
            let contact = parsed.and_then(Result::ok).unwrap_or(contact.clone());
            let numbers = contact["numbers"].as_array().cloned();
            let numbers = numbers.unwrap_or_else(|| vec![contact["numbers"].clone()]);
            Self::Contact {
                name: text(&contact["name"]),
                numbers: numbers.iter().map(text).collect(),
            }
        } else if let Some(file) = file {
            Self::Media {
                media: MEDIA.into_iter().find(|media| *media == kind).unwrap_or(""),
                sha256: file.sha256.clone(),
                size: file.size,
                caption: text(&body["pesan"]),
            }
        } else if body.get("latitude").is_some() {
            Self::Location {
                latitude: degrees(&body["latitude"]),
                longitude: degrees(&body["longitude"]),
                name: text(&body["pesan"]),
            }
        } else {
            Self::Text {
                text: text(&body["pesan"]),
            }
        }
    }
}
