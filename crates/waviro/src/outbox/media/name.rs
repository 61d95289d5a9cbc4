//! The name of a file on the phone: as its host calls it, else as its URL ends.

use url::Url;

use super::container::Container;
use super::formats;
use crate::invisible::is_invisible;

/// The most characters of a name; phones show some thirty.
const LONGEST: usize = 120;

/// The most characters of an extension that is looked at.
const EXTENSION: usize = 10;

/// Extensions of programs on web servers. In a URL they name the program, not the file that it sends.
const PROGRAMS: [&str; 20] = [
    "action", "ashx", "asp", "aspx", "axd", "cfm", "cgi", "do", "dll", "exe", "fcgi", "jsp",
    "jspx", "php", "php3", "php4", "php5", "php7", "phtml", "pl",
];

/// An extension that is also the end of an Indonesian title ("A.Md"). It counts as one only for a text.
const TITLE: &str = "md";

/// The names that a file may have, best first.
#[derive(Debug)]
pub(super) struct Names {
    /// The host's.
    told: Option<String>,
    /// The ends of the URLs, and what looks like a file in their queries.
    paths: Vec<String>,
}

impl Names {
    /// From `Content-Disposition`, the URL that answered, and the URL that the caller gave.
    pub(super) fn of(disposition: Option<&str>, found: &Url, asked: &Url) -> Self {
        let told = disposition.and_then(told).map(|name| plain(&name));
        let mut paths = Vec::new();
        for url in [found, asked] {
            let last = url.path_segments().and_then(|mut parts| parts.next_back());
            let last = last.map(|part| plain(&text_of(decoded(part.as_bytes()))));
            paths.extend(last.map(without_program));
        }
        for url in [found, asked] {
            let values = url.query_pairs().map(|(_, value)| plain(&value));
            paths.extend(
                values.filter(|value| extension(value).is_some_and(|end| formats::is_known(&end))),
            );
        }
        paths.retain(|name| !name.is_empty());
        Self {
            told: told.filter(|name| !name.is_empty()),
            paths,
        }
    }

    /// The extensions of all names, in small letters. A query counts for nothing here: its values are the program's.
    pub(super) fn extensions(&self) -> impl Iterator<Item = String> {
        let paths = self.paths.iter().take(2);
        self.told
            .iter()
            .chain(paths)
            .filter_map(|name| extension(name))
    }

    /// The host's name, else the first whose extension agrees with the bytes, else the end of a URL.
    pub(super) fn choose(&self, container: Container) -> String {
        let agrees = |name: &&String| {
            extension(name).is_some_and(|end| formats::agreeing(&end, container).is_some())
        };
        let named = self.told.as_ref();
        let named = named.or_else(|| self.paths.iter().find(agrees));
        let named = named.or_else(|| self.paths.first());
        named.map_or_else(|| "file".to_owned(), Clone::clone)
    }

    /// Whether the host itself names the file.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }
}

/// The name with an extension that agrees with the bytes. An extension that agrees stays as it is, and so does one that nobody
/// knows if nothing better is known. A wrong one is replaced, never followed by a second.
pub(super) fn fitting(name: String, container: Container, mime: &str) -> String {
    let usual = formats::extension(mime);
    let with = |name: &str| match usual {
        Some(end) => format!("{name}.{end}"),
        None => name.to_owned(),
    };
    let Some(end) = extension(&name) else {
        return with(&name);
    };
    if formats::agreeing(&end, container).is_some() {
        return name;
    }
    if !formats::is_known(&end) {
        // The bytes or the host say more than "text", "zip" or nothing.
        let is_precise = !matches!(mime, "text/plain" | "application/zip" | "application/xml");
        return if is_precise { with(&name) } else { name };
    }
    if end == TITLE {
        return with(&name);
    }
    let stem = &name[..name.len() - end.len() - 1];
    match (extension(stem), usual) {
        // `laporan.xlsx.php`, or `data.csv.gz` that a decoder has unpacked.
        (Some(inner), _) if formats::agreeing(&inner, container).is_some() => stem.to_owned(),
        (_, Some(_)) if !stem.trim().is_empty() => with(stem),
        _ => name,
    }
}
/// The extension of a name in small letters: letters and digits, at least one letter, and more than one of them, since a title
/// ends in one ("S.H").
pub(super) fn extension(name: &str) -> Option<String> {
    let (stem, end) = name.rsplit_once('.')?;
    let fits = (2..=EXTENSION).contains(&end.len())
        && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && end.bytes().any(|byte| byte.is_ascii_alphabetic());
    (fits && !stem.trim().is_empty()).then(|| end.to_ascii_lowercase())
}

