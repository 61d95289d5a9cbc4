//! Determines the container of a file: the part of its format visible in the bytes.
//!
//! For many formats the container is the format. A zip file, an OLE file, an XML file and a text
//! can each hold many formats. Then the extension of the name decides (`formats`); without such an
//! extension [`inside`] reads the content.

pub(super) mod inside;
mod iso;

use std::io::{Read, Seek, SeekFrom};

/// Bytes of a file's beginning, enough for every signature.
const HEAD: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Aac,
    Aiff,
    Amr,
    Asf,
    Avi,
    Avif,
    /// Bytes without a known signature.
    Binary,
    Bmp,
    Bzip2,
    Exe,
    Flac,
    Flv,
    Gif,
    Gzip,
    Heif,
    Html,
    Icon,
    Jpeg,
    /// A file of the mp4 family with sound and without pictures.
    M4a,
    Matroska,
    MatroskaSound,
    Midi,
    Mp3,
    Mp4,
    Mpeg,
    MpegTs,
    OggFilm,
    /// Vorbis, Speex or FLAC in Ogg.
    OggSound,
    Ole,
    /// Opus in Ogg: a voice note.
    Opus,
    Pdf,
    Png,
    PostScript,
    Psd,
    Quicktime,
    Rar,
    Rtf,
    SevenZip,
    Sqlite,
    Tar,
    Text,
    ThreeGp,
    Tiff,
    Wav,
    Webm,
    WebmSound,
    Webp,
    Xml,
    Xz,
    Zip,
    Zstd,
}

/// Returns the container of a file. `is_sound` means that the file's name or `Content-Type` is of
/// an audio file; used only for an mp4 file without readable tracks.
pub(super) fn of<F: Read + Seek>(file: &mut F, is_sound: bool) -> std::io::Result<Container> {
    let head = head(file)?;
    if let Some(start) = after_id3(&head) {
        return Ok(tagged(file, &head, start));
    }
    if iso::is(&head) {
        return Ok(iso::container(file, &head, is_sound));
    }
    Ok(signed(&head)
        .or_else(|| text(&head))
        .unwrap_or(Container::Binary))
}

/// Returns the beginning of the file.
pub(super) fn head<F: Read + Seek>(file: &mut F) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Returns the length of an ID3 tag (id3.org, version 2.4.0, 3.1): two bytes of a version, and four
/// bytes of a size without their highest bit. The check of the version and the size excludes a text
/// with "ID3" at the start.
fn after_id3(head: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', 2..=4, 0..=9, flags, size @ ..] = head.get(..10)? else {
        return None;
    };
    if flags & 0x0F != 0 || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let size = size.iter().fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    Some(10 + size)
}

/// Returns the container behind an ID3 tag. Some programs write the tag also before FLAC and AAC.
fn tagged<F: Read + Seek>(file: &mut F, head: &[u8], start: u64) -> Container {
    let mut first = [0; 4];
    let at = usize::try_from(start).ok();
    let inside = at.and_then(|at| head.get(at..at + 4));
    let read = match inside {
        Some(bytes) => {
            first.copy_from_slice(bytes);
            true
        }
        None => file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut first))
            .is_ok(),
    };
    match &first {
        b"fLaC" if read => Container::Flac,
        bytes if read && is_adts(bytes) => Container::Aac,
        _ => Container::Mp3,
    }
}

