//! Uploads the file of an outgoing message to the media host.

use wacore::download::MediaType;
use wacore::upload::{EncryptedMedia, encrypt_media_with_key};

use super::outgoing::{MediaKind, SendError};
use crate::world::World;
use crate::world::media::MAX_FILE;

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
