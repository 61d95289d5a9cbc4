//! The request's body: JSON or a form, whatever its Content-Type says, and the document's fields out of it as types.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};
use tracing::info;
use url::Url;
use waviro_link::{GroupId, Number};

use super::error::{ApiError, UrlFault};
use super::number::meant;
use super::{Api, form};
use crate::config::AllowedNetwork;
use crate::door;
use crate::invisible::is_blank;
use crate::lenient_json::{self, Parsed};
use crate::net::Net;

/// The most characters of a text. WhatsApp's own clients stop there.
pub const TEXT_CAP: usize = 65_536;

/// The most bytes of a URL: what browsers, proxies and web servers agree on at least.
pub const URL_CAP: usize = 2048;

/// A JSON object's fields; empty for an empty body.
#[derive(Debug, Default, PartialEq)]
pub struct Fields(Map<String, Value>);

impl FromRequest<Arc<Api>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        Self::parse(&door::read(request, api.body).await?)
    }
}

impl Fields {
    /// Reads a body: strict JSON, else JSON as hand-built programs write it (see [`lenient_json`]), else a form. An empty body is an
    /// object without fields.
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
                    told("tolerant");
                }
                return Ok(Self(fields));
            }
            Ok(_) => return Err(ApiError::BodyNotObject),
            Err(fault) => fault,
        };
        let fields = form::parse(bare).ok_or(ApiError::BodyNotJson(fault))?;
        let fields = fields.map_err(|_| ApiError::BodyNotForm)?;
        told("form");
        Ok(Self(fields))
    }

    /// Whether the field says anything: absent, `null` and blank are all the same. Blank is what a screen shows nothing of.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        match self.0.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !is_blank(text),
            Some(_) => true,
        }
    }

    /// A phone number, as text or as a whole JSON number. Absent, `null` and blank are `None`.
    pub fn number(&self, field: &'static str) -> Result<Option<Number>, ApiError> {
        self.0
            .get(field)
            .map_or(Ok(None), |value| number(value, field))
    }

    /// A list of phone numbers, also as the text of a list, or a single one without the list around it.
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

    /// An angle, as text or as a JSON number, from -`most` to `most` degrees.
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

    /// The fields of an object inside this one, under the first of `names` that says anything; also where it was sent as the text
    /// of an object.
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

    /// A group's id, with or without `@g.us`. Text only: as a JSON number its 18 digits do not survive JavaScript.
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

    /// A text that must be there and say something.
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

    /// A URL that may be called, also in the bot's own networks. Absent, `null` and blank are `None`.
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

/// The request log shows how a body was read if it is not strict JSON.
fn told(body: &'static str) {
    info!(
        body,
        "the body is not strict JSON and was read all the same"
    );
    metrics::counter!("waviro_api_lenient_bodies_total", "body" => body).increment(1);
}

/// One phone number; `null` and blank are `None`.
fn number(value: &Value, field: &'static str) -> Result<Option<Number>, ApiError> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        // 15 digits fit exactly; what was written with a point or an exponent, or is longer, is no phone number.
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
