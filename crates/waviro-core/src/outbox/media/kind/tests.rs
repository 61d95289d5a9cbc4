use std::io::Cursor;

use super::*;

mod page;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const PDF: &[u8] = b"%PDF-1.7\n";
const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0";
const OLE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0\0\0";
const CSV: &[u8] = b"nama,harga\nkopi,5000\n";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

fn judge(
    bytes: &[u8],
    content_type: Option<&str>,
    disposition: Option<&str>,
    path: &str,
) -> Result<Judged, Page> {
    let url = Url::parse(&format!("https://host.example/{path}")).unwrap();
    let about = About {
        content_type,
        disposition,
        requested: &url,
        found: &url,
        no_page: false,
    };
    of(&mut Cursor::new(bytes), about).unwrap()
}

/// Returns the message kind, the media type and the name of a file.
fn judged(bytes: &[u8], content_type: Option<&str>, path: &str) -> (MediaKind, String, String) {
    let judged = judge(bytes, content_type, None, path).unwrap();
    (judged.kind, judged.mime, judged.file_name)
}

#[test]
fn the_content_decides_before_the_host_and_the_name() {
    for (content_type, path) in [
        (Some("application/octet-stream"), "x"),
        (Some("text/html"), "x.pdf"),
        (None, "x.jpg"),
    ] {
        let (kind, mime, _) = judged(PNG, content_type, path);
        assert_eq!((kind, mime.as_str()), (MediaKind::Image, "image/png"));
    }
    let (kind, mime, name) = judged(PDF, Some("image/png"), "x.png");
    assert_eq!(
        (kind, mime.as_str(), name.as_str()),
        (MediaKind::Document, "application/pdf", "x.pdf")
    );
    let (kind, mime, name) = judged(
        b"\x01\x02\x03\x04nothing known",
        Some("image/jpeg"),
        "foto.jpg",
    );
    assert_eq!(
        (kind, mime.as_str(), name.as_str()),
        (MediaKind::Document, UNKNOWN, "foto.jpg")
    );
}

#[test]
fn the_hosts_name_gives_the_media_type_of_what_a_container_holds() {
    for (bytes, content_type, disposition, path, mime, name) in [
        (
            ZIP,
            "application/octet-stream",
            "laporan.xlsx",
            "download.php?id=7",
            SHEET,
            "laporan.xlsx",
        ),
        (
            ZIP,
            "text/html; charset=UTF-8",
            "surat.docx",
            "unduh.php",
            WORD,
            "surat.docx",
        ),
        (
            CSV,
            "text/html; charset=UTF-8",
            "data.csv",
            "unduh.php",
            "text/csv",
            "data.csv",
        ),
        (CSV, "text/plain", "data.csv", "x", "text/csv", "data.csv"),
        (
            CSV,
            "text/html",
            "kontak.vcf",
            "x",
            "text/vcard",
            "kontak.vcf",
        ),
        (
            OLE,
            "application/octet-stream",
            "lama.xls",
            "x",
            "application/vnd.ms-excel",
            "lama.xls",
        ),
        (
            OLE,
            "application/zip",
            "lama.doc",
            "x",
            "application/msword",
            "lama.doc",
        ),
        (
            ZIP,
            "application/zip",
            "aplikasi.apk",
            "x",
            "application/vnd.android.package-archive",
            "aplikasi.apk",
        ),
        (
            ZIP,
            "application/zip",
            "peta.kmz",
            "x",
            "application/vnd.google-earth.kmz",
            "peta.kmz",
        ),
        (
            b"<?xml version=\"1.0\"?><x/>",
            "text/xml",
            "rute.gpx",
            "x",
            "application/gpx+xml",
            "rute.gpx",
        ),
        (
            b"{\"a\":1}",
            "text/plain",
            "data.json",
            "x",
            "application/json",
            "data.json",
        ),
    ] {
        let disposition = format!("attachment; filename=\"{disposition}\"");
        let judged = judge(bytes, Some(content_type), Some(&disposition), path).unwrap();
        assert_eq!(judged.kind, MediaKind::Document);
        assert_eq!(
            (judged.mime.as_str(), judged.file_name.as_str()),
            (mime, name)
        );
    }
}

