//! Messages with a file: their kinds and what each kind says of its file.

use serde_json::{Map, Value, json};
use waproto::whatsapp as wa;

use super::{Content, show};
use crate::media::{hex, sha256};
use crate::phone::files::Download;

/// Describes a message that has a file; `None` for others.
pub(super) fn describe(message: &wa::Message) -> Option<Content> {
    let (content, download, thumbnail) = if let Some(image) = message.image_message.as_option() {
        let fields = json!({
            "mimetype": image.mimetype, "file_length": image.file_length,
            "width": image.width, "height": image.height,
        });
        (
            show("image", caption(image.caption.as_ref()), fields),
            Download::of(image),
            image.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(video) = message.video_message.as_option() {
        let fields = json!({
            "mimetype": video.mimetype, "file_length": video.file_length, "seconds": video.seconds,
            "width": video.width, "height": video.height,
        });
        (
            show("video", caption(video.caption.as_ref()), fields),
            Download::of(video),
            video.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(document) = message.document_message.as_option() {
        let fields = json!({
            "mimetype": document.mimetype, "file_length": document.file_length, "file_name": document.file_name,
            "title": document.title, "page_count": document.page_count,
        });
        (
            show("document", caption(document.caption.as_ref()), fields),
            Download::of(document),
            document.jpeg_thumbnail.as_ref(),
        )
    } else if let Some(audio) = message.audio_message.as_option() {
        let fields = json!({
            "mimetype": audio.mimetype, "file_length": audio.file_length, "voice": audio.ptt, "seconds": audio.seconds,
        });
        (show("audio", "", fields), Download::of(audio), None)
    } else if let Some(sticker) = message.sticker_message.as_option() {
        let fields = json!({
            "mimetype": sticker.mimetype, "file_length": sticker.file_length,
            "width": sticker.width, "height": sticker.height,
        });
        (
            show("sticker", "", fields),
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
        fields.insert("thumbnail_sha256".to_owned(), json!(hex(&sha256(bytes))));
        fields.insert("thumbnail_size".to_owned(), json!(bytes.len()));
    }
}

fn caption(caption: Option<&String>) -> &str {
    caption.map(String::as_str).unwrap_or_default()
}
