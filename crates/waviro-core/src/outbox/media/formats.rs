//! The table of file formats: extension, containers of the bytes, media type.
//!
//! An extension agrees with a file if the table has a row with the extension and the container of
//! the bytes. The row then gives the media type. The first row of a media type has its usual
//! extension. Several rows may share an extension: `.ts` is both a recording of a TV receiver and a
//! TypeScript file.

use super::container::Container::{
    self, Aac, Aiff, Amr, Asf, Avi, Avif, Binary, Bmp, Bzip2, Exe, Flac, Flv, Gif, Gzip, Heif,
    Html, Icon, Jpeg, M4a, Matroska, MatroskaSound, Midi, Mp3, Mp4, Mpeg, MpegTs, OggFilm,
    OggSound, Ole, Opus, Pdf, Png, PostScript, Psd, Quicktime, Rar, Rtf, SevenZip, Sqlite, Tar,
    Text, ThreeGp, Tiff, Wav, Webm, WebmSound, Webp, Xml, Xz, Zip, Zstd,
};

type Row = (&'static str, &'static [Container], &'static str);

const ANY_TEXT: &[Container] = &[Text, Xml, Html];
/// Word and Excel also open web pages and texts under the old extensions. Many PHP programs export
/// such files.
const OLD_OFFICE: &[Container] = &[Ole, Zip, Rtf, Xml, Html, Text];
/// Office saves a document with a password as an encrypted OLE container.
const NEW_OFFICE: &[Container] = &[Zip, Ole];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Pictures.
    ("jpg", &[Jpeg], "image/jpeg"),
    ("jpeg", &[Jpeg], "image/jpeg"),
    ("jpe", &[Jpeg], "image/jpeg"),
    ("jfif", &[Jpeg], "image/jpeg"),
    ("png", &[Png], "image/png"),
    ("apng", &[Png], "image/png"),
    ("gif", &[Gif], "image/gif"),
    ("webp", &[Webp], "image/webp"),
    ("bmp", &[Bmp], "image/bmp"),
    ("dib", &[Bmp], "image/bmp"),
    ("tif", &[Tiff], "image/tiff"),
    ("tiff", &[Tiff], "image/tiff"),
    ("dng", &[Tiff], "image/x-adobe-dng"),
    ("cr2", &[Tiff], "image/x-canon-cr2"),
    ("nef", &[Tiff], "image/x-nikon-nef"),
    ("arw", &[Tiff], "image/x-sony-arw"),
    ("ico", &[Icon], "image/vnd.microsoft.icon"),
    ("heic", &[Heif], "image/heic"),
    ("heif", &[Heif], "image/heif"),
    ("hif", &[Heif], "image/heif"),
    ("avif", &[Avif, Heif], "image/avif"),
    ("psd", &[Psd], "image/vnd.adobe.photoshop"),
    ("svg", &[Xml], "image/svg+xml"),
    ("svgz", &[Gzip, Xml], "image/svg+xml"),
    ("jp2", &[Binary], "image/jp2"),
    ("jxl", &[Binary], "image/jxl"),
    ("cdr", &[Binary, Zip], "application/vnd.corel-draw"),
    ("dwg", &[Binary], "image/vnd.dwg"),
    ("dxf", &[Text, Binary], "image/vnd.dxf"),
    // Audio.
    ("mp3", &[Mp3], "audio/mpeg"),
    ("mpga", &[Mp3], "audio/mpeg"),
    ("m4a", &[M4a], "audio/mp4"),
    ("m4b", &[M4a], "audio/mp4"),
    ("m4r", &[M4a], "audio/mp4"),
    ("mp4", &[M4a], "audio/mp4"),
    ("3gp", &[M4a], "audio/mp4"),
    ("3gpp", &[M4a], "audio/mp4"),
    ("mov", &[M4a], "audio/mp4"),
    ("aac", &[Aac], "audio/aac"),
    ("aac", &[M4a], "audio/mp4"),
    ("amr", &[Amr], "audio/amr"),
    ("3ga", &[Amr], "audio/amr"),
    ("3ga", &[M4a], "audio/mp4"),
    ("ogg", &[Opus, OggSound], "audio/ogg"),
    ("oga", &[Opus, OggSound], "audio/ogg"),
    ("opus", &[Opus], "audio/ogg"),
    ("spx", &[OggSound], "audio/ogg"),
    ("wav", &[Wav], "audio/wav"),
    ("flac", &[Flac], "audio/flac"),
    ("aiff", &[Aiff], "audio/aiff"),
    ("aif", &[Aiff], "audio/aiff"),
    ("aifc", &[Aiff], "audio/aiff"),
    ("mid", &[Midi], "audio/midi"),
    ("midi", &[Midi], "audio/midi"),
    ("weba", &[WebmSound], "audio/webm"),
    ("webm", &[WebmSound], "audio/webm"),
    ("mka", &[MatroskaSound], "audio/x-matroska"),
    ("mkv", &[MatroskaSound], "audio/x-matroska"),
    ("wma", &[Asf], "audio/x-ms-wma"),
    // Videos.
    ("mp4", &[Mp4], "video/mp4"),
    ("m4v", &[Mp4], "video/mp4"),
    ("mp4v", &[Mp4], "video/mp4"),
    ("f4v", &[Mp4], "video/mp4"),
    ("3gp", &[ThreeGp], "video/3gpp"),
    ("3gpp", &[ThreeGp], "video/3gpp"),
    ("3g2", &[ThreeGp], "video/3gpp2"),
    ("3gp", &[Mp4], "video/mp4"),
    ("mov", &[Quicktime], "video/quicktime"),
    ("qt", &[Quicktime], "video/quicktime"),
    ("mov", &[Mp4], "video/mp4"),
    ("webm", &[Webm], "video/webm"),
    ("mkv", &[Matroska], "video/x-matroska"),
    ("avi", &[Avi], "video/x-msvideo"),
    ("wmv", &[Asf], "video/x-ms-wmv"),
    ("asf", &[Asf], "video/x-ms-asf"),
    ("flv", &[Flv], "video/x-flv"),
    ("mpg", &[Mpeg], "video/mpeg"),
    ("mpeg", &[Mpeg], "video/mpeg"),
    ("vob", &[Mpeg], "video/mpeg"),
    ("mts", &[MpegTs], "video/mp2t"),
    ("m2ts", &[MpegTs], "video/mp2t"),
    ("ts", &[MpegTs], "video/mp2t"),
    ("ogv", &[OggFilm], "video/ogg"),
    ("ogg", &[OggFilm], "video/ogg"),
    // Documents.
    ("pdf", &[Pdf], "application/pdf"),
    ("rtf", &[Rtf], "application/rtf"),
    ("eps", &[PostScript], "application/postscript"),
    ("ps", &[PostScript], "application/postscript"),
    ("ai", &[Pdf, PostScript], "application/illustrator"),
    // OLE.
    ("doc", OLD_OFFICE, "application/msword"),
    ("dot", OLD_OFFICE, "application/msword"),
    ("xls", OLD_OFFICE, "application/vnd.ms-excel"),
    ("xlt", OLD_OFFICE, "application/vnd.ms-excel"),
    ("xla", &[Ole], "application/vnd.ms-excel"),
    ("ppt", &[Ole, Zip], "application/vnd.ms-powerpoint"),
    ("pps", &[Ole, Zip], "application/vnd.ms-powerpoint"),
    ("pot", &[Ole, Zip], "application/vnd.ms-powerpoint"),
    ("msg", &[Ole], "application/vnd.ms-outlook"),
    ("pub", &[Ole], "application/x-mspublisher"),
    ("vsd", &[Ole], "application/vnd.visio"),
    ("mpp", &[Ole], "application/vnd.ms-project"),
    ("msi", &[Ole], "application/x-msi"),
    ("wps", &[Ole], "application/vnd.ms-works"),
    ("et", &[Ole, Zip], "application/vnd.ms-excel"),
    ("dps", &[Ole, Zip], "application/vnd.ms-powerpoint"),
    // Zip.
    ("docx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("docm", NEW_OFFICE, "application/vnd.ms-word.document.macroenabled.12"),
    ("dotx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.wordprocessingml.template"),
    ("xlsx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xlsm", NEW_OFFICE, "application/vnd.ms-excel.sheet.macroenabled.12"),
    ("xlsb", NEW_OFFICE, "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    ("xltx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.spreadsheetml.template"),
    ("pptx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("pptm", NEW_OFFICE, "application/vnd.ms-powerpoint.presentation.macroenabled.12"),
    ("ppsx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.presentationml.slideshow"),
    ("potx", NEW_OFFICE, "application/vnd.openxmlformats-officedocument.presentationml.template"),
    ("vsdx", NEW_OFFICE, "application/vnd.ms-visio.drawing"),
    ("odt", &[Zip], "application/vnd.oasis.opendocument.text"),
    ("ods", &[Zip], "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", &[Zip], "application/vnd.oasis.opendocument.presentation"),
    ("odg", &[Zip], "application/vnd.oasis.opendocument.graphics"),
    ("epub", &[Zip], "application/epub+zip"),
    ("apk", &[Zip], "application/vnd.android.package-archive"),
    ("xapk", &[Zip], "application/vnd.android.package-archive"),
    ("apks", &[Zip], "application/vnd.android.package-archive"),
    ("aab", &[Zip], "application/x-authorware-bin"),
    ("ipa", &[Zip], "application/x-ios-app"),
    ("jar", &[Zip], "application/java-archive"),
    ("war", &[Zip], "application/java-archive"),
    ("kmz", &[Zip], "application/vnd.google-earth.kmz"),
    ("zip", &[Zip], "application/zip"),
    ("cbz", &[Zip], "application/vnd.comicbook+zip"),
    ("pages", &[Zip], "application/vnd.apple.pages"),
    ("numbers", &[Zip], "application/vnd.apple.numbers"),
    ("key", &[Zip], "application/vnd.apple.keynote"),
    ("usdz", &[Zip], "model/vnd.usdz+zip"),
    ("3mf", &[Zip], "model/3mf"),
    ("idml", &[Zip], "application/vnd.adobe.indesign-idml-package"),
    ("xps", &[Zip], "application/vnd.ms-xpsdocument"),
    ("oxps", &[Zip], "application/oxps"),
    ("xd", &[Zip], "application/vnd.adobe.xd"),
    ("sketch", &[Zip], "application/zip"),
    ("mcpack", &[Zip], "application/zip"),
    // XML.
    ("xml", &[Xml, Text], "application/xml"),
    ("kml", &[Xml], "application/vnd.google-earth.kml+xml"),
    ("gpx", &[Xml], "application/gpx+xml"),
    ("tcx", &[Xml], "application/vnd.garmin.tcx+xml"),
    ("rss", &[Xml], "application/rss+xml"),
    ("atom", &[Xml], "application/atom+xml"),
    ("xsd", &[Xml], "application/xml"),
    ("xsl", &[Xml], "application/xml"),
    ("xslt", &[Xml], "application/xslt+xml"),
    ("wsdl", &[Xml], "application/wsdl+xml"),
    ("plist", &[Xml, Binary], "application/x-plist"),
    ("drawio", &[Xml, Text], "application/xml"),
    ("musicxml", &[Xml], "application/vnd.recordare.musicxml+xml"),
    ("dae", &[Xml], "model/vnd.collada+xml"),
    ("gml", &[Xml], "application/gml+xml"),
    ("fods", &[Xml], "application/vnd.oasis.opendocument.spreadsheet"),
    ("fodt", &[Xml], "application/vnd.oasis.opendocument.text"),
    ("qgs", &[Xml], "application/xml"),
    ("xhtml", &[Html, Xml], "application/xhtml+xml"),
    // Text.
    ("txt", ANY_TEXT, "text/plain"),
    ("text", ANY_TEXT, "text/plain"),
    ("log", ANY_TEXT, "text/plain"),
    ("nfo", ANY_TEXT, "text/plain"),
    ("csv", &[Text], "text/csv"),
    ("tsv", &[Text], "text/tab-separated-values"),
    ("tab", &[Text], "text/tab-separated-values"),
    ("json", &[Text], "application/json"),
    ("jsonl", &[Text], "application/jsonl"),
    ("ndjson", &[Text], "application/x-ndjson"),
    ("geojson", &[Text], "application/geo+json"),
    ("md", ANY_TEXT, "text/markdown"),
    ("markdown", ANY_TEXT, "text/markdown"),
    ("vcf", &[Text], "text/vcard"),
    ("vcard", &[Text], "text/vcard"),
    ("ics", &[Text], "text/calendar"),
    ("ical", &[Text], "text/calendar"),
    ("eml", &[Text], "message/rfc822"),
    ("mht", &[Text], "multipart/related"),
    ("mhtml", &[Text], "multipart/related"),
    ("html", ANY_TEXT, "text/html"),
    ("htm", ANY_TEXT, "text/html"),
    ("css", ANY_TEXT, "text/css"),
    ("js", ANY_TEXT, "text/javascript"),
    ("mjs", ANY_TEXT, "text/javascript"),
    ("ts", &[Text], "text/x-typescript"),
    ("jsx", ANY_TEXT, "text/javascript"),
    ("tsx", ANY_TEXT, "text/x-typescript"),
    ("vue", ANY_TEXT, "text/plain"),
    ("php", ANY_TEXT, "application/x-httpd-php"),
    ("asp", ANY_TEXT, "text/plain"),
    ("aspx", ANY_TEXT, "text/plain"),
    ("jsp", ANY_TEXT, "text/plain"),
    ("py", &[Text], "text/x-python"),
    ("rb", &[Text], "text/plain"),
    ("pl", &[Text], "text/plain"),
    ("go", &[Text], "text/plain"),
    ("rs", &[Text], "text/plain"),
    ("java", &[Text], "text/x-java-source"),
    ("kt", &[Text], "text/plain"),
    ("cpp", &[Text], "text/x-c"),
    ("cs", &[Text], "text/plain"),
    ("sh", &[Text], "application/x-sh"),
    ("bat", &[Text], "text/plain"),
    ("cmd", &[Text], "text/plain"),
    ("ps1", &[Text], "text/plain"),
    ("vbs", &[Text], "text/plain"),
    ("sql", ANY_TEXT, "application/sql"),
    ("yaml", ANY_TEXT, "application/yaml"),
    ("yml", ANY_TEXT, "application/yaml"),
    ("toml", ANY_TEXT, "application/toml"),
    ("ini", ANY_TEXT, "text/plain"),
    ("conf", ANY_TEXT, "text/plain"),
    ("cfg", ANY_TEXT, "text/plain"),
    ("env", &[Text], "text/plain"),
    ("properties", &[Text], "text/plain"),
    ("srt", &[Text], "application/x-subrip"),
    ("vtt", &[Text], "text/vtt"),
    ("lrc", &[Text], "text/plain"),
    ("tex", ANY_TEXT, "text/x-tex"),
    ("diff", ANY_TEXT, "text/plain"),
    ("patch", ANY_TEXT, "text/plain"),
    ("po", &[Text], "text/plain"),
    ("m3u", &[Text], "audio/x-mpegurl"),
    ("m3u8", &[Text], "application/vnd.apple.mpegurl"),
    ("ovpn", ANY_TEXT, "application/x-openvpn-profile"),
    ("pem", &[Text], "application/x-pem-file"),
    ("crt", &[Text, Binary], "application/x-x509-ca-cert"),
    ("cer", &[Text, Binary], "application/x-x509-ca-cert"),
    ("key", &[Text], "text/plain"),
    ("url", &[Text], "text/plain"),
    ("reg", &[Text], "text/plain"),
    ("rdp", &[Text], "text/plain"),
    ("gcode", &[Text], "text/plain"),
    ("obj", &[Text], "model/obj"),
    ("stl", &[Text, Binary], "model/stl"),
    ("step", &[Text], "model/step"),
    ("stp", &[Text], "model/step"),
    ("ipynb", &[Text], "application/x-ipynb+json"),
    // Archives and programs.
    ("gz", &[Gzip], "application/gzip"),
    ("tgz", &[Gzip], "application/gzip"),
    ("rar", &[Rar], "application/vnd.rar"),
    ("cbr", &[Rar], "application/vnd.comicbook-rar"),
    ("7z", &[SevenZip], "application/x-7z-compressed"),
    ("bz2", &[Bzip2], "application/x-bzip2"),
    ("xz", &[Xz], "application/x-xz"),
    ("zst", &[Zstd], "application/zstd"),
    ("tar", &[Tar], "application/x-tar"),
    ("exe", &[Exe], "application/vnd.microsoft.portable-executable"),
    ("dll", &[Exe], "application/vnd.microsoft.portable-executable"),
    ("sqlite", &[Sqlite], "application/vnd.sqlite3"),
    ("sqlite3", &[Sqlite], "application/vnd.sqlite3"),
    ("db", &[Sqlite, Binary], "application/octet-stream"),
    // Formats without a signature known to this program.
    ("bin", &[Binary], "application/octet-stream"),
    ("dat", &[Binary, Text], "application/octet-stream"),
    ("iso", &[Binary], "application/x-iso9660-image"),
    ("img", &[Binary], "application/octet-stream"),
    ("dmg", &[Binary], "application/x-apple-diskimage"),
    ("deb", &[Binary], "application/vnd.debian.binary-package"),
    ("rpm", &[Binary], "application/x-rpm"),
    ("cab", &[Binary], "application/vnd.ms-cab-compressed"),
    ("mdb", &[Binary], "application/vnd.ms-access"),
    ("accdb", &[Binary], "application/vnd.ms-access"),
    ("dbf", &[Binary], "application/x-dbf"),
    ("ttf", &[Binary], "font/ttf"),
    ("otf", &[Binary], "font/otf"),
    ("woff", &[Binary], "font/woff"),
    ("woff2", &[Binary], "font/woff2"),
    ("p12", &[Binary], "application/x-pkcs12"),
    ("pfx", &[Binary], "application/x-pkcs12"),
    ("p7s", &[Binary, Text], "application/pkcs7-signature"),
    ("sig", &[Binary, Text], "application/pgp-signature"),
    ("mobi", &[Binary], "application/x-mobipocket-ebook"),
    ("azw3", &[Binary], "application/vnd.amazon.ebook"),
    ("djvu", &[Binary], "image/vnd.djvu"),
    ("parquet", &[Binary], "application/vnd.apache.parquet"),
    ("torrent", &[Binary, Text], "application/x-bittorrent"),
    ("swf", &[Binary], "application/vnd.adobe.flash.movie"),
    ("indd", &[Binary], "application/x-indesign"),
    ("skp", &[Binary], "application/vnd.sketchup.skp"),
    ("blend", &[Binary], "application/x-blender"),
    ("pcap", &[Binary], "application/vnd.tcpdump.pcap"),
    ("wasm", &[Binary], "application/wasm"),
];

/// Returns the media type for an extension in lower case, if the extension agrees with the bytes.
pub(super) fn agreeing(extension: &str, container: Container) -> Option<&'static str> {
    let mut rows = ROWS.iter().filter(|(named, ..)| *named == extension);
    rows.find(|(_, containers, _)| containers.contains(&container))
        .map(|(.., mime)| *mime)
}

/// Returns whether the table has the extension, in lower case.
pub(super) fn is_known(extension: &str) -> bool {
    ROWS.iter().any(|(named, ..)| *named == extension)
}

/// Returns the table's spelling of a host's media type, if the media type agrees with the bytes.
pub(super) fn named(mime: &str, container: Container) -> Option<&'static str> {
    let mime = match mime {
        "text/xml" => "application/xml",
        "text/json" => "application/json",
        "text/x-vcard" | "text/directory" => "text/vcard",
        "application/csv" | "text/comma-separated-values" => "text/csv",
        "application/x-zip-compressed" => "application/zip",
        "application/x-gzip" => "application/gzip",
        "application/x-rar-compressed" | "application/x-rar" => "application/vnd.rar",
        other => other,
    };
    let is_habit = match mime {
        "application/octet-stream" => true,
        // The default of PHP and web servers for files of an unknown type.
        "text/html" => container != Html,
        "text/plain" => container != Text,
        _ => false,
    };
    if is_habit {
        return None;
    }
    let mut rows = ROWS.iter().filter(|(.., named)| *named == mime);
    rows.find(|(_, containers, _)| containers.contains(&container))
        .map(|(.., mime)| *mime)
}

/// Returns the usual extension of a media type.
pub(super) fn extension(mime: &str) -> Option<&'static str> {
    let bare = mime.split(';').next().unwrap_or_default().trim();
    let mut rows = ROWS.iter().filter(|(.., named)| *named == bare);
    rows.next()
        .map(|(extension, ..)| *extension)
        .filter(|_| bare != "application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_gives_the_media_type_only_where_it_agrees_with_the_bytes() {
        for (extension, container, mime) in [
            ("kmz", Zip, Some("application/vnd.google-earth.kmz")),
            ("xls", Ole, Some("application/vnd.ms-excel")),
            ("xls", Html, Some("application/vnd.ms-excel")),
            ("gpx", Xml, Some("application/gpx+xml")),
            ("ics", Text, Some("text/calendar")),
            ("ts", MpegTs, Some("video/mp2t")),
            ("ts", Text, Some("text/x-typescript")),
            ("xlsx", Text, None),
            ("csv", Zip, None),
            ("pdf", Html, None),
            ("addin", Xml, None),
        ] {
            assert_eq!(agreeing(extension, container), mime, "{extension}");
        }
    }

    #[test]
    fn every_extension_is_written_as_it_is_looked_up() {
        for (extension, containers, mime) in ROWS {
            assert_eq!(*extension, extension.to_ascii_lowercase());
            assert!(!containers.is_empty() && mime.contains('/'), "{extension}");
        }
    }

    #[test]
    fn a_media_type_has_the_extension_that_people_use() {
        for (mime, expected) in [
            ("image/jpeg", Some("jpg")),
            ("text/plain", Some("txt")),
            ("text/html", Some("html")),
            ("audio/ogg; codecs=opus", Some("ogg")),
            ("video/3gpp", Some("3gp")),
            ("audio/mp4", Some("m4a")),
            ("application/octet-stream", None),
            ("application/x-unheard-of", None),
        ] {
            assert_eq!(extension(mime), expected, "{mime}");
        }
    }
}
