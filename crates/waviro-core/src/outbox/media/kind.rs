//! Determines the message kind, the media type and the name of a file.
//!
//! The bytes decide first, because hosts send `application/octet-stream` for a known file, or
//! `image/jpeg` for an error page. If a container can hold many formats, the extension of the name
//! decides next, then the content of the container, then the host's `Content-Type`.

use std::io::{Read, Seek};

use url::Url;
use waviro_link::MediaKind;

use super::container::{self, Container};
use super::name::{self, Names};
use super::{formats, page};

/// The media type of unrecognized bytes.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions of audio files. Used only for an mp4 file without readable tracks.
const SOUND: [&str; 5] = ["aac", "m4a", "m4b", "m4r", "3ga"];

/// Facts about a file beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// `Content-Type`.
    pub(super) content_type: Option<&'a str>,
    /// `Content-Disposition`.
    pub(super) disposition: Option<&'a str>,
    /// The URL from the caller.
    pub(super) requested: &'a Url,
    /// The URL that answered with the file, after redirects.
    pub(super) found: &'a Url,
    /// The caller wants a picture, a video, an audio or a contact card, so a web page is refused.
    pub(super) no_page: bool,
}

/// The result: how to send a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) container: Container,
    pub(super) kind: MediaKind,
    pub(super) mime: String,
    pub(super) file_name: String,
    /// WhatsApp plays Opus in Ogg as a voice note, the format in which phones record voice notes.
    pub(super) voice: bool,
}

impl Judged {
    /// Changes the result after the file was converted to a picture that phones show.
    pub(super) fn shown_as(&mut self, mime: &str) {
        self.container = match mime {
            "image/png" => Container::Png,
            _ => Container::Jpeg,
        };
        self.kind = kind(self.container);
        mime.clone_into(&mut self.mime);
        let name = std::mem::take(&mut self.file_name);
        self.file_name = name::fitting(name, self.container, mime);
    }
}

/// A web page instead of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The direct link to the file, if known.
    pub(super) direct: Option<String>,
}

/// Determines how to send a file.
pub(super) fn of<F: Read + Seek>(
    file: &mut F,
    about: About<'_>,
) -> std::io::Result<Result<Judged, Page>> {
    let content_type = about.content_type.map(bare);
    let content_type = content_type.as_deref().unwrap_or_default();
    let names = Names::of(about.disposition, about.found, about.requested);
    let is_sound = content_type.starts_with("audio/")
        || names.extensions().any(|end| SOUND.contains(&end.as_str()));
    let container = container::of(file, is_sound)?;
    if container == Container::Html && is_misplaced(&names, content_type, about) {
        let direct = page::direct(about.requested).or_else(|| page::direct(about.found));
        return Ok(Err(Page { direct }));
    }
    let chosen = names.choose(container);
    let mime = inline(container).map_or_else(
        || {
            let extension = name::extension(&chosen);
            let by_name = extension.and_then(|end| formats::agreeing(&end, container));
            by_name
                .or_else(|| container::inside::format(file, container))
                .or_else(|| formats::named(content_type, container))
                .map(ToOwned::to_owned)
                .or_else(|| foreign(content_type, container))
                .unwrap_or_else(|| usual(container).to_owned())
        },
        ToOwned::to_owned,
    );
    Ok(Ok(Judged {
        container,
        kind: kind(container),
        file_name: name::fitting(chosen, container, &mime),
        mime,
        voice: container == Container::Opus,
    }))
}

/// Returns whether a web page cannot be the wanted file.
fn is_misplaced(names: &Names, content_type: &str, about: About<'_>) -> bool {
    let is_file =
        |end: String| formats::is_known(&end) && formats::agreeing(&end, Container::Html).is_none();
    // A program that exports a web page as an old Office file sends a file name, or a content type
    // other than `text/html`. A login page has neither.
    let is_export = names.has_disposition_name() || content_type != "text/html";
    let is_old_office = |end: &String| ["doc", "dot", "xls", "xlt"].contains(&end.as_str());
    let is_shown = ["image/", "video/", "audio/", "application/pdf"]
        .iter()
        .any(|kind| content_type.starts_with(kind));
    about.no_page
        || is_shown
        || page::is_viewer(about.requested)
        || page::is_viewer(about.found)
        || (!is_export && names.extensions().any(|end| is_old_office(&end)))
        || names.extensions().any(is_file)
}

