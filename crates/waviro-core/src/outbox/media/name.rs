//! Chooses the file name shown on the phone: the host's name, else the end of the URL.

use url::Url;
use waviro_store::invisible::is_invisible;

use super::container::Container;
use super::formats;

/// The most characters of a name; phones show about 30.
const LONGEST: usize = 120;

/// The most characters of an extension.
const EXTENSION: usize = 10;

/// Extensions of programs on web servers. In a URL such an extension belongs to the program, not to
/// the file.
const PROGRAMS: [&str; 20] = [
    "action", "ashx", "asp", "aspx", "axd", "cfm", "cgi", "do", "dll", "exe", "fcgi", "jsp",
    "jspx", "php", "php3", "php4", "php5", "php7", "phtml", "pl",
];

/// An extension that also ends an Indonesian title ("A.Md"). Counts as an extension only for a text
/// file.
const TITLE: &str = "md";

/// The possible names of a file, best first.
#[derive(Debug)]
pub(super) struct Names {
    /// The name from `Content-Disposition`.
    from_disposition: Option<String>,
    /// The last path parts of the URLs, then the values in their queries that end in a known
    /// extension.
    paths: Vec<String>,
}

impl Names {
    /// Collects the names from `Content-Disposition`, the URL that answered, and the URL from the
    /// caller.
    pub(super) fn of(disposition: Option<&str>, found: &Url, requested: &Url) -> Self {
        let from_disposition = disposition
            .and_then(disposition_name)
            .map(|name| plain(&name));
        let mut paths = Vec::new();
        for url in [found, requested] {
            let last = url.path_segments().and_then(|mut parts| parts.next_back());
            let last = last.map(|part| plain(&text_of(decoded(part.as_bytes()))));
            paths.extend(last.map(without_program));
        }
        for url in [found, requested] {
            let values = url.query_pairs().map(|(_, value)| plain(&value));
            paths.extend(
                values.filter(|value| extension(value).is_some_and(|end| formats::is_known(&end))),
            );
        }
        paths.retain(|name| !name.is_empty());
        Self {
            from_disposition: from_disposition.filter(|name| !name.is_empty()),
            paths,
        }
    }

    /// Returns the extensions of the names, in lower case. Query values are left out, because they
    /// belong to the program.
    pub(super) fn extensions(&self) -> impl Iterator<Item = String> {
        let paths = self.paths.iter().take(2);
        self.from_disposition
            .iter()
            .chain(paths)
            .filter_map(|name| extension(name))
    }

    /// Returns the host's name, else the first name with an extension that agrees with the bytes,
    /// else the end of a URL.
    pub(super) fn choose(&self, container: Container) -> String {
        let agrees = |name: &&String| {
            extension(name).is_some_and(|end| formats::agreeing(&end, container).is_some())
        };
        let named = self.from_disposition.as_ref();
        let named = named.or_else(|| self.paths.iter().find(agrees));
        let named = named.or_else(|| self.paths.first());
        named.map_or_else(|| "file".to_owned(), Clone::clone)
    }

    /// Returns whether the host itself names the file.
    pub(super) fn has_disposition_name(&self) -> bool {
        self.from_disposition.is_some()
    }
}

/// Returns the name with an extension that agrees with the bytes. An agreeing extension stays. An
/// unknown extension stays if nothing more precise is known. A wrong extension is replaced, and
/// never followed by a second extension.
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
        // The bytes or the host give a more precise format than text, zip or XML.
        let is_precise = !matches!(mime, "text/plain" | "application/zip" | "application/xml");
        return if is_precise { with(&name) } else { name };
    }
    if end == TITLE {
        return with(&name);
    }
    let stem = &name[..name.len() - end.len() - 1];
    match (extension(stem), usual) {
        // For example `laporan.xlsx.php`, or `data.csv.gz` after a decoder has unpacked the file.
        (Some(inner), _) if formats::agreeing(&inner, container).is_some() => stem.to_owned(),
        (_, Some(_)) if !stem.trim().is_empty() => with(stem),
        _ => name,
    }
}
/// Returns the extension of a name in lower case. An extension has only letters and digits, at
/// least two of them and at least one letter: a title such as "S.H" ends in a single letter.
pub(super) fn extension(name: &str) -> Option<String> {
    let (stem, end) = name.rsplit_once('.')?;
    let fits = (2..=EXTENSION).contains(&end.len())
        && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && end.bytes().any(|byte| byte.is_ascii_alphabetic());
    (fits && !stem.trim().is_empty()).then(|| end.to_ascii_lowercase())
}

/// Turns `unduh.php` from a URL into `unduh`.
fn without_program(name: String) -> String {
    match extension(&name) {
        Some(end) if PROGRAMS.contains(&end.as_str()) => {
            name[..name.len() - end.len() - 1].to_owned()
        }
        _ => name,
    }
}

/// Reads the file name of a `Content-Disposition` header. `filename*=UTF-8''…` (RFC 8187) has
/// priority over `filename="…"` (RFC 6266). In the plain form hosts also write encoded words of
/// mails (RFC 2047) and percent encoding, which browsers decode.
fn disposition_name(disposition: &str) -> Option<String> {
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

/// Decodes a character set, a language and a percent-encoded text (RFC 8187, 3.2).
fn extended_value(value: &str) -> Option<String> {
    let mut pieces = value.splitn(3, '\'');
    let (charset, _, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    in_charset(charset, decoded(text.as_bytes()))
}

/// Decodes UTF-8 and the Latin sets. RFC 8187 requires UTF-8 only.
fn in_charset(charset: &str, bytes: Vec<u8>) -> Option<String> {
    match charset.trim().to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(bytes).ok(),
        "iso-8859-1" | "latin1" | "windows-1252" => {
            Some(bytes.into_iter().map(char::from).collect())
        }
        _ => None,
    }
}

/// Decodes `=?UTF-8?B?…?=` and `=?UTF-8?Q?…?=`, also several words with blanks between. Returns
/// `None` if the text has no readable encoded word.
fn encoded_words(text: &str) -> Option<String> {
    let (mut plain, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find("=?") {
        let Some((word, after)) = encoded_word(&rest[at..]) else {
            plain.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        // Blanks between two encoded words are not part of the text (RFC 2047, 6.2).
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
    // The character set may be followed by a language (RFC 2231, 5).
    let charset = charset.split('*').next().unwrap_or_default();
    in_charset(charset, bytes).map(|word| (word, after))
}

fn quoted_printable(code: &str) -> Vec<u8> {
    decoded_by(b'=', code.replace('_', " ").as_bytes())
}

/// Splits at semicolons, except inside quotes.
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
            // Windows paths are written with single backslashes.
            '\\' if matches!(letters.peek(), Some('"' | '\\')) => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

/// Decodes `%20` and the like; other characters stay unchanged.
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

/// Decodes UTF-8, else Latin-1.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        error
            .as_bytes()
            .iter()
            .map(|byte| char::from(*byte))
            .collect()
    })
}

/// Removes folders, control characters and characters that change the direction of the text and so
/// hide the true extension, and shortens the name.
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
    // The extension gives the format, so a long name is cut before its extension.
    let extension: String = match kept.rsplit_once('.') {
        Some((_, end)) if end.chars().count() <= 10 => format!(".{end}"),
        _ => String::new(),
    };
    let room = LONGEST - extension.chars().count();
    kept.chars().take(room).chain(extension.chars()).collect()
}

#[cfg(test)]
mod tests;
