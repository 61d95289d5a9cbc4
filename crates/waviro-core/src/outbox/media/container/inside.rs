//! Finds the format of a file whose container can hold many formats, by reading the container.
//! Reads are bounded.

use std::io::{Read, Seek, SeekFrom};

use super::{Container, head, readable};

/// The record at the end of a zip file has the position of the directory: 22 bytes, and a comment
/// of at most 65,535 bytes (APPNOTE.TXT, 4.3.16).
const END: u64 = 22 + 65_535;

/// The most bytes read of a zip's directory. The entries that identify a format are among the
/// first.
const DIRECTORY: u64 = 128 * 1024;

/// The most bytes read of an OLE file's directory: 32 entries.
const ENTRIES: u64 = 4096;

/// Returns the media type; `None` if the content identifies no format.
pub(in super::super) fn format<F: Read + Seek>(
    file: &mut F,
    container: Container,
) -> Option<&'static str> {
    match container {
        Container::Zip => zip(file),
        Container::Ole => ole(file),
        Container::Xml => xml(&head(file).ok()?),
        Container::Text => text(&head(file).ok()?),
        _ => None,
    }
}

fn part<F: Read + Seek>(file: &mut F, at: u64, most: u64) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut part = Vec::new();
    file.by_ref().take(most).read_to_end(&mut part).ok()?;
    Some(part)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*word).into())
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let long = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*long).into())
}

fn zip<F: Read + Seek>(file: &mut F) -> Option<&'static str> {
    const FORMATS: [(&str, &str); 9] = [
        (
            "word/",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (
            "xl/workbook.bin",
            "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        ),
        (
            "xl/",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (
            "ppt/",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
        ("visio/", "application/vnd.ms-visio.drawing"),
        (
            "AndroidManifest.xml",
            "application/vnd.android.package-archive",
        ),
        ("Payload/", "application/x-ios-app"),
        ("doc.kml", "application/vnd.google-earth.kmz"),
        ("META-INF/MANIFEST.MF", "application/java-archive"),
    ];
    if let Some(mime) = declared(&head(file).ok()?) {
        return Some(mime);
    }
    let names = zip_names(file)?;
    let has = |part: &str| names.iter().any(|name| name.starts_with(part));
    let found = FORMATS.iter().find(|(part, _)| has(part));
    found.map(|(_, mime)| *mime)
}

/// Reads the uncompressed entry `mimetype` at the start of `OpenDocument` and EPUB files.
fn declared(head: &[u8]) -> Option<&'static str> {
    const DECLARED: [&str; 5] = [
        "application/epub+zip",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics",
    ];
    let (name, extra) = (word(head, 26)?, word(head, 28)?);
    if head.get(30..30 + name)? != b"mimetype" {
        return None;
    }
    let length = usize::try_from(long(head, 18)?).ok()?;
    let start = 30 + name + extra;
    let said = head.get(start..start.checked_add(length)?)?;
    DECLARED
        .into_iter()
        .find(|mime| mime.as_bytes() == said.trim_ascii())
}

/// Returns the names in the directory at the end of a zip file.
fn zip_names<F: Read + Seek>(file: &mut F) -> Option<Vec<String>> {
    let length = file.seek(SeekFrom::End(0)).ok()?;
    let end = part(file, length.saturating_sub(END), END)?;
    let at = end.windows(4).rposition(|mark| mark == b"PK\x05\x06")?;
    let directory = part(file, long(&end, at + 16)?, DIRECTORY)?;
    let (mut names, mut at) = (Vec::new(), 0);
    while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
        let lengths = (word(&directory, at + 28)?, word(&directory, at + 30)?);
        let comment = word(&directory, at + 32)?;
        let Some(name) = directory.get(at + 46..at + 46 + lengths.0) else {
            break;
        };
        names.push(String::from_utf8_lossy(name).into_owned());
        at += 46 + lengths.0 + lengths.1 + comment;
    }
    Some(names)
}

/// Finds an old Office format by the UTF-16 name of its main stream in the directory ([MS-CFB],
/// 2.6.1).
fn ole<F: Read + Seek>(file: &mut F) -> Option<&'static str> {
    const STREAMS: [(&str, &str); 6] = [
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("Book", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("VisioDocument", "application/vnd.visio"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    ];
    let head = head(file).ok()?;
    // A sector has 512 or 4096 bytes.
    let shift = word(&head, 30).filter(|shift| matches!(shift, 9 | 12))?;
    let at = (long(&head, 48)? + 1) << shift;
    let directory = part(file, at, ENTRIES)?;
    STREAMS.into_iter().find_map(|(name, mime)| {
        let mut wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        wide.extend([0, 0]);
        let mut entries = directory.chunks(128);
        entries
            .any(|entry| entry.starts_with(&wide))
            .then_some(mime)
    })
}

/// Finds an XML format by the name of the first element.
fn xml(head: &[u8]) -> Option<&'static str> {
    let text = readable(head)?;
    if text.contains("<?mso-application progid=\"Excel.Sheet\"?>") {
        return Some("application/vnd.ms-excel");
    }
    if text.contains("<?mso-application progid=\"Word.Document\"?>") {
        return Some("application/msword");
    }
    let mut rest = text.as_str();
    loop {
        let at = rest.find('<')?;
        rest = &rest[at + 1..];
        if rest.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') {
            break;
        }
        let end = if rest.starts_with("!--") { "-->" } else { ">" };
        rest = &rest[rest.find(end)?..];
    }
    let name: String = rest
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || "_-.:".contains(*letter))
        .collect();
    match name.rsplit(':').next()? {
        "svg" => Some("image/svg+xml"),
        "kml" => Some("application/vnd.google-earth.kml+xml"),
        "gpx" => Some("application/gpx+xml"),
        "TrainingCenterDatabase" => Some("application/vnd.garmin.tcx+xml"),
        "rss" => Some("application/rss+xml"),
        "feed" => Some("application/atom+xml"),
        _ => None,
    }
}

fn text(head: &[u8]) -> Option<&'static str> {
    let text = readable(head)?;
    let text = text.trim_start();
    if text.starts_with("BEGIN:VCARD") {
        Some("text/vcard")
    } else if text.starts_with("BEGIN:VCALENDAR") {
        Some("text/calendar")
    } else {
        None
    }
}
