//! The files of a phone's messages: downloaded from the media host, checked like on a real phone,
//! and decrypted.
//!
//! The file is downloaded during the handling of the message. The inbox therefore never shows a
//! message before the result of the check.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wacore::download::{DownloadUtils, Downloadable, MediaType};
use wacore::upload::{EncryptedMedia, encrypt_media_with_key};

use super::outgoing::{MediaKind, SendError};
use crate::media::{MAX_FILE, Media, Missing, hex, sha256};
use crate::snapshot::base64_bytes;
use crate::world::World;

/// The number of remembered results. With this cache, a file in a group is checked once and not
/// once for each member.
const REMEMBERED: usize = 64;

/// The location and keys of a message's file. Stored with the message, but not shown in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Download {
    /// The KIND in `/mms/KIND`; a sticker has the kind of images.
    kind: String,
    direct_path: String,
    #[serde(with = "base64_bytes")]
    media_key: Vec<u8>,
    #[serde(with = "base64_bytes")]
    file_sha256: Vec<u8>,
    #[serde(with = "base64_bytes")]
    file_enc_sha256: Vec<u8>,
}

/// The properties of a file that passed all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    sha256: String,
    size: usize,
}

/// The reason why a file cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the message has no direct_path")]
    NoPath,
    #[error("the media host answers 404 for the direct_path")]
    Unknown,
    #[error("the media host answers 403 for the direct_path")]
    Unsigned,
    #[error("file_enc_sha256 differs from the hash of the file on the media host")]
    Encrypted,
    #[error("the file cannot be decrypted: {0}")]
    Undecryptable(String),
    #[error("file_sha256 differs from the hash of the decrypted file")]
    Plain,
}

impl Download {
    pub(crate) fn of(message: &impl Downloadable) -> Self {
        let bytes = |field: Option<&[u8]>| field.unwrap_or_default().to_vec();
        Self {
            kind: message.app_info().mms_type().to_owned(),
            direct_path: message.direct_path().unwrap_or_default().to_owned(),
            media_key: bytes(message.media_key()),
            file_sha256: bytes(message.file_sha256()),
            file_enc_sha256: bytes(message.file_enc_sha256()),
        }
    }

    pub(crate) fn direct_path(&self) -> &str {
        &self.direct_path
    }

    pub(crate) fn media_key(&self) -> &[u8] {
        &self.media_key
    }

    /// Downloads, checks and decrypts the file.
    pub(crate) fn fetch(&self, media: &Media) -> Result<Bytes, FileError> {
        if self.direct_path.is_empty() {
            return Err(FileError::NoPath);
        }
        let encrypted = media
            .open(&self.direct_path)
            .map_err(|missing| match missing {
                Missing::Unknown | Missing::Expired => FileError::Unknown,
                Missing::Unsigned => FileError::Unsigned,
            })?;
        if sha256(&encrypted)[..] != self.file_enc_sha256[..] {
            return Err(FileError::Encrypted);
        }
        let plain =
            DownloadUtils::verify_and_decrypt(&encrypted, &self.media_key, self.media_type())
                .map_err(|error| FileError::Undecryptable(error.to_string()))?;
        if sha256(&plain)[..] != self.file_sha256[..] {
            return Err(FileError::Plain);
        }
        Ok(plain.into())
    }

    fn media_type(&self) -> MediaType {
        match self.kind.as_str() {
            "video" => MediaType::Video,
            "audio" => MediaType::Audio,
            "document" => MediaType::Document,
            _ => MediaType::Image,
        }
    }
}

/// A file on the media host, uploaded by a phone.
pub(crate) struct Uploaded {
    pub(crate) url: String,
    pub(crate) direct_path: String,
    pub(crate) media_key: Vec<u8>,
    pub(crate) file_sha256: Vec<u8>,
    pub(crate) file_enc_sha256: Vec<u8>,
    pub(crate) file_length: u64,
    /// Seconds since 1970.
    pub(crate) media_key_timestamp: i64,
    pub(crate) streaming_sidecar: Option<Vec<u8>>,
}

impl Uploaded {
    /// Encrypts a file and uploads the file to the media host.
    pub(crate) fn new(
        world: &World,
        kind: MediaKind,
        plain: &[u8],
        key: &[u8; 32],
    ) -> Result<Self, SendError> {
        let media_type = match kind {
            MediaKind::Image => MediaType::Image,
            MediaKind::Video => MediaType::Video,
            MediaKind::Audio => MediaType::Audio,
            MediaKind::Document => MediaType::Document,
            MediaKind::Sticker => MediaType::Sticker,
        };
        let refused = |error: &dyn std::fmt::Display| SendError::File(error.to_string());
        let EncryptedMedia {
            data_to_upload,
            media_key,
            file_sha256,
            file_enc_sha256,
            streaming_sidecar,
        } = encrypt_media_with_key(plain, media_type, Some(key))
            .map_err(|error| refused(&error))?;
        if data_to_upload.len() > MAX_FILE {
            return Err(refused(&"a file must not be larger than 100 MiB"));
        }
        let direct_path = world
            .media
            .put(
                media_type.mms_type(),
                &file_enc_sha256,
                data_to_upload.into(),
            )
            .map_err(|error| refused(&error))?;
        Ok(Self {
            // Readers use the direct path. A reader of the URL must not contact a real host.
            url: format!("https://media.invalid{direct_path}"),
            direct_path,
            media_key: media_key.to_vec(),
            file_sha256: file_sha256.to_vec(),
            file_enc_sha256: file_enc_sha256.to_vec(),
            file_length: plain.len() as u64,
            media_key_timestamp: i64::try_from(world.now()).unwrap_or(i64::MAX),
            streaming_sidecar,
        })
    }
}

/// The results of the newest checks.
#[derive(Default)]
pub(crate) struct Checked(Mutex<VecDeque<(Download, Result<Facts, FileError>)>>);

impl Checked {
    /// Downloads a file and adds the result to the fields of the message: `sha256` and `size`, or
    /// `media_error`.
    pub(crate) fn describe(
        &self,
        media: &Media,
        download: &Download,
        fields: &mut Map<String, Value>,
    ) {
        match self.facts(media, download) {
            Ok(facts) => {
                fields.insert("sha256".to_owned(), json!(facts.sha256));
                fields.insert("size".to_owned(), json!(facts.size));
            }
            Err(error) => {
                fields.insert("media_error".to_owned(), json!(error.to_string()));
            }
        }
    }

    fn facts(&self, media: &Media, download: &Download) -> Result<Facts, FileError> {
        if let Some((_, known)) = self.0.lock().iter().find(|(known, _)| known == download) {
            return known.clone();
        }
        let facts = download.fetch(media).map(|plain| Facts {
            sha256: hex(&download.file_sha256),
            size: plain.len(),
        });
        let mut checked = self.0.lock();
        if checked.len() >= REMEMBERED {
            checked.pop_front();
        }
        // A missing file can be uploaded later, so the result is not remembered.
        if !matches!(facts, Err(FileError::Unknown)) {
            checked.push_back((download.clone(), facts.clone()));
        }
        facts
    }
}
