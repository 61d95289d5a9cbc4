//! Files of a phone: fetched from the media host, checked as a real phone checks them, decrypted.
//!
//! A file is fetched while its message is handled, so that a message is never shown before what is known of its file.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wacore::download::{DownloadUtils, Downloadable, MediaType};

use crate::media::{Media, Missing, hex, sha256};
use crate::snapshot::base64_bytes;

/// How many outcomes are remembered: a file in a group is checked once, not once for each member.
const REMEMBERED: usize = 64;

/// Where a message's file is and what opens it. Kept beside the message, shown to no one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Download {
    /// As in `/mms/KIND`; stickers are images there.
    kind: String,
    direct_path: String,
    #[serde(with = "base64_bytes")]
    media_key: Vec<u8>,
    #[serde(with = "base64_bytes")]
    file_sha256: Vec<u8>,
    #[serde(with = "base64_bytes")]
    file_enc_sha256: Vec<u8>,
}

/// What is known of a file that passed all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    sha256: String,
    size: usize,
}

/// Why a file cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the message has no direct_path")]
    NoPath,
    #[error("the media host answers 404 for the direct_path")]
    Unknown,
    #[error("the media host answers 403 for the direct_path")]
    Unsigned,
    #[error("file_enc_sha256 is not that of the file on the media host")]
    Encrypted,
    #[error("it cannot be decrypted: {0}")]
    Undecryptable(String),
    #[error("file_sha256 is not that of the decrypted file")]
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

    /// Fetches, checks and decrypts the file.
    pub(crate) fn fetch(&self, media: &Media) -> Result<Bytes, FileError> {
        if self.direct_path.is_empty() {
            return Err(FileError::NoPath);
        }
        let encrypted = media
            .open(&self.direct_path)
            .map_err(|missing| match missing {
                Missing::Unknown => FileError::Unknown,
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

/// What came of the files that were checked last.
#[derive(Default)]
pub(crate) struct Checked(Mutex<VecDeque<(Download, Result<Facts, FileError>)>>);

impl Checked {
    /// Fetches a file and puts what is known of it among the fields of its message: `sha256` and `size`, or
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
        // A file that is missing now may come.
        if !matches!(facts, Err(FileError::Unknown)) {
            checked.push_back((download.clone(), facts.clone()));
        }
        facts
    }
}
