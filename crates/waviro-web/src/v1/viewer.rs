//! Masks secrets in responses to a viewer. A viewer sees every bot and changes nothing, so a
//! response must not hold a secret that allows an action: the query of a URL (often a token), a
//! signed link to a file, or a webhook key (the holder can pose as the gateway).
//!
//! The filter masks every text of a response, not single fields. Therefore the filter also covers
//! new fields, and a URL inside a posted body, an endpoint's response or a message.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::error;

use super::auth::{Caller, Role};
use super::problem::Problem;

/// The maximum number of bytes of a response; handlers return less.
const ANSWER_CAP: usize = 16 * 1024 * 1024;

/// The replacement of a hidden text.
const HIDDEN: &str = "…";

/// The forms of the question mark before a query: plain, percent-encoded inside another URL, and
/// escaped in JSON.
const QUERY: [&str; 3] = ["?", "%3f", "\\u003f"];

/// The forms of the slash in a URL's path.
const SLASH: [&str; 3] = ["/", "%2f", "\\u002f"];

/// The prefix of webhook keys created by the gateway.
const KEY: &str = "whk_";

/// The field of a webhook's body with the webhook key.
const KEY_FIELD: &str = "webhookkey";

/// Middleware: masks the responses to a viewer.
pub(super) async fn conceal(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>();
    let viewer = caller.is_some_and(|caller| caller.role == Role::Viewer);
    let response = next.run(request).await;
    if !viewer || !is_json(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, ANSWER_CAP).await;
    let answer = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // An unreadable response cannot be masked, so the viewer gets an error.
    let Some(mut answer) = answer else {
        return Problem::Internal.into_response();
    };
    mask(&mut answer);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(answer.to_string()))
}

/// Masks the result of an operation for a viewer.
///
/// # Errors
/// [`Problem::Internal`] if the masked result has another form.
pub(crate) fn masked_for<T: Serialize + DeserializeOwned>(
    caller: &Caller,
    result: T,
) -> Result<T, Problem> {
    if caller.role != Role::Viewer {
        return Ok(result);
    }
    let masked = serde_json::to_value(result).and_then(|mut value| {
        mask(&mut value);
        serde_json::from_value(value)
    });
    masked.map_err(|cause| {
        error!(%cause, "result could not be masked for a viewer");
        Problem::Internal
    })
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("json"))
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Object(fields) => fields.values_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn masked(text: &str) -> String {
    without_queries(&without_named_keys(&without_keys(text)))
}

/// Returns the text without webhook keys: current keys, replaced keys, and every text in the form
/// of a key.
fn without_keys(text: &str) -> String {
    let mut parts = text.split(KEY);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(KEY);
        let rest = part.trim_start_matches(|one: char| one.is_ascii_hexdigit());
        if rest.len() < part.len() {
            shown.push_str(HIDDEN);
        }
        shown.push_str(rest);
    }
    shown
}

/// Returns the text without the value of a body's `webhookkey`: a key taken over from another
/// gateway has any form. The body may be inside another JSON text, or be sent back as a form.
fn without_named_keys(text: &str) -> String {
    let around = |one: char| one.is_whitespace() || "\\\"".contains(one);
    let mut parts = text.split(KEY_FIELD);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(KEY_FIELD);
        let value = part
            .trim_start_matches(around)
            .strip_prefix([':', '='])
            .map(|value| value.trim_start_matches(around));
        let Some(value) = value else {
            shown.push_str(part);
            continue;
        };
        let ends = |one: char| around(one) || "&,}".contains(one);
        let (key, rest) = value.split_at(value.find(ends).unwrap_or(value.len()));
        shown.push_str(&part[..part.len() - value.len()]);
        // A key created by the gateway is already masked.
        let known = key.is_empty() || key == "null" || key.starts_with(KEY);
        shown.push_str(if known { key } else { HIDDEN });
        shown.push_str(rest);
    }
    shown
}