/// Returns the container for a signature that no text begins with.
fn signed(head: &[u8]) -> Option<Container> {
    use Container as C;
    let has = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    let starts: &[(&[u8], C)] = &[
        (b"\xFF\xD8\xFF", C::Jpeg),
        (b"\x89PNG\r\n\x1A\n", C::Png),
        (b"GIF87a", C::Gif),
        (b"GIF89a", C::Gif),
        (b"II*\0", C::Tiff),
        (b"MM\0*", C::Tiff),
        (b"8BPS\0\x01", C::Psd),
        (b"8BPS\0\x02", C::Psd),
        (b"\0\0\x01\0", C::Icon),
        (b"{\\rtf", C::Rtf),
        (b"%!PS", C::PostScript),
        (b"\xC5\xD0\xD3\xC6", C::PostScript),
        (b"PK\x03\x04", C::Zip),
        (b"PK\x05\x06", C::Zip),
        (b"PK\x07\x08", C::Zip),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", C::Ole),
        (b"\x1F\x8B\x08", C::Gzip),
        (b"Rar!\x1A\x07", C::Rar),
        (b"7z\xBC\xAF\x27\x1C", C::SevenZip),
        (b"\xFD7zXZ\0", C::Xz),
        (b"\x28\xB5\x2F\xFD", C::Zstd),
        (b"#!AMR\n", C::Amr),
        (b"fLaC\0\0\0\x22", C::Flac),
        (b"MThd\0\0\0\x06", C::Midi),
        (b"FLV\x01", C::Flv),
        (b"\0\0\x01\xBA", C::Mpeg),
        (b"\0\0\x01\xB3", C::Mpeg),
        (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", C::Asf),
        (b"SQLite format 3\0", C::Sqlite),
    ];
    if let Some((_, container)) = starts.iter().find(|(bytes, _)| head.starts_with(bytes)) {
        return Some(*container);
    }
    match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] => {
            for (name, container) in [(b"WEBP", C::Webp), (b"WAVE", C::Wav), (b"AVI ", C::Avi)] {
                if form.starts_with(name) {
                    return Some(container);
                }
            }
        }
        [
            b'F',
            b'O',
            b'R',
            b'M',
            _,
            _,
            _,
            _,
            b'A',
            b'I',
            b'F',
            b'F' | b'C',
            ..,
        ] => {
            return Some(C::Aiff);
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] if has(4, b"1AY&SY") => return Some(C::Bzip2),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => return Some(matroska(head)),
        [b'O', b'g', b'g', b'S', 0, ..] => return Some(ogg(head)),
        _ => {}
    }
    if is_bitmap(head) {
        return Some(C::Bmp);
    }
    if has(0, b"MZ") && head.contains(&0) {
        return Some(C::Exe);
    }
    if has(257, b"ustar") {
        return Some(C::Tar);
    }
    if has(0, &[0x47]) && has(188, &[0x47]) && has(376, &[0x47]) && head.contains(&0) {
        return Some(C::MpegTs);
    }
    if is_mp3(head) {
        return Some(C::Mp3);
    }
    if is_adts(head) {
        return Some(C::Aac);
    }
    // PDF readers allow blanks and a byte order mark before the signature.
    let body = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    body.trim_ascii_start()
        .starts_with(b"%PDF-")
        .then_some(C::Pdf)
}

/// Checks for `BM`, four bytes of a length, four zeros, and a known length of the second header.
/// `BM` alone is not enough, because many texts begin with "BM".
fn is_bitmap(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && head.get(6..10) == Some(&[0; 4])
        && matches!(
            head.get(14..18),
            Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
        )
}

/// Returns whether the bytes are a frame of MPEG layer III (ISO 11172-3, 2.4.2.3).
fn is_mp3(head: &[u8]) -> bool {
    let [0xFF, second, third, ..] = head else {
        return false;
    };
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (bit_rate, rate) = (third >> 4, (third >> 2) & 3);
    second & 0xE0 == 0xE0 && version != 1 && layer == 1 && bit_rate != 15 && rate != 3
}

/// Returns whether the bytes are a frame of AAC (ISO 13818-7, 6.2): a sync word of twelve bits,
/// layer 0, a sampling rate of the table.
fn is_adts(head: &[u8]) -> bool {
    matches!(head, [0xFF, second, third, ..] if second & 0xF6 == 0xF0 && (third >> 2) & 15 < 13)
}

fn has_part(head: &[u8], part: &[u8]) -> bool {
    head.windows(part.len()).any(|window| window == part)
}

/// Finds the codecs of an Ogg file. Each of the first pages names the codec of a stream.
fn ogg(head: &[u8]) -> Container {
    if has_part(head, b"\x80theora") || has_part(head, b"\x01video\0") {
        Container::OggFilm
    } else if has_part(head, b"OpusHead") {
        Container::Opus
    } else {
        Container::OggSound
    }
}

