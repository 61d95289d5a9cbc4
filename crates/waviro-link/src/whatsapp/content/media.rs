//! Files, in both directions. An outgoing file is encrypted into a copy beside the original,
//! uploaded as a stream, and described in a message of its kind. For an inbound file, the module
//! only reads the description; [`super::download`] fetches the file.
//!
//! No file is held in memory. Each attempt uploads the file again with a new key. If a recipient
//! gets a message id twice, the phone keeps the first message.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use waproto::whatsapp as wa;
use whatsapp_rust::download::{Downloadable, MediaType};
use whatsapp_rust::media::{
    AudioOptions, DocumentOptions, ImageOptions, VideoOptions, audio_message, document_message,
    image_message, video_message,
};
use whatsapp_rust::wacore::upload::{EncryptedMediaInfo, UploadSource, encrypt_media_streaming};
use whatsapp_rust::{Client, Jid, waproto};

use crate::whatsapp::handle::Reference;
use crate::{InboundMedia, InboundMediaKind, LinkError, Media, MediaKind};

/// The timeout of an upload: 16 MiB take a bit more than two minutes over a slow uplink of 1
/// Mbit/s.
const UPLOAD_WITHIN: Duration = Duration::from_mins(4);

/// Uploads the file and returns the message with the file's location and key.
pub(in crate::whatsapp) async fn outgoing(
    client: &Arc<Client>,
    media: &Media,
) -> Result<wa::Message, LinkError> {
    let kind = media_type(media.kind);
    let (plain, sealed) = (media.file.clone(), Sealed::beside(&media.file));
    let path = sealed.0.clone();
    let sealing = tokio::task::spawn_blocking(move || seal(&plain, &path, kind));
    let (info, length) = sealing
        .await
        .map_err(|error| LinkError::Failed(error.to_string()))??;
    let source = OnDisk {
        path: sealed.0.clone(),
        length,
    };
    let uploading = client.upload_stream(source, info, kind);
    let upload = match tokio::time::timeout(UPLOAD_WITHIN, uploading).await {
        Ok(Ok(upload)) => upload,
        Ok(Err(error)) => return Err(LinkError::Failed(format!("upload: {error:#}"))),
        Err(_) => return Err(LinkError::TimedOut),
    };
    let mimetype = Some(media.mime.clone());
    let caption = media.caption.clone();
    let preview = &media.preview;
    let mut message = match media.kind {
        MediaKind::Image => {
            let options = ImageOptions {
                caption,
                mimetype,
                jpeg_thumbnail: preview.thumbnail.clone(),
                ..ImageOptions::default()
            };
            image_message(upload, options)
        }
        MediaKind::Video => {
            let options = VideoOptions {
                caption,
                mimetype,
                jpeg_thumbnail: preview.thumbnail.clone(),
                duration_seconds: preview.seconds,
                ..VideoOptions::default()
            };
            video_message(upload, options)
        }
        MediaKind::Audio => {
            let options = AudioOptions {
                mimetype,
                duration_seconds: preview.seconds,
                ptt: Some(media.voice),
                ..AudioOptions::default()
            };
            audio_message(upload, options)
        }
        MediaKind::Document => {
            let options = DocumentOptions {
                caption,
                mimetype,
                file_name: Some(media.file_name.clone()),
                title: Some(media.file_name.clone()),
                ..DocumentOptions::default()
            };
            document_message(upload, options)
        }
    };
    measure(&mut message, preview.size);
    Ok(message)
}

/// The message that contained a file.
pub(in crate::whatsapp) struct Origin<'a> {
    pub(in crate::whatsapp) id: &'a str,
    pub(in crate::whatsapp) chat: &'a Jid,
    pub(in crate::whatsapp) sender: &'a Jid,
    pub(in crate::whatsapp) from_me: bool,
}