#[test]
fn without_such_a_name_the_inside_and_then_the_host_tell_the_format() {
    let docx = super::container::tests_zip("word/document.xml");
    for (bytes, content_type, path, mime, name) in [
        (
            docx.as_slice(),
            Some("application/zip"),
            "unduh",
            WORD,
            "unduh.docx",
        ),
        (
            &docx,
            Some(UNKNOWN),
            "surat.zip",
            "application/zip",
            "surat.zip",
        ),
        (ZIP, Some(WORD), "x", WORD, "x.docx"),
        (ZIP, None, "surat.docx", WORD, "surat.docx"),
        (ZIP, Some(UNKNOWN), "x", "application/zip", "x.zip"),
        (
            CSV,
            Some("Text/CSV; charset=utf-8"),
            "x",
            "text/csv",
            "x.csv",
        ),
        (
            CSV,
            Some("text/csv"),
            "ekspor.php",
            "text/csv",
            "ekspor.csv",
        ),
        (CSV, None, "x", "text/plain", "x.txt"),
        (CSV, Some("text/html"), "x.php", "text/plain", "x.txt"),
        (
            b"BMKG: gempa",
            Some("text/plain"),
            "info.txt",
            "text/plain",
            "info.txt",
        ),
        (
            b"<?xml version=\"1.0\"?><svg/>",
            Some("text/plain"),
            "logo",
            "image/svg+xml",
            "logo.svg",
        ),
        (
            b"<?xml version=\"1.0\"?><faktur/>",
            Some("text/xml"),
            "faktur.xml",
            "application/xml",
            "faktur.xml",
        ),
        (
            b"BEGIN:VCARD\nVERSION:3.0\n",
            None,
            "kartu",
            "text/vcard",
            "kartu.vcf",
        ),
        (
            CSV,
            Some("application/x-pos-export"),
            "x.pos",
            "application/x-pos-export",
            "x.pos",
        ),
        (
            CSV,
            Some("application/force-download"),
            "x",
            "text/plain",
            "x.txt",
        ),
    ] {
        let (kind, found, called) = judged(bytes, content_type, path);
        assert_eq!(
            (kind, found.as_str(), called.as_str()),
            (MediaKind::Document, mime, name),
            "{path}"
        );
    }
}

#[test]
fn only_what_phones_show_or_play_leaves_as_something_else_than_a_document() {
    use MediaKind::{Audio, Document, Image, Video};
    let mut opus =
        b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01".to_vec();
    opus.resize(64, 0);
    for (bytes, path, kind, mime) in [
        (b"\xFF\xD8\xFF\xE0".as_slice(), "a.jpg", Image, "image/jpeg"),
        (PNG, "a.png", Image, "image/png"),
        (b"ID3\x04\0\0\0\0\0\0", "lagu.mp3", Audio, "audio/mpeg"),
        (
            b"\0\0\0\x20ftypM4A \0\0\x02\0isomiso2mp41",
            "lagu.m4a",
            Audio,
            "audio/mp4",
        ),
        (
            b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41",
            "lagu.m4a",
            Audio,
            "audio/mp4",
        ),
        (b"#!AMR\n<", "suara.amr", Audio, "audio/amr"),
        (&opus, "catatan.ogg", Audio, "audio/ogg; codecs=opus"),
        (
            b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41",
            "film.mp4",
            Video,
            "video/mp4",
        ),
        (
            b"\0\0\0\x18ftyp3gp6\0\0\0\x013gp6isom",
            "film.3gp",
            Video,
            "video/3gpp",
        ),
        (
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1E\x01vorbis",
            "lagu.ogg",
            Document,
            "audio/ogg",
        ),
        (b"RIFF\x10\0\0\0WAVEfmt ", "lagu.wav", Document, "audio/wav"),
        (b"fLaC\0\0\0\x22", "lagu.flac", Document, "audio/flac"),
        (
            b"RIFF\x10\0\0\0AVI LIST",
            "film.avi",
            Document,
            "video/x-msvideo",
        ),
        (
            b"\x30\x26\xB2\x75\x8E\x66\xCF\x11",
            "film.wmv",
            Document,
            "video/x-ms-wmv",
        ),
        (b"FLV\x01\x05", "film.flv", Document, "video/x-flv"),
        (
            b"\x1A\x45\xDF\xA3\x42\x82\x84webm\x86\x86A_OPUS",
            "suara.webm",
            Document,
            "audio/webm",
        ),
        (
            b"\x1A\x45\xDF\xA3\x42\x82\x84webm\x86\x85V_VP9",
            "film.webm",
            Document,
            "video/webm",
        ),
        (
            b"\x1A\x45\xDF\xA3\x42\x82\x88matroska\x86\x85V_VP9",
            "film.mkv",
            Document,
            "video/x-matroska",
        ),
        (
            b"RIFF\x10\0\0\0WEBPVP8 ",
            "foto.webp",
            Document,
            "image/webp",
        ),
        (b"GIF89a", "foto.gif", Document, "image/gif"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "IMG_1.HEIC",
            Document,
            "image/heic",
        ),
        (
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "x.svg",
            Document,
            "image/svg+xml",
        ),
    ] {
        let (seen, found, name) = judged(bytes, None, path);
        assert_eq!((seen, found.as_str(), name.as_str()), (kind, mime, path));
    }
}
