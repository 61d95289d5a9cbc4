//! Sample programs for calls of an endpoint, filled from the catalogue's programs.

use serde_json::Value;

use super::catalogue::{self, Endpoint, Program, fill};
use crate::api::error::Language;
use crate::http::Origin;

/// A call of an endpoint in a programming language.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The stable name, used in anchors and to remember the reader's choice.
    pub tag: &'static str,
    pub name: &'static str,
    pub code: String,
}

/// Returns a sample in each language, in the document's order of languages.
pub fn of(endpoint: &Endpoint, origin: &Origin, key: &str) -> Vec<Sample> {
    let body = endpoint.sample().map(|sample| sample.pretty());
    written(origin, &endpoint.path(), key, body.as_deref())
}

/// Returns samples for a call with the given body, in each language except raw HTTP. The body is
/// escaped so that the text can stand unchanged within the quotes of any of the languages.
#[must_use]
pub fn call(origin: &Origin, path: &str, key: &str, body: &Value) -> Vec<Sample> {
    let body = serde_json::to_string_pretty(body).unwrap_or_default();
    let body = body.replace("\\\\", "\\u005c").replace('\'', "\\u0027");
    let mut samples = written(origin, path, key, Some(&body));
    samples.retain(|sample| sample.tag != "http");
    samples
}

fn written(origin: &Origin, path: &str, key: &str, body: Option<&str>) -> Vec<Sample> {
    let sample = |program: &'static Program| {
        let value = |name: &str| match name {
            "URL" => Some(format!("{}{path}", origin.url())),
            "HOST" => Some(origin.host().to_owned()),
            "PATH" => Some(format!("{}{path}", origin.base())),
            "KEY" => Some(key.to_owned()),
            "LENGTH" => body.map(|body| body.len().to_string()),
            // Lines of the body after the first are indented.
            "BODY" => body.map(|body| body.replace('\n', &format!("\n{}", program.indent))),
            _ => None,
        };
        let template = body.map_or(&program.without_body, |_| &program.with_body);
        Sample {
            tag: &program.tag,
            name: &program.name,
            code: fill(template, value),
        }
    };
    // The programs are the same in both languages.
    let programs = &catalogue::of(Language::English).programs;
    programs.iter().map(sample).collect()
}