/// Returns the file in a message; `None` also if the message lacks the data for a download.
pub(in crate::whatsapp) fn inbound(
    base: &wa::Message,
    origin: &Origin<'_>,
) -> Option<InboundMedia> {
    let video = base.video_message.as_option();
    let video = video.or_else(|| base.ptv_message.as_option());
    if let Some(image) = base.image_message.as_option() {
        let mut file = file(
            InboundMediaKind::Image,
            image,
            image.mimetype.as_ref(),
            origin,
        )?;
        file.caption = shown(image.caption.as_ref());
        Some(file)
    } else if let Some(video) = video {
        let mut file = file(
            InboundMediaKind::Video,
            video,
            video.mimetype.as_ref(),
            origin,
        )?;
        file.caption = shown(video.caption.as_ref());
        file.seconds = video.seconds;
        Some(file)
    } else if let Some(audio) = base.audio_message.as_option() {
        let mut file = file(
            InboundMediaKind::Audio,
            audio,
            audio.mimetype.as_ref(),
            origin,
        )?;
        file.seconds = audio.seconds;
        file.voice = audio.ptt.unwrap_or(false);
        Some(file)
    } else if let Some(document) = base.document_message.as_option() {
        let mime = document.mimetype.as_ref();
        let mut file = file(InboundMediaKind::Document, document, mime, origin)?;
        let name = shown(document.file_name.as_ref());
        file.file_name = name.or_else(|| shown(document.title.as_ref()));
        file.caption = shown(document.caption.as_ref());
        Some(file)
    } else if let Some(sticker) = base.sticker_message.as_option() {
        file(
            InboundMediaKind::Sticker,
            sticker,
            sticker.mimetype.as_ref(),
            origin,
        )
    } else {
        None
    }
}

/// Reads the data common to all kinds of files.
fn file(
    kind: InboundMediaKind,
    message: &impl Downloadable,
    mime: Option<&String>,
    origin: &Origin<'_>,
) -> Option<InboundMedia> {
    let reference = Reference::of(kind, message, origin)?;
    Some(InboundMedia {
        kind,
        mime: mime.cloned().unwrap_or_default(),
        size: reference.length,
        file_name: None,
        caption: None,
        seconds: None,
        voice: false,
        handle: reference.line()?,
    })
}

fn shown(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// Sets width and height directly, because the library's options do not contain them.
fn measure(message: &mut wa::Message, size: Option<(u32, u32)>) {
    let Some((width, height)) = size else { return };
    if let Some(image) = message.image_message.as_option_mut() {
        (image.width, image.height) = (Some(width), Some(height));
    }
    if let Some(video) = message.video_message.as_option_mut() {
        (video.width, video.height) = (Some(width), Some(height));
    }
}

fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
    }
}

/// Encrypts a file into another file; returns the encryption data and the new length.
fn seal(
    plain: &Path,
    sealed: &Path,
    kind: MediaType,
) -> Result<(EncryptedMediaInfo, u64), LinkError> {
    let failed = |error: std::io::Error| LinkError::Failed(format!("spool: {error}"));
    let reader = File::open(plain).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => LinkError::Refused("the file is gone".to_owned()),
        _ => failed(error),
    })?;
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let writer = BufWriter::new(options.open(sealed).map_err(failed)?);
    let info = encrypt_media_streaming(BufReader::new(reader), writer, kind)
        .map_err(|error| LinkError::Failed(format!("encryption: {error:#}")))?;
    let length = std::fs::metadata(sealed).map_err(failed)?.len();
    Ok((info, length))
}

/// The encrypted copy; dropping the value removes the file.
struct Sealed(PathBuf);

impl Sealed {
    fn beside(file: &Path) -> Self {
        let mut name = file.as_os_str().to_owned();
        name.push(".sealed");
        Self(name.into())
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // After a kill, the gateway's sweep at the start removes the file.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file to upload from any offset, because an interrupted upload continues at its last offset.
struct OnDisk {
    path: PathBuf,
    length: u64,
}

impl UploadSource for OnDisk {
    fn len(&self) -> u64 {
        self.length
    }

    fn reader_from(&self, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}
