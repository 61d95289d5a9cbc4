//! Parsing of a form as request body: `nohp=628…&pesan=halo` or `multipart/form-data`.
//!
//! The body alone decides whether the request is a form, as with JSON. Programs that copied
//! `Content-Type: application/json` from the document send forms under the same header, and then
//! the header has no boundary.

use bytes::Bytes;
use futures::{FutureExt, stream};
use multer::Multipart;
use serde_json::{Map, Value};

/// The maximum number of bytes of a field's name, and of a boundary. The API's own names are far
/// shorter.
const NAME_CAP: usize = 128;

/// The maximum number of levels of a field's name. The API's own names need three, as in
/// `contact[numbers][]`.
const DEPTH_CAP: usize = 4;

/// The error for a form that is broken or not in UTF-8.
#[derive(Debug)]
pub(super) struct Unreadable;

/// Returns the fields of a form, or `None` if `body` is no form at all.
pub(super) fn parse(body: &[u8]) -> Option<Result<Map<String, Value>, Unreadable>> {
    let body = body.trim_ascii();
    if let Some(boundary) = boundary(body) {
        // The whole body is in memory, so the future never waits.
        let read = multipart(body, boundary).now_or_never();
        return Some(read.flatten().ok_or(Unreadable));
    }
    is_urlencoded(body).then(|| urlencoded(body).ok_or(Unreadable))
}

/// Returns the boundary of a multipart body, from its first line.
fn boundary(body: &[u8]) -> Option<&str> {
    let line = body.split(|byte| *byte == b'\n').next()?;
    let boundary = std::str::from_utf8(line.strip_prefix(b"--")?)
        .ok()?
        .trim_end();
    (1..=NAME_CAP).contains(&boundary.len()).then_some(boundary)
}

/// Parses a multipart body. Uploaded files are ignored, because no endpoint accepts a file.
async fn multipart(body: &[u8], boundary: &str) -> Option<Map<String, Value>> {
    let whole = Bytes::copy_from_slice(body);
    let whole = stream::once(async move { Ok::<_, std::convert::Infallible>(whole) });
    let mut parts = Multipart::new(whole, boundary);
    let mut form = Value::Object(Map::new());
    while let Some(part) = parts.next_field().await.ok()? {
        let name = part.name().map(ToOwned::to_owned);
        let is_file = part.file_name().is_some();
        let value = part.bytes().await.ok()?;
        if let (Some(name), false) = (name, is_file) {
            add(&mut form, &name, String::from_utf8(value.into()).ok()?);
        }
    }
    fields(form)
}

/// Returns whether the body starts with a field's name and `=`.
fn is_urlencoded(body: &[u8]) -> bool {
    let name = body
        .iter()
        .position(|byte| *byte == b'=')
        .map(|end| &body[..end]);
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.%+[]".contains(byte);
    let begins = body
        .first()
        .is_some_and(|byte| fits(byte) && !b"[]".contains(byte));
    begins && name.is_some_and(|name| name.len() <= NAME_CAP && name.iter().all(fits))
}

fn urlencoded(body: &[u8]) -> Option<Map<String, Value>> {
    let mut form = Value::Object(Map::new());
    for pair in body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let end = pair
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(pair.len());
        let value = pair.get(end + 1..).unwrap_or_default();
        add(&mut form, &decoded(&pair[..end])?, decoded(value)?);
    }
    fields(form)
}

