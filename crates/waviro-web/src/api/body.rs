//! Parsing of request bodies: JSON or a form, regardless of the Content-Type header, and the
//! document's fields as types.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};
use tracing::info;
use url::Url;
use waviro_core::config::AllowedNetwork;
use waviro_core::lenient_json::{self, Parsed};
use waviro_core::net::Net;
use waviro_link::{GroupId, Number};
use waviro_store::invisible::is_blank;

use super::error::{ApiError, UrlFault};
use super::form;
use super::number::meant;
use crate::http;
use crate::services::Services;

pub use waviro_core::limits::{TEXT_CAP, URL_CAP};

/// The fields of a request's JSON object or form. An empty body has no fields.
#[derive(Debug, Default, PartialEq)]
pub struct Fields(Map<String, Value>);

impl FromRequest<Arc<Services>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, services: &Arc<Services>) -> Result<Self, ApiError> {
        Self::parse(&http::read(request, services.body).await?)
    }
}

impl Fields {
    /// Parses a body as strict JSON, then as the JSON of hand-built programs (see
    /// [`lenient_json`]), then as a form. An empty body is an object without fields.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let bare = lenient_json::bare(body);
        if bare.is_empty() {
            return Ok(Self::default());
        }
        let fault = match lenient_json::parse(body) {
            Ok(Parsed {
                value: Value::Object(fields),
                tolerant,
            }) => {
                if tolerant {
                    log_leniency("tolerant");
                }
                return Ok(Self(fields));
            }
            Ok(_) => return Err(ApiError::BodyNotObject),
            Err(fault) => fault,
        };
        let fields = form::parse(bare).ok_or(ApiError::BodyNotJson(fault))?;
        let fields = fields.map_err(|_| ApiError::BodyNotForm)?;
        log_leniency("form");
        Ok(Self(fields))
    }

    /// Returns whether the field has a value. Absent, `null` and blank fields have no value; a text
    /// is blank if a screen shows nothing of it.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        match self.0.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !is_blank(text),
            Some(_) => true,
        }
    }

    /// Returns a phone number, sent as text or as a whole JSON number. Absent, `null` and blank are
    /// `None`.
    pub fn number(&self, field: &'static str) -> Result<Option<Number>, ApiError> {
        self.0
            .get(field)
            .map_or(Ok(None), |value| number(value, field))
    }

    /// Returns a list of phone numbers. A list inside a text and a single number without a list are
    /// accepted too.
    pub fn numbers(&self, field: &'static str) -> Result<Vec<Number>, ApiError> {
        let Some(value) = self.0.get(field) else {
            return Ok(Vec::new());
        };
        let value = lenient_json::decode(value).unwrap_or_else(|| value.clone());
        let list = lenient_json::list(value).unwrap_or_else(|single| vec![single]);
        let read = list
            .iter()
            .filter_map(|value| number(value, field).transpose());
        read.collect()
    }

    /// Returns an angle from -`most` to `most` degrees, sent as text or as a JSON number.
    pub fn degrees(&self, field: &'static str, most: f64) -> Result<f64, ApiError> {
        let read = match self.0.get(field) {
            _ if !self.has(field) => return Err(ApiError::MissingField(field)),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_f64(),
            None => None,
        };
        read.filter(|degrees: &f64| degrees.abs() <= most)
            .ok_or(ApiError::InvalidDegrees { field })
    }

    /// Returns the fields of a nested object, taken from the first of `names` with a value. An
    /// object inside a text is accepted too.
    pub fn object(&self, names: [&'static str; 2]) -> Result<Option<Self>, ApiError> {
        let Some(field) = names.into_iter().find(|name| self.has(name)) else {
            return Ok(None);
        };
        let wrong = ApiError::NotAnObject { field: names[0] };
        match self.0.get(field) {
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(value) => match lenient_json::decode(value) {
                Some(Value::Object(fields)) => Ok(Some(Self(fields))),
                _ => Err(wrong),
            },
            None => Err(wrong),
        }
    }

    /// Returns a group id, with or without `@g.us`. Only text is accepted: JavaScript cannot
    /// represent a JSON number of 18 digits exactly.
    pub fn group(&self, field: &'static str) -> Result<Option<GroupId>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_blank(text) => Ok(None),
            Some(Value::String(text)) => {
                let parsed = text.trim().parse();
                parsed
                    .map(Some)
                    .map_err(|_| ApiError::InvalidGroup { field })
            }
            Some(_) => Err(ApiError::InvalidGroup { field }),
        }
    }

    /// Returns a required text that is not blank.
    pub fn text(&self, field: &'static str) -> Result<String, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Err(ApiError::MissingField(field)),
            Some(Value::String(text)) if is_blank(text) => Err(ApiError::MissingField(field)),
            Some(Value::String(text)) if text.contains('\0') => Err(ApiError::NotText { field }),
            Some(Value::String(text)) if text.chars().count() > TEXT_CAP => {
                Err(ApiError::TextTooLong { field })
            }
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(ApiError::NotText { field }),
        }
    }

    /// Returns a URL that the guard lets the gateway call; `allow` adds the bot's own networks.
    /// Absent, `null` and blank are `None`.
    pub fn url(
        &self,
        field: &'static str,
        net: &Net,
        allow: &[AllowedNetwork],
    ) -> Result<Option<Url>, ApiError> {
        let wrong = |fault| ApiError::InvalidUrl { field, fault };
        let text = match self.0.get(field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim(),
            Some(_) => return Err(wrong(UrlFault::NotAUrl)),
        };
        if is_blank(text) {
            return Ok(None);
        }
        if text.len() > URL_CAP {
            return Err(wrong(UrlFault::TooLong));
        }
        let url = Url::parse(text).map_err(|_| wrong(UrlFault::NotAUrl))?;
        net.check(&url, allow)
            .map_err(|refused| wrong(refused.into()))?;
        Ok(Some(url))
    }
}

/// Logs and counts a body that is not strict JSON.
fn log_leniency(body: &'static str) {
    info!(body, "body is not strict JSON; accepted");
    metrics::counter!("waviro_api_lenient_bodies_total", "body" => body).increment(1);
}

/// Parses a phone number; `null` and blank are `None`.
fn number(value: &Value, field: &'static str) -> Result<Option<Number>, ApiError> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        // A `u64` represents 15 digits exactly. A number with a point or an exponent, or with more
        // digits, is no phone number.
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return Err(ApiError::InvalidNumber { field, meant: None }),
    };
    if is_blank(&text) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ApiError::InvalidNumber {
        field,
        meant: meant(&text),
    })
}
