//! The files of messages in an inbox: downloaded from the media host, checked like on a real phone,
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

use super::media::{Media, Missing, hex, sha256};
use crate::base64::serde_bytes;

/// The number of remembered results. With this cache, a file in a group is checked once and not
/// once for each member.
const REMEMBERED: usize = 64;

/// The location and keys of a message's file. Stored with the message, but not shown in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Download {
    /// The KIND in `/mms/KIND`; a sticker has the kind of images.
    kind: String,
    direct_path: String,
    #[serde(with = "serde_bytes")]
    media_key: Vec<u8>,
    #[serde(with = "serde_bytes")]
    file_sha256: Vec<u8>,
    #[serde(with = "serde_bytes")]
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
