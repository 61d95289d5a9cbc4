//! Messages with a file, in both directions: the fields of each kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::entry::Content;
use crate::phone::outgoing::{MediaKind, OutgoingMedia};
use crate::phone::upload::Uploaded;
use crate::world::file::Download;
use crate::world::media::{hex, sha256};

/// Describes a message with a file. Returns `None` for any other message.
pub(super) fn describe(message: &wa::Message) -> Option<Content> {
    let (content, download, thumbnail) = if let Some(image) = message.image_message.as_option() {
        let fields = json!({
            "mimetype": image.mimetype, "file_length": image.file_length,
            "width": image.width, "height": image.height,
        });
        (
            Content::new("image", caption(image.caption.as_ref()), fields),
            Download::of(image),
            image.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(video) = message.video_message.as_option() {
        let fields = json!({
            "mimetype": video.mimetype, "file_length": video.file_length, "seconds": video.seconds,
            "width": video.width, "height": video.height,
        });
        (
            Content::new("video", caption(video.caption.as_ref()), fields),
            Download::of(video),
            video.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(document) = message.document_message.as_option() {
        let fields = json!({
            "mimetype": document.mimetype, "file_length": document.file_length, "file_name": document.file_name,
            "title": document.title, "page_count": document.page_count,
        });
        (
            Content::new("document", caption(document.caption.as_ref()), fields),
            Download::of(document),
            document.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(audio) = message.audio_message.as_option() {
        let fields = json!({
            "mimetype": audio.mimetype, "file_length": audio.file_length, "voice": audio.ptt, "seconds": audio.seconds,
        });
        (Content::new("audio", "", fields), Download::of(audio), None)
    } else if let Some(sticker) = message.sticker_message.as_option() {
        let fields = json!({
            "mimetype": sticker.mimetype, "file_length": sticker.file_length,
            "width": sticker.width, "height": sticker.height,
        });
        (
            Content::new("sticker", "", fields),
            Download::of(sticker),
            sticker.png_thumbnail.as_ref(),
        )
    } else {
        return None;
    };
    let mut content = content;
    describe_thumbnail(&mut content.fields, thumbnail.map(AsRef::as_ref));
    content.download = Some(download);
    Some(content)
}

fn describe_thumbnail(fields: &mut Map<String, Value>, thumbnail: Option<&[u8]>) {
    let thumbnail = thumbnail.filter(|bytes| !bytes.is_empty());
    fields.insert("has_thumbnail".to_owned(), json!(thumbnail.is_some()));
    if let Some(bytes) = thumbnail {
        fields.insert("thumbnail".to_owned(), json!(BASE64.encode(bytes)));
        fields.insert("thumbnail_sha256".to_owned(), json!(hex(&sha256(bytes))));
        fields.insert("thumbnail_size".to_owned(), json!(bytes.len()));
    }
}

fn caption(caption: Option<&String>) -> &str {
    caption.map(String::as_str).unwrap_or_default()
}

/// Returns the message for an uploaded file.
pub(crate) fn message(media: OutgoingMedia, file: Uploaded) -> wa::Message {
    let usual = match media.kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Video => "video/mp4",
        MediaKind::Audio => "audio/ogg; codecs=opus",
        MediaKind::Document => "application/octet-stream",
        MediaKind::Sticker => "image/webp",
    };
    let mimetype = Some(media.mimetype.unwrap_or_else(|| usual.to_owned()));
    match media.kind {
        MediaKind::Image => wa::Message {
            image_message: MessageField::some(wa::message::ImageMessage {
                url: Some(file.url),
                direct_path: Some(file.direct_path),
                media_key: Some(file.media_key),
                file_sha256: Some(file.file_sha256),
                file_enc_sha256: Some(file.file_enc_sha256),
                file_length: Some(file.file_length),
                media_key_timestamp: Some(file.media_key_timestamp),
                mimetype,
                caption: media.caption,
                ..Default::default()
            }),
            ..Default::default()
        },
        MediaKind::Video => wa::Message {
            video_message: MessageField::some(wa::message::VideoMessage {
                url: Some(file.url),
                direct_path: Some(file.direct_path),
                media_key: Some(file.media_key),
                file_sha256: Some(file.file_sha256),
                file_enc_sha256: Some(file.file_enc_sha256),
                file_length: Some(file.file_length),
                media_key_timestamp: Some(file.media_key_timestamp),
                streaming_sidecar: file.streaming_sidecar,
                mimetype,
                caption: media.caption,
                ..Default::default()
            }),
            ..Default::default()
        },
        MediaKind::Audio => wa::Message {
            audio_message: MessageField::some(wa::message::AudioMessage {
                url: Some(file.url),
                direct_path: Some(file.direct_path),
                media_key: Some(file.media_key),
                file_sha256: Some(file.file_sha256),
                file_enc_sha256: Some(file.file_enc_sha256),
                file_length: Some(file.file_length),
                media_key_timestamp: Some(file.media_key_timestamp),
                streaming_sidecar: file.streaming_sidecar,
                mimetype,
                ptt: Some(media.voice),
                ..Default::default()
            }),
            ..Default::default()
        },
        MediaKind::Sticker => wa::Message {
            sticker_message: MessageField::some(wa::message::StickerMessage {
                url: Some(file.url),
                direct_path: Some(file.direct_path),
                media_key: Some(file.media_key),
                file_sha256: Some(file.file_sha256),
                file_enc_sha256: Some(file.file_enc_sha256),
                file_length: Some(file.file_length),
                media_key_timestamp: Some(file.media_key_timestamp),
                mimetype,
                ..Default::default()
            }),
            ..Default::default()
        },
        MediaKind::Document => {
            let has_caption = media.caption.is_some();
            let document = wa::Message {
                document_message: MessageField::some(wa::message::DocumentMessage {
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key),
                    file_sha256: Some(file.file_sha256),
                    file_enc_sha256: Some(file.file_enc_sha256),
                    file_length: Some(file.file_length),
                    media_key_timestamp: Some(file.media_key_timestamp),
                    mimetype,
                    title: media.file_name.clone(),
                    file_name: media.file_name,
                    caption: media.caption,
                    ..Default::default()
                }),
                ..Default::default()
            };
            if has_caption {
                captioned(document)
            } else {
                document
            }
        }
    }
}

/// Wraps a document with a caption, as phones do, for readers that do not know captions of
/// documents.
fn captioned(document: wa::Message) -> wa::Message {
    wa::Message {
        document_with_caption_message: MessageField::some(wa::message::FutureProofMessage {
            message: MessageField::some(document),
        }),
        ..Default::default()
    }
}
