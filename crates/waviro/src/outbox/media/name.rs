//! What a file is called on the phone: as its host calls it, else as its URL ends.

use url::Url;

/// The most characters of a name; phones show some thirty.
const LONGEST: usize = 120;

/// A name without a path, that ends as its media type does.
pub(crate) fn of(disposition: Option<&str>, url: &Url, mime: &str) -> String {
    let told = disposition.and_then(told);
    let last = url.path_segments().and_then(|mut parts| parts.next_back());
    let last = last.map(|part| decoded(part.as_bytes()));
    let name = told
        .into_iter()
        .chain(last)
        .map(|name| plain(&name))
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "file".to_owned());
    with_extension(name, mime)
}

/// `filename*=UTF-8''…` (RFC 8187) before `filename="…"` (RFC 6266).
fn told(disposition: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    for part in parts(disposition).into_iter().skip(1) {
        let Some((name, value)) = part.split_once('=') else {
            continue;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" => plain = Some(unquoted(value.trim())),
            "filename*" => {
                let mut pieces = value.trim().splitn(3, '\'');
                let (charset, _, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
                if charset.eq_ignore_ascii_case("utf-8") {
                    extended = Some(decoded(text.as_bytes()));
                }
            }
            _ => {}
        }
    }
    extended.or(plain)
}

/// Split at semicolons, except inside quotes.
fn parts(header: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in header.chars() {
        match letter {
            ';' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => {
                if letter == '"' && !escaped {
                    quoted = !quoted;
                }
                escaped = letter == '\\' && !escaped;
                part.push(letter);
            }
        }
    }
    parts.push(part);
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let (mut text, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

/// `%20` and the like; what is no such pair stays as it is.
fn decoded(bytes: &[u8]) -> String {
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let pair = pair.and_then(|pair| hex::decode(pair).ok());
        if let Some([value]) = pair.as_deref() {
            plain.push(*value);
            at += 3;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// No folder, no control character, none that turns the rest around and hides the true extension, and not too long.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .filter(|letter| !letter.is_control() && !is_turning(*letter))
        .collect();
    let kept = kept.trim().trim_start_matches('.');
    let count = kept.chars().count();
    if count <= LONGEST {
        return kept.to_owned();
    }
    // The end says what it is, so it is the middle that goes.
    let extension: String = match kept.rsplit_once('.') {
        Some((_, end)) if end.chars().count() <= 10 => format!(".{end}"),
        _ => String::new(),
    };
    let room = LONGEST - extension.chars().count();
    kept.chars().take(room).chain(extension.chars()).collect()
}

/// Unicode's marks for writing from right to left, and those without a width.
fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn with_extension(name: String, mime: &str) -> String {
    let bare = mime.split(';').next().unwrap_or_default();
    let right = mime_guess::get_mime_extensions_str(bare).unwrap_or_default();
    let has = name
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    match (has, extension(bare, right)) {
        (Some(end), _) if right.contains(&end.as_str()) => name,
        // One that says something else stays, where nothing better is known.
        (_, None) => name,
        (_, Some(end)) => format!("{name}.{end}"),
    }
}

/// The usual extension: the list of a media type is in the order of the alphabet.
fn extension(mime: &str, all: &[&'static str]) -> Option<&'static str> {
    match mime {
        "application/octet-stream" => None,
        "image/jpeg" => Some("jpg"),
        "text/plain" => Some("txt"),
        "video/mp4" => Some("mp4"),
        "video/quicktime" => Some("mov"),
        "audio/mpeg" => Some("mp3"),
        "audio/ogg" => Some("ogg"),
        _ => all.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(disposition: Option<&str>, path: &str, mime: &str) -> String {
        let url = Url::parse("https://host.example/")
            .unwrap()
            .join(path)
            .unwrap();
        of(disposition, &url, mime)
    }

    #[test]
    fn the_host_names_the_file_before_its_url_does() {
        let pdf = "application/pdf";
        for (disposition, expected) in [
            (
                r#"attachment; filename="daftar harga.pdf""#,
                "daftar harga.pdf",
            ),
            (r#"attachment; filename="a;b\"c.pdf"; size=3"#, "a;b\"c.pdf"),
            ("inline; FileName=brosur.pdf", "brosur.pdf"),
            (
                "attachment; filename=\"x.pdf\"; filename*=UTF-8''daftar%20%E2%82%AC.pdf",
                "daftar €.pdf",
            ),
            ("attachment", "unduh.pdf"),
            ("attachment; filename=\"\"", "unduh.pdf"),
        ] {
            assert_eq!(named(Some(disposition), "/a/unduh.pdf?x=1", pdf), expected);
        }
        assert_eq!(
            named(None, "/a/daftar%20harga.pdf", pdf),
            "daftar harga.pdf"
        );
        assert_eq!(named(None, "/", pdf), "file.pdf");
    }

    #[test]
    fn a_name_ends_as_its_kind_does() {
        assert_eq!(named(None, "/foto", "image/jpeg"), "foto.jpg");
        assert_eq!(named(None, "/foto.JPEG", "image/jpeg"), "foto.JPEG");
        assert_eq!(
            named(None, "/unduh.php", "application/pdf"),
            "unduh.php.pdf"
        );
        assert_eq!(named(None, "/x.bin", "application/octet-stream"), "x.bin");
        assert_eq!(named(None, "/suara", "audio/ogg; codecs=opus"), "suara.ogg");
    }

    #[test]
    fn no_name_leads_out_of_a_folder_or_hides_its_end() {
        for (told, expected) in [
            ("../../etc/passwd.pdf", "passwd.pdf"),
            (r"C:\\Users\\x\\a.pdf", "a.pdf"),
            ("..", "file.pdf"),
            ("a\u{202e}fdp.exe", "afdp.exe.pdf"),
            ("a\u{0}\nb.pdf", "ab.pdf"),
        ] {
            let disposition = format!("attachment; filename=\"{told}\"");
            assert_eq!(
                named(Some(&disposition), "/", "application/pdf"),
                expected,
                "{told:?}"
            );
        }
        let long = format!("attachment; filename=\"{}.pdf\"", "x".repeat(500));
        let name = named(Some(&long), "/", "application/pdf");
        assert_eq!(name, format!("{}.pdf", "x".repeat(LONGEST - 4)));
    }

    proptest! {
        #[test]
        fn any_header_gives_a_plain_name(disposition in ".{0,200}", path in "[a-z%0-9/.]{0,60}") {
            let name = named(Some(&disposition), &format!("/x{path}"), "image/png");
            prop_assert!(!name.is_empty() && name.chars().count() <= LONGEST + 4);
            prop_assert!(!name.contains(['/', '\\', '\0', '\n', '\r']));
        }
    }
}
