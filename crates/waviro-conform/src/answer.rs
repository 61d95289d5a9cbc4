//! A host's answer, compared with the shapes in the API document.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::failure::Failure;

/// A received answer.
pub(crate) struct Answer {
    asked: String,
    status: u16,
    headers: HeaderMap,
    text: String,
    json: Option<Value>,
}

impl Answer {
    pub(crate) fn new(asked: String, status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        Self {
            asked,
            status,
            headers,
            text: String::from_utf8_lossy(body).into_owned(),
            json: serde_json::from_slice(body).ok(),
        }
    }

    /// Builds a failure with the request, the expected answer and the received answer.
    pub(crate) fn wrong(&self, expected: &str) -> Failure {
        let shown: String = self.text.chars().take(300).collect();
        let (asked, status) = (&self.asked, self.status);
        Failure::new(format!(
            "{asked}\n          expected {expected}\n          got {status} {shown}"
        ))
    }

    /// Expects `200 {"success":true,"message":…}` and returns the message.
    pub(crate) fn success(&self) -> Result<&Value, Failure> {
        let expected = "200 {\"success\":true,\"message\":…} as application/json";
        let body = self.json.as_ref().ok_or_else(|| self.wrong(expected))?;
        let right = self.status == 200 && self.is_json() && body["success"] == Value::Bool(true);
        match body.get("message") {
            Some(message) if right => Ok(message),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Expects a success with a message that fits the pattern.
    pub(crate) fn fits(&self, pattern: &Value) -> Result<(), Failure> {
        let right = fits(pattern, self.success()?);
        right
            .then_some(())
            .ok_or_else(|| self.wrong(&format!("message {pattern}")))
    }

    /// Expects a success with a list. Each item fits the pattern `each`, and an item fits the
    /// pattern `has`.
    pub(crate) fn lists(&self, each: &Value, has: &Value) -> Result<(), Failure> {
        let right = self.success()?.as_array().is_some_and(|items| {
            items.iter().all(|item| fits(each, item)) && items.iter().any(|item| fits(has, item))
        });
        right
            .then_some(())
            .ok_or_else(|| self.wrong(&format!("a list of {each} with {has}")))
    }

    /// Expects `{"success":false,"errorMessage":"…"}`, the documented refusal, with this status.
    pub(crate) fn refused(&self, status: u16) -> Result<(), Failure> {
        let expected = format!(
            "{status} {{\"success\":false,\"errorMessage\":\"[a sentence]\"}} as application/json"
        );
        let body = self.json.as_ref().ok_or_else(|| self.wrong(&expected))?;
        let sentence = body["errorMessage"].as_str().unwrap_or_default().trim();
        let right = self.status == status
            && self.is_json()
            && body["success"] == Value::Bool(false)
            && sentence.len() > 3;
        right.then_some(()).ok_or_else(|| self.wrong(&expected))
    }

    /// Expects a refusal with this code and this field, which Waviro adds to the documented shape.
    pub(crate) fn blames(&self, code: &str, field: Option<&str>) -> Result<(), Failure> {
        self.refused(400)?;
        let body = self.json.as_ref().unwrap_or(&Value::Null);
        let right = body["code"].as_str() == Some(code) && body["field"].as_str() == field;
        right
            .then_some(())
            .ok_or_else(|| self.wrong(&format!("code {code} and field {field:?}")))
    }

    /// The error text of a refusal.
    pub(crate) fn sentence(&self) -> &str {
        let body = self.json.as_ref().unwrap_or(&Value::Null);
        body["errorMessage"].as_str().unwrap_or_default()
    }

    /// Expects the answer of a send endpoint and returns the message id.
    pub(crate) fn sent(&self, kind: &str, from: &str, to: &str) -> Result<String, Failure> {
        let message = self.success()?;
        let id = message["id"].as_str().unwrap_or_default();
        let upper_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        let wrong = |what: &str| Err(self.wrong(what));
        if !id.starts_with("3EB0") || id.len() != 20 || !id.bytes().all(upper_hex) {
            return wrong("an id of 3EB0 and 16 upper-case hex digits");
        }
        if message["status"].as_i64() != Some(0) {
            return wrong("status 0, pending");
        }
        if message["type"].as_str() != Some(kind) {
            return wrong(&format!("type {kind:?}"));
        }
        let now = jiff::Timestamp::now().as_second();
        let day = 86_400;
        let near = |at: i64| (now - day..now + day).contains(&at);
        if !message["timestamp"].as_i64().is_some_and(near) {
            return wrong("a timestamp of now in Unix seconds");
        }
        if message["from"].as_str() != Some(from) {
            return wrong(&format!("from {from:?}"));
        }
        if message["to"].as_str() != Some(to) {
            return wrong(&format!("to {to:?}"));
        }
        Ok(id.to_owned())
    }

    fn is_json(&self) -> bool {
        let value = self.headers.get(CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
        text.starts_with("application/json")
    }
}

/// Returns whether a value fits a pattern: an object with fields that fit the fields of the
/// pattern, a text of the kind in angle brackets, or an equal value.
fn fits(pattern: &Value, value: &Value) -> bool {
    if let Some(fields) = pattern.as_object() {
        return fields
            .iter()
            .all(|(field, pattern)| fits(pattern, &value[field]));
    }
    let text = value.as_str();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match pattern.as_str() {
        Some("<digits>") => text.is_some_and(|text| !text.is_empty() && is_digits(text)),
        Some("<group id>") => {
            text.is_some_and(|text| !text.is_empty() && is_digits(&text.replace('-', "")))
        }
        Some("<name>") => text.is_some_and(|text| !text.is_empty()),
        Some("<text>") => text.is_some(),
        Some("<seconds>") => value.as_i64().is_some_and(|seconds| seconds > 0),
        Some("<code>") => text.is_some_and(|text| text.starts_with("2@") && text.contains(',')),
        _ => pattern == value,
    }
}