/// Returns the text without the query of each URL, both if the URL is the whole text and if the URL
/// is inside a sentence, JSON or a form.
fn without_queries(text: &str) -> String {
    // No URL contains any of the characters; texts in JSON and HTML end with such a character.
    let ends = |one: char| one.is_whitespace() || one.is_control() || "\"<>".contains(one);
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends) {
        let word = piece.strip_suffix(ends).unwrap_or(piece);
        match query(word) {
            Some(at) => {
                shown.push_str(&word[..at]);
                shown.push('?');
                shown.push_str(HIDDEN);
            }
            None => shown.push_str(word),
        }
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

/// Returns the position of a word's query if the word may be a URL: a slash stands before the mark,
/// or a value follows the mark. In doubt the filter masks too much: `ya/tidak?mungkin` loses its
/// end.
fn query(word: &str) -> Option<usize> {
    // The lower-case text has the same length in bytes, so positions are valid in both texts.
    let folded = word.to_ascii_lowercase();
    let holds = |part: &str, signs: &[&str]| signs.iter().any(|sign| part.contains(sign));
    let starts = QUERY.iter().flat_map(|mark| {
        folded
            .match_indices(mark)
            .map(|(at, mark)| (at, at + mark.len()))
    });
    starts
        .filter(|(at, after)| {
            let rest = &folded[*after..];
            !rest.is_empty()
                && (holds(&folded[..*at], &SLASH) || holds(rest, &["=", "%3d", "\\u003d"]))
        })
        .map(|(at, _)| at)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urls_query_is_hidden_wherever_the_url_stands() {
        for (text, shown) in [
            (
                "https://toko.example/hook?token=s3cret",
                "https://toko.example/hook?…",
            ),
            (
                "https://toko.example/hook?s3cret",
                "https://toko.example/hook?…",
            ),
            (
                "https://toko.example?token=s3cret#x",
                "https://toko.example?…",
            ),
            ("HTTPS://TOKO.EXAMPLE/?A=s3cret", "HTTPS://TOKO.EXAMPLE/?…"),
            ("https://toko.example/hook", "https://toko.example/hook"),
            ("https://toko.example/hook?", "https://toko.example/hook?"),
            (
                "/v1/media/9f86d081884c7d659a2feaa0?expires=1&signature=s3cret",
                "/v1/media/9f86d081884c7d659a2feaa0?…",
            ),
            (
                "lihat https://toko.example/a?b=s3cret, lalu toko.example?x=s3cret ya?",
                "lihat https://toko.example/a?… lalu toko.example?… ya?",
            ),
            (
                r#"{"url":"https://wa.example/v1/media/9f?expires=1&signature=s3cret","ack":1}"#,
                r#"{"url":"https://wa.example/v1/media/9f?…","ack":1}"#,
            ),
            (
                r#"{"url":"https:\/\/wa.example\/a\u003Fb=s3cret","x":"y?"}"#,
                r#"{"url":"https:\/\/wa.example\/a?…","x":"y?"}"#,
            ),
            (
                "url=https%3A%2F%2Ftoko.example%2Fa%3Ftoken%3Ds3cret&ack=1",
                "url=https%3A%2F%2Ftoko.example%2Fa?…",
            ),
            (
                "<a href=\"/x?y=s3cret\">ya?</a>",
                "<a href=\"/x?…\">ya?</a>",
            ),
            (
                "apa?https://toko.example/a?s3cret",
                "apa?https://toko.example/a?…",
            ),
            (
                "jam berapa buka? 08.00/21.00?",
                "jam berapa buka? 08.00/21.00?",
            ),
            ("é?/ü?x=s3cret", "é?…"),
        ] {
            assert_eq!(masked(text), shown, "{text}");
        }
    }

    #[test]
    fn a_webhook_key_is_hidden_whoever_made_it() {
        for (text, shown) in [
            (
                r#"{"keyword":"a","webhookkey":"whk_00ff","from":"62"}"#,
                r#"{"keyword":"a","webhookkey":"whk_…","from":"62"}"#,
            ),
            (
                r#"{"webhookkey" : "KunciLama123","data":["x"]}"#,
                r#"{"webhookkey" : "…","data":["x"]}"#,
            ),
            (
                r#"{"got":"{\"webhookkey\":\"KunciLama123\"}"}"#,
                r#"{"got":"{\"webhookkey\":\"…\"}"}"#,
            ),
            (
                "keyword=a&webhookkey=KunciLama123&x=1",
                "keyword=a&webhookkey=…&x=1",
            ),
            (r#"{"webhookkey":null}"#, r#"{"webhookkey":null}"#),
            ("echo whk_0aF9 done", "echo whk_… done"),
        ] {
            assert_eq!(masked(text), shown, "{text}");
        }
    }

    #[test]
    fn the_result_of_an_operation_is_masked_for_a_viewer_alone() {
        const URL: &str = "https://toko.example/hook?token=s3cret";
        let shown = |role| {
            let caller = Caller::new(role, "a session");
            masked_for(&caller, (1, URL.to_owned())).unwrap()
        };
        let hidden = "https://toko.example/hook?…".to_owned();
        assert_eq!(shown(Role::Viewer), (1, hidden));
        for role in [Role::Admin, Role::Bot(1), Role::Operator([1].into())] {
            assert_eq!(shown(role), (1, URL.to_owned()));
        }
    }

    #[test]
    fn numbers_and_fields_stay_as_they_are() {
        let mut answer = serde_json::json!({
            "id": 9_007_199_254_740_993_i64, "a?b=c": [true, null, 0.5, "https://x.example/?a=b"],
        });
        mask(&mut answer);
        let shown = serde_json::json!({
            "id": 9_007_199_254_740_993_i64, "a?b=c": [true, null, 0.5, "https://x.example/?…"],
        });
        assert_eq!(answer, shown);
    }
}
