//! What a file is: from its bytes first, then from what its host says, then from its name.
//!
//! Hosts say `application/octet-stream`, or `image/jpeg` over an error page; bytes do not lie. Only where they say no more than
//! what a file is wrapped in (a zip, plain text) is the host asked, and the name after it.

use url::Url;
use waviro_link::MediaKind;

/// What bytes tell of wrappings, not of what is inside.
const WRAPPINGS: [&str; 4] = [
    "application/zip",
    "application/x-ole-storage",
    "application/xml",
    "text/plain",
];

/// Images that every phone shows in a chat. Others go as documents, which a phone can open or hand on.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// What nobody says anything by.
const UNKNOWN: &str = "application/octet-stream";

/// The kind of message, and the media type.
pub(crate) fn of(head: &[u8], content_type: Option<&str>, url: &Url) -> (MediaKind, String) {
    let told = content_type.map(bare).filter(|told| told != UNKNOWN);
    let named = || {
        mime_guess::from_path(url.path())
            .first_raw()
            .map(str::to_owned)
    };
    let seen = infer::get(head).map(|kind| kind.mime_type().to_owned());
    let mime = match seen {
        Some(seen) if !WRAPPINGS.contains(&seen.as_str()) => seen,
        // Bytes that are no picture, song or film must not be called one.
        seen => told
            .or_else(named)
            .filter(|mime| kind(mime) == MediaKind::Document)
            .or(seen)
            .unwrap_or_else(|| UNKNOWN.to_owned()),
    };
    if is_voice(head) {
        return (MediaKind::Audio, "audio/ogg; codecs=opus".to_owned());
    }
    (kind(&mime), mime)
}

/// Whether WhatsApp plays it as a voice note: Opus in Ogg, as phones record them.
pub(crate) fn is_voice(head: &[u8]) -> bool {
    head.starts_with(b"OggS") && head.windows(8).take(64).any(|part| part == b"OpusHead")
}

fn kind(mime: &str) -> MediaKind {
    match mime.split_once('/') {
        Some(("image", _)) if SHOWN.contains(&mime) => MediaKind::Image,
        Some(("video", _)) => MediaKind::Video,
        Some(("audio", _)) => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

/// `Image/JPEG; charset=x` is `image/jpeg`.
fn bare(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(head: &[u8], content_type: Option<&str>, path: &str) -> (MediaKind, String) {
        let url = Url::parse(&format!("https://host.example/{path}")).unwrap();
        of(head, content_type, &url)
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0";

    #[test]
    fn bytes_are_believed_before_host_and_name() {
        for (told, path) in [
            (Some("application/octet-stream"), "x"),
            (Some("text/html"), "x.pdf"),
            (None, "x.jpg"),
        ] {
            let found = of_file(PNG, told, path);
            assert_eq!(found, (MediaKind::Image, "image/png".to_owned()));
        }
        assert_eq!(
            of_file(PDF, Some("image/png"), "x.png").0,
            MediaKind::Document
        );
    }

    #[test]
    fn a_page_that_calls_itself_a_picture_is_none() {
        let page = b"<!DOCTYPE html><html><body>Login</body></html>";
        let found = of_file(page, Some("image/jpeg"), "foto.jpg");
        assert_eq!(found, (MediaKind::Document, "text/html".to_owned()));
        let noise = of_file(
            b"\x01\x02\x03\x04nothing known",
            Some("image/jpeg"),
            "foto.jpg",
        );
        assert_eq!(noise, (MediaKind::Document, UNKNOWN.to_owned()));
    }

    #[test]
    fn what_is_wrapped_is_named_by_host_or_name() {
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(of_file(ZIP, Some(word), "x").1, word);
        assert_eq!(of_file(ZIP, None, "surat.docx").1, word);
        assert_eq!(of_file(ZIP, Some(UNKNOWN), "x").1, "application/zip");
        assert_eq!(
            of_file(
                b"nama,harga\nkopi,5000\n",
                Some("Text/CSV; charset=utf-8"),
                "x"
            )
            .1,
            "text/csv"
        );
    }

    #[test]
    fn opus_in_ogg_is_a_voice_note_and_other_sound_is_not() {
        let mut opus =
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01".to_vec();
        opus.resize(64, 0);
        let found = of_file(&opus, Some("application/ogg"), "catatan.ogg");
        assert_eq!(
            found,
            (MediaKind::Audio, "audio/ogg; codecs=opus".to_owned())
        );
        assert_eq!(
            of_file(b"ID3\x04\0\0\0\0\0\0", None, "lagu").0,
            MediaKind::Audio
        );
        assert_eq!(
            of_file(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41", None, "film").0,
            MediaKind::Video
        );
        assert_eq!(
            of_file(
                b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
                Some("image/svg+xml"),
                "x.svg"
            )
            .0,
            MediaKind::Document
        );
    }
}