/// `unduh.php` of a URL is `unduh`.
fn without_program(name: String) -> String {
    match extension(&name) {
        Some(end) if PROGRAMS.contains(&end.as_str()) => {
            name[..name.len() - end.len() - 1].to_owned()
        }
        _ => name,
    }
}

/// `filename*=UTF-8''…` (RFC 8187) before `filename="…"` (RFC 6266). In the latter hosts also write encoded words of mails
/// (RFC 2047) and percent signs, which browsers decode.
fn told(disposition: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    for part in parts(disposition) {
        let Some((name, value)) = part.split_once('=') else {
            continue;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" if plain.is_none() => plain = Some(unquoted(value.trim())),
            "filename*" if extended.is_none() => extended = extended_value(&unquoted(value.trim())),
            _ => {}
        }
    }
    let named = extended.filter(|name| !name.trim().is_empty());
    named.or_else(|| {
        let plain = plain?;
        if let Some(words) = encoded_words(&plain) {
            return Some(words);
        }
        match String::from_utf8(decoded(plain.as_bytes())) {
            Ok(decoded) => Some(decoded),
            Err(_) => Some(plain),
        }
    })
}

/// A character set, a language and the text with percent signs (RFC 8187, 3.2).
fn extended_value(value: &str) -> Option<String> {
    let mut pieces = value.splitn(3, '\'');
    let (charset, _, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    in_charset(charset, decoded(text.as_bytes()))
}

/// UTF-8 and the Latin sets; a reader must know no other.
fn in_charset(charset: &str, bytes: Vec<u8>) -> Option<String> {
    match charset.trim().to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(bytes).ok(),
        "iso-8859-1" | "latin1" | "windows-1252" => {
            Some(bytes.into_iter().map(char::from).collect())
        }
        _ => None,
    }
}

/// `=?UTF-8?B?…?=` and `=?UTF-8?Q?…?=`, several with blanks between them; `None` if the text has none that can be read.
fn encoded_words(text: &str) -> Option<String> {
    let (mut plain, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find("=?") {
        let Some((word, after)) = encoded_word(&rest[at..]) else {
            plain.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        // Blanks between two words separate their codes, not the text (RFC 2047, 6.2).
        if !(found && rest[..at].trim().is_empty()) {
            plain.push_str(&rest[..at]);
        }
        plain.push_str(&word);
        (rest, found) = (after, true);
    }
    plain.push_str(rest);
    found.then_some(plain)
}

fn encoded_word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (code, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => {
            let code = code.trim_end_matches('=');
            base64::engine::Engine::decode(&base64::engine::general_purpose::STANDARD_NO_PAD, code)
                .ok()?
        }
        "Q" | "q" => quoted_printable(code),
        _ => return None,
    };
    // A language may follow the character set (RFC 2231, 5).
    let charset = charset.split('*').next().unwrap_or_default();
    in_charset(charset, bytes).map(|word| (word, after))
}

fn quoted_printable(code: &str) -> Vec<u8> {
    decoded_by(b'=', code.replace('_', " ").as_bytes())
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
    if let Some(inner) = value.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(value).to_owned();
    }
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let (mut text, mut letters) = (String::new(), inner.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            // Windows' own paths come with single strokes.
            '\\' if matches!(letters.peek(), Some('"' | '\\')) => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

/// `%20` and the like; what is no such pair stays as it is.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    decoded_by(b'%', bytes)
}

fn decoded_by(mark: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).filter(|_| *byte == mark);
        let pair = pair.and_then(|pair| hex::decode(pair).ok());
        if let Some([value]) = pair.as_deref() {
            plain.push(*value);
            at += 3;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    plain
}

/// UTF-8, else Latin-1.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        error
            .as_bytes()
            .iter()
            .map(|byte| char::from(*byte))
            .collect()
    })
}

/// No folder, no control character, none that turns the rest around and hides the true extension, and not too long.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .filter(|letter| !letter.is_control() && !is_invisible(*letter))
        .collect();
    let kept = kept
        .trim_start_matches(['.', ' '])
        .trim_end_matches(['.', ' ']);
    let kept = kept.trim();
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

#[cfg(test)]
mod tests;
