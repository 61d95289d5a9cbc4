//! Parsing of a request's body: a JSON object, regardless of the Content-Type header, becomes the
//! type of the operation. The type also describes the body in the OpenAPI document.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use waviro_core::bots::Bot;

use super::fields::{BadUrl, Field, TEXT_FORM, URL_FORM, http_url};
use super::problem::Problem;
use crate::http;
use crate::services::Services;

/// Extractor: the parsed body of a request.
pub struct Body<T>(pub T);

impl<S, T: DeserializeOwned> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    Arc<Services>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Arc::<Services>::from_ref(state).body;
        parse(&http::read(request, body).await?).map(Self)
    }
}

/// Parses a body. A byte order mark and surrounding white space are accepted; an empty body and
/// `null` are an object without fields. Unknown fields are ignored; `null` is the same as absent.
///
/// # Errors
/// [`Problem::InvalidBody`], [`Problem::MissingField`], [`Problem::InvalidField`].
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return of(&Value::Null);
    }
    let body = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::InvalidBody(format!(
            "; the JSON is invalid at line {line}, column {column}"
        ))
    })?;
    of(&body)
}

/// Parses a body given as JSON.
pub(crate) fn of<T: DeserializeOwned>(body: &Value) -> Result<T, Problem> {
    let parsed = match body {
        Value::Object(_) => serde_path_to_error::deserialize(body),
        Value::Null => serde_path_to_error::deserialize(Value::Object(serde_json::Map::new())),
        _ => return Err(Problem::InvalidBody(String::new())),
    };
    parsed.map_err(|error| problem(&error, body))
}

/// Converts the error of a body. The text of the error is the expected form of a [`Field`], or a
/// text of serde: ``missing field `NAME` `` and `…, expected FORM`.
fn problem(error: &serde_path_to_error::Error<serde_json::Error>, body: &Value) -> Problem {
    let (field, text) = (error.path().to_string(), error.inner().to_string());
    if let Some(missing) = text.strip_prefix("missing field ") {
        let missing = missing.trim_matches('`');
        // The path of the object itself is a dot.
        let missing = format!("{field}.{missing}");
        return Problem::MissingField(missing.trim_start_matches('.').to_owned().into());
    }
    match body.pointer(&format!("/{}", field.replace('.', "/"))) {
        None | Some(Value::Null) => Problem::MissingField(field.into()),
        Some(url) if text == URL_FORM => {
            let bad = url.as_str().and_then(|url| http_url(url).err());
            Problem::InvalidUrl(field.into(), bad.unwrap_or(BadUrl::NotAUrl))
        }
        Some(_) => {
            let form = match text.rsplit(", expected ").next().unwrap_or_default() {
                "a boolean" => "true or false",
                "a string" => TEXT_FORM,
                form => form,
            };
            Problem::invalid(field, form.to_owned())
        }
    }
}

/// Checks with the guard whether the gateway may call a URL for the bot. The check does no DNS
/// lookup.
///
/// # Errors
/// [`Problem::UrlRefused`] with the entry that `outbound.allow` would need.
pub fn permitted(
    services: &Services,
    bot: &Bot,
    field: &'static str,
    url: Field<Url>,
) -> Result<Url, Problem> {
    match services.net.check(&url.0, &bot.settings().allow) {
        Ok(()) => Ok(url.0),
        Err(refused) => Err(Problem::UrlRefused(field, refused)),
    }
}

/// Returns the value of a field that only some requests need.
pub fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or(Problem::MissingField(field.into()))
}