/// Returns the message kind. Phones show or play few formats in a chat. Every other file is sent as
/// a document, to be opened with another app.
pub(super) fn kind(container: Container) -> MediaKind {
    use Container as C;
    match container {
        C::Jpeg | C::Png => MediaKind::Image,
        C::Mp4 | C::ThreeGp | C::Quicktime => MediaKind::Video,
        C::Mp3 | C::M4a | C::Aac | C::Amr | C::Opus => MediaKind::Audio,
        C::Aiff
        | C::Asf
        | C::Avi
        | C::Avif
        | C::Binary
        | C::Bmp
        | C::Bzip2
        | C::Exe
        | C::Flac
        | C::Flv
        | C::Gif
        | C::Gzip
        | C::Heif
        | C::Html
        | C::Icon
        | C::Matroska
        | C::MatroskaSound
        | C::Midi
        | C::Mpeg
        | C::MpegTs
        | C::OggFilm
        | C::OggSound
        | C::Ole
        | C::Pdf
        | C::PostScript
        | C::Psd
        | C::Rar
        | C::Rtf
        | C::SevenZip
        | C::Sqlite
        | C::Tar
        | C::Text
        | C::Tiff
        | C::Wav
        | C::Webm
        | C::WebmSound
        | C::Webp
        | C::Xml
        | C::Xz
        | C::Zip
        | C::Zstd => MediaKind::Document,
    }
}

/// Returns the media type that phones expect for formats shown or played in a chat.
fn inline(container: Container) -> Option<&'static str> {
    use Container as C;
    (kind(container) != MediaKind::Document).then_some(match container {
        C::Opus => "audio/ogg; codecs=opus",
        other => usual(other),
    })
}

/// Returns the media type of a container if nothing else is known about the file.
fn usual(container: Container) -> &'static str {
    use Container as C;
    match container {
        C::Aac => "audio/aac",
        C::Aiff => "audio/aiff",
        C::Amr => "audio/amr",
        C::Asf => "video/x-ms-asf",
        C::Avi => "video/x-msvideo",
        C::Avif => "image/avif",
        C::Binary => UNKNOWN,
        C::Bmp => "image/bmp",
        C::Bzip2 => "application/x-bzip2",
        C::Exe => "application/vnd.microsoft.portable-executable",
        C::Flac => "audio/flac",
        C::Flv => "video/x-flv",
        C::Gif => "image/gif",
        C::Gzip => "application/gzip",
        C::Heif => "image/heic",
        C::Html => "text/html",
        C::Icon => "image/vnd.microsoft.icon",
        C::Jpeg => "image/jpeg",
        C::M4a => "audio/mp4",
        C::Matroska => "video/x-matroska",
        C::MatroskaSound => "audio/x-matroska",
        C::Midi => "audio/midi",
        C::Mp3 => "audio/mpeg",
        C::Mp4 => "video/mp4",
        C::Mpeg => "video/mpeg",
        C::MpegTs => "video/mp2t",
        C::OggFilm => "video/ogg",
        C::OggSound | C::Opus => "audio/ogg",
        C::Ole => "application/x-ole-storage",
        C::Pdf => "application/pdf",
        C::Png => "image/png",
        C::PostScript => "application/postscript",
        C::Psd => "image/vnd.adobe.photoshop",
        C::Quicktime => "video/quicktime",
        C::Rar => "application/vnd.rar",
        C::Rtf => "application/rtf",
        C::SevenZip => "application/x-7z-compressed",
        C::Sqlite => "application/vnd.sqlite3",
        C::Tar => "application/x-tar",
        C::Text => "text/plain",
        C::ThreeGp => "video/3gpp",
        C::Tiff => "image/tiff",
        C::Wav => "audio/wav",
        C::Webm => "video/webm",
        C::WebmSound => "audio/webm",
        C::Webp => "image/webp",
        C::Xml => "application/xml",
        C::Xz => "application/x-xz",
        C::Zip => "application/zip",
        C::Zstd => "application/zstd",
    }
}

/// Accepts a host's media type for bytes of an unknown format. Rejected are:
///
/// - media types of pictures, videos and audio, because the bytes have no such format;
/// - media types of the table, such as PHP's default `text/html`;
/// - media types without information, such as `application/download`.
fn foreign(content_type: &str, container: Container) -> Option<String> {
    use Container as C;
    let is_open = matches!(container, C::Binary | C::Zip | C::Ole | C::Xml | C::Text);
    let is_text = matches!(container, C::Xml | C::Text);
    let (class, rest) = content_type.split_once('/')?;
    let token = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !text.is_empty() && text.len() <= 100 && text.bytes().all(fits)
    };
    let fits = match class {
        "application" | "model" | "font" | "chemical" => {
            let said_by_habit = ["download", "octet", "unknown", "binary"];
            !said_by_habit.iter().any(|word| rest.contains(word)) && !formats_has(content_type)
        }
        "text" => is_text && !formats_has(content_type),
        _ => false,
    };
    (is_open && fits && token(rest)).then(|| content_type.to_owned())
}

/// Returns whether the table has the media type. Then a disagreement with the bytes means that the
/// host is wrong.
fn formats_has(mime: &str) -> bool {
    formats::extension(mime).is_some()
}

/// Reduces `Image/JPEG; charset=x` to `image/jpeg`.
fn bare(content_type: &str) -> String {
    let bare = content_type.split([';', ',']).next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