/// Distinguishes Webm from Matroska, and sound from video. Webm is Matroska with few codecs. A
/// track's codec follows the byte 0x86 and a length of one byte, and begins with V or A.
fn matroska(head: &[u8]) -> Container {
    let codec = |letter: u8| {
        let mut windows = head.windows(4);
        windows.any(|part| part[0] == 0x86 && part[1] & 0x80 != 0 && part[2..] == [letter, b'_'])
    };
    let is_sound = codec(b'A') && !codec(b'V');
    match (has_part(&head[..head.len().min(64)], b"webm"), is_sound) {
        (true, true) => Container::WebmSound,
        (true, false) => Container::Webm,
        (false, true) => Container::MatroskaSound,
        (false, false) => Container::Matroska,
    }
}

/// Classifies a text as a web page, XML or plain text.
fn text(head: &[u8]) -> Option<Container> {
    let body = readable(head)?;
    let body = body.trim_start();
    if is_page(body) {
        return Some(Container::Html);
    }
    let mut letters = body.chars();
    // A plain text may begin with a word in angle brackets; XML closes its elements.
    let is_element = letters.next() == Some('<')
        && letters
            .next()
            .is_some_and(|next| next.is_ascii_alphabetic() || next == '_')
        && (body.contains("</") || body.contains("/>") || body.contains("xmlns"));
    if body.starts_with("<?xml") || body.starts_with("<!DOCTYPE") || is_element {
        return Some(Container::Xml);
    }
    Some(Container::Text)
}

/// Decodes a text in UTF-8, in UTF-16 with a byte order mark, or in an 8-bit code page.
fn readable(head: &[u8]) -> Option<String> {
    let wide = |from: fn([u8; 2]) -> u16| {
        let pairs = head[2..]
            .chunks_exact(2)
            .map(|pair| from([pair[0], pair[1]]));
        String::from_utf16_lossy(&pairs.collect::<Vec<_>>())
    };
    match head {
        [0xFF, 0xFE, ..] => return Some(wide(u16::from_le_bytes)),
        [0xFE, 0xFF, ..] => return Some(wide(u16::from_be_bytes)),
        _ => {}
    }
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x08\x0C\x1B\x1A".contains(byte);
    if head.iter().any(is_control) {
        return None;
    }
    match std::str::from_utf8(head) {
        Ok(text) => Some(text.to_owned()),
        // The head may end inside a character.
        Err(error) if error.error_len().is_none() => {
            Some(String::from_utf8_lossy(&head[..error.valid_up_to()]).into_owned())
        }
        Err(_) => {
            let plain = head.iter().filter(|byte| byte.is_ascii()).count();
            let is_text = plain * 10 >= head.len() * 7;
            is_text.then(|| head.iter().map(|byte| char::from(*byte)).collect())
        }
    }
}

/// Returns whether a text begins as a web page: a tag of the list in
/// <https://mimesniff.spec.whatwg.org/>, or a tag of PHP's error output.
fn is_page(text: &str) -> bool {
    const TAGS: [&str; 24] = [
        "!doctype html",
        "html",
        "head",
        "script",
        "iframe",
        "h1",
        "h2",
        "h3",
        "div",
        "font",
        "table",
        "a",
        "style",
        "title",
        "b",
        "body",
        "br",
        "p",
        "meta",
        "link",
        "center",
        "form",
        "span",
        "pre",
    ];
    let mut rest = text;
    // Comments and the XML declaration may precede the page's first tag.
    loop {
        rest = rest.trim_start();
        let behind = [("<!--", "-->"), ("<?xml", "?>")];
        let passed = behind.iter().find_map(|(open, close)| {
            let inside = rest.strip_prefix(open)?;
            inside.find(close).map(|at| &inside[at + close.len()..])
        });
        match passed {
            Some(after) => rest = after,
            None => break,
        }
    }
    let Some(rest) = rest.strip_prefix('<') else {
        return false;
    };
    TAGS.iter().any(|tag| {
        let named = rest.get(..tag.len());
        named.is_some_and(|named| named.eq_ignore_ascii_case(tag))
            && rest[tag.len()..].starts_with([' ', '>', '\n', '\r', '\t', '/'])
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::zip as tests_zip;