/// Decodes a urlencoded text: `+` is a space, `%41` is a byte, and a `%` without two hex digits
/// stays unchanged. Returns `None` if the bytes are not UTF-8.
fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match first {
            b'%' => behind.get(..2).and_then(|digits| hex::decode(digits).ok()),
            _ => None,
        };
        match (first, escaped) {
            (_, Some(byte)) => {
                bytes.extend(byte);
                rest = &behind[2..];
                continue;
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

/// Splits a name such as `contact[numbers][0]` into its parts, as PHP does. Any other name is a
/// single part.
fn path(name: &str) -> Vec<&str> {
    let whole = || vec![name];
    let Some((first, inner)) = name.split_once('[') else {
        return whole();
    };
    let Some(inner) = inner.strip_suffix(']').filter(|_| !first.is_empty()) else {
        return whole();
    };
    let path: Vec<&str> = std::iter::once(first).chain(inner.split("][")).collect();
    if path.len() > DEPTH_CAP || path.iter().any(|part| part.contains(['[', ']'])) {
        return whole();
    }
    path
}

/// Stores a text at the path of its name. If two texts have the same name, the last counts;
/// `numbers[]` appends.
fn add(form: &mut Value, name: &str, text: String) {
    if !name.is_empty() {
        put(form, &path(name), text);
    }
}

fn put(place: &mut Value, path: &[&str], text: String) {
    match path {
        [] => *place = Value::String(text),
        [""] => match place {
            Value::Array(list) => list.push(Value::String(text)),
            _ => *place = Value::Array(vec![Value::String(text)]),
        },
        [key, rest @ ..] => {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(fields) = place {
                put(fields.entry(*key).or_insert(Value::Null), rest, text);
            }
        }
    }
}

fn fields(form: Value) -> Option<Map<String, Value>> {
    match form {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Value {
        Value::Object(parse(body.as_bytes()).unwrap().unwrap())
    }

    #[test]
    fn urlencoded_fields_are_decoded_and_nest_as_in_php() {
        for (body, fields) in [
            (
                "nohp=628&pesan=a+b%0A%C3%A9%26",
                json!({"nohp": "628", "pesan": "a b\né&"}),
            ),
            (
                "pesan=diskon 50% &x&=&nohp=1&nohp=2\r\n",
                json!({"pesan": "diskon 50% ", "x": "", "nohp": "2"}),
            ),
            (
                "contact%5Bname%5D=Ani&contact[numbers][0]=1&contact[numbers][1]=2",
                json!({"contact": {"name": "Ani", "numbers": {"0": "1", "1": "2"}}}),
            ),
            (
                "contact[numbers][]=1&contact[numbers][]=2",
                json!({"contact": {"numbers": ["1", "2"]}}),
            ),
            (
                "a[=1&[b]=2&c[d]e=3&f[a][b][c][d]=4",
                json!({"a[": "1", "[b]": "2", "c[d]e": "3", "f[a][b][c][d]": "4"}),
            ),
        ] {
            assert_eq!(read(body), fields, "{body}");
        }
    }

    #[test]
    fn multipart_fields_are_read_and_uploads_left_out() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"nohp\"\r\n\r\n628\r\n\
            --x\r\nContent-Disposition: form-data; name=\"pesan\"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\na\r\n--é\"&=\r\n\
            --x\r\nContent-Disposition: form-data; name=\"contact[name]\"\r\n\r\nAni\r\n\
            --x\r\nContent-Disposition: form-data; name=\"mediaurl\"; filename=\"a.png\"\r\n\r\n\u{1}\r\n--x--\r\n";
        let fields = json!({"nohp": "628", "pesan": "a\r\n--é\"&=", "contact": {"name": "Ani"}});
        assert_eq!(read(body), fields);
    }

    #[test]
    fn a_broken_form_is_unreadable_and_other_bodies_are_none() {
        for body in [
            &b"pesan=caf%E9"[..],
            b"pesan=\xff",
            b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb",
        ] {
            assert!(parse(body).unwrap().is_err(), "{body:?}");
        }
        for body in [
            "",
            "nonsense",
            "{\"a=b",
            "[=",
            "\"a=b\"",
            "--",
            "a b=c",
            "=b",
            "<a href=b>",
        ] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_fields_or_refused(body in "(--x\r\n|[a-z]{0,3}=)?\\PC{0,60}(\r\n--x)?") {
            let _ = parse(body.as_bytes());
        }
    }
}
