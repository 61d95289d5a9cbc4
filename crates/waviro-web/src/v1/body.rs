//! Parsing of a request's body: a JSON object, regardless of the Content-Type header, with its
//! fields as types.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, Request};
use serde_json::{Map, Value};
use url::Url;
use waviro_core::bots::{SecretKey, WebhookKey};
use waviro_core::config::AllowedNetwork;
use waviro_core::limits::{NUMBERS_CAP, TEXT_CAP, URL_CAP};
use waviro_core::net::Net;
use waviro_link::{GroupId, Number};
use waviro_store::clock::Millis;
use waviro_store::invisible::{self, is_blank};

use super::problem::{BadUrl, NAME_FORM, Problem};
use super::query::TIMESTAMP_FORM;
use super::timestamp::Timestamp;
use crate::http;
use crate::services::Services;

/// Extractor: the parsed body of a request.
pub struct Body<T>(pub T);

/// A type that a body can be parsed into. Its `ToSchema` documents the body.
pub trait FromFields: Sized {
    /// Parses the fields.
    ///
    /// # Errors
    /// [`Problem::MissingField`] and [`Problem::InvalidField`], with the field's name.
    fn from_fields(fields: &Fields) -> Result<Self, Problem>;
}

/// The fields of a JSON object. An empty body has no fields. Unknown fields are ignored.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl<S, T: FromFields> FromRequest<S> for Body<T>
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

/// Parses a body given as JSON.
///
/// # Errors
/// See [`parse`].
pub(crate) fn of<T: FromFields>(body: &Value) -> Result<T, Problem> {
    parse(body.to_string().as_bytes())
}

/// Parses a body.
///
/// # Errors
/// [`Problem::InvalidBody`], [`Problem::MissingField`], [`Problem::InvalidField`].
pub(crate) fn parse<T: FromFields>(body: &[u8]) -> Result<T, Problem> {
    T::from_fields(&Fields::parse(body)?)
}

impl Fields {
    /// Parses a body. A byte order mark and surrounding white space are accepted; an empty body and
    /// `null` are an object without fields.
    ///
    /// # Errors
    /// [`Problem::InvalidBody`].
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(Problem::InvalidBody(String::new())),
            Err(error) => Err(Problem::InvalidBody(format!(
                "; the JSON is invalid at line {}, column {}",
                error.line(),
                error.column()
            ))),
        }
    }

    /// Returns all fields, for a body with a patch.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns a field's value; absent and `null` are the same.
    fn said(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Returns a text.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for another kind of value.
    pub fn text(&self, field: &'static str) -> Result<Option<&str>, Problem> {
        match self.said(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(field, "a text")),
        }
    }

    /// Returns whether the field is present, even with the value `null`.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Returns a list of texts.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for another kind of value.
    pub fn texts(&self, field: &'static str) -> Result<Option<Vec<&str>>, Problem> {
        let Some(value) = self.said(field) else {
            return Ok(None);
        };
        let list = value.as_array().map(|list| list.iter().map(Value::as_str));
        let texts = list.and_then(Iterator::collect::<Option<Vec<_>>>);
        texts
            .map(Some)
            .ok_or_else(|| wrong(field, "a list of texts"))
    }

    /// Returns the text of a message: not blank, and within WhatsApp's length limit.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn words(&self, field: &'static str) -> Result<Option<String>, Problem> {
        let form = || {
            let form = format!(
                "a text of 1 to {TEXT_CAP} characters with at least one visible character, without NUL"
            );
            Problem::InvalidField(field, form.into())
        };
        let text = self.text(field).map_err(|_| form())?;
        let fits = |text: &str| {
            !is_blank(text) && !text.contains('\0') && text.chars().count() <= TEXT_CAP
        };
        match text {
            Some(text) if !fits(text) => Err(form()),
            text => Ok(text.map(ToOwned::to_owned)),
        }
    }

    /// Returns a group id, with or without `@g.us`.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn group(&self, field: &'static str) -> Result<Option<GroupId>, Problem> {
        const FORM: &str = "a group's id as text";
        let text = self.text(field).map_err(|_| wrong(field, FORM))?;
        text.map(|text| text.parse().map_err(|_| wrong(field, FORM)))
            .transpose()
    }

    /// Returns a timestamp.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn timestamp(&self, field: &'static str) -> Result<Option<Millis>, Problem> {
        let text = self.text(field).map_err(|_| wrong(field, TIMESTAMP_FORM))?;
        text.map(|text| Timestamp::parse(text).ok_or_else(|| wrong(field, TIMESTAMP_FORM)))
            .transpose()
    }

    /// Returns the fields of a nested object.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for another kind of value.
    pub fn object(&self, field: &'static str) -> Result<Option<Self>, Problem> {
        match self.said(field) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(_) => Err(wrong(field, "an object")),
        }
    }

    /// Returns an angle from -`most` to `most` degrees.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn degrees(&self, field: &'static str, most: f64) -> Result<Option<f64>, Problem> {
        let form =
            || Problem::InvalidField(field, format!("a number from -{most} to {most}").into());
        let read = |value: &Value| value.as_f64().filter(|degrees| degrees.abs() <= most);
        let said = self.said(field).map(read);
        said.map(|degrees| degrees.ok_or_else(form)).transpose()
    }

    /// Returns a list of 1 to [`NUMBERS_CAP`] phone numbers.
    ///
    /// # Errors
    /// [`Problem::MissingField`], [`Problem::InvalidField`].
    pub fn numbers(&self, field: &'static str) -> Result<Vec<Number>, Problem> {
        let form = || {
            let form = format!(
                "a list of 1 to {NUMBERS_CAP} phone numbers as texts, country code first, 7 to 15 digits each"
            );
            Problem::InvalidField(field, form.into())
        };
        let list = required(field, self.said(field))?;
        let list = list.as_array().ok_or_else(form)?;
        let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let numbers: Option<Vec<Number>> = list.iter().map(number).collect();
        let numbers = numbers.filter(|numbers| (1..=NUMBERS_CAP).contains(&numbers.len()));
        numbers.ok_or_else(form)
    }

    /// Returns a boolean.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for another kind of value.
    pub fn flag(&self, field: &'static str) -> Result<Option<bool>, Problem> {
        let said = self.said(field).map(Value::as_bool);
        said.map(|flag| flag.ok_or_else(|| wrong(field, "true or false")))
            .transpose()
    }

    /// Returns an http or https URL. The caller must check with [`permitted`] whether the gateway
    /// may call the URL.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn url(&self, field: &'static str) -> Result<Option<Url>, Problem> {
        let bad = |bad| Problem::InvalidUrl(field, bad);
        let text = self.text(field).map_err(|_| bad(BadUrl::NotAUrl))?;
        text.map(|text| http_url(text).map_err(bad)).transpose()
    }

    /// Returns a name in its stored form.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for a name that is blank, too long or has control characters.
    pub fn name(&self, field: &'static str) -> Result<Option<String>, Problem> {
        let typed = self.text(field).map_err(|_| wrong(field, NAME_FORM))?;
        let name = typed.map(|typed| invisible::name(typed).ok_or_else(|| wrong(field, NAME_FORM)));
        name.transpose()
    }

    /// Returns an existing SecretKey for the bot to take over.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn secret_key(&self, field: &'static str) -> Result<Option<SecretKey>, Problem> {
        let key = self.text(field)?.map(SecretKey::taken_over).transpose();
        key.map_err(|bad| Problem::InvalidField(field, bad.to_string().into()))
    }

    /// Returns an existing webhook key for the bot to take over.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn webhook_key(&self, field: &'static str) -> Result<Option<WebhookKey>, Problem> {
        let key = self.text(field)?.map(WebhookKey::taken_over).transpose();
        key.map_err(|bad| Problem::InvalidField(field, bad.to_string().into()))
    }

    /// Returns a whole number in the given range. A number with a fraction of zero counts as whole,
    /// as in JSON Schema.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn whole(
        &self,
        field: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let Some(value) = self.said(field) else {
            return Ok(None);
        };
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the number is whole and in the range of both types"
            )]
            (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64)
        });
        let within = whole.filter(|whole| range.contains(whole));
        let form = || format!("a whole number from {} to {}", range.start(), range.end());
        within
            .map(Some)
            .ok_or_else(|| Problem::InvalidField(field, Cow::Owned(form())))
    }

    /// Returns a phone number.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn number(&self, field: &'static str) -> Result<Option<Number>, Problem> {
        const FORM: &str =
            "a phone number as text, country code first, 7 to 15 digits and nothing else";
        let text = self.text(field).map_err(|_| wrong(field, FORM))?;
        text.map(|text| text.parse().map_err(|_| wrong(field, FORM)))
            .transpose()
    }
}

/// The form of a URL, for error texts.
pub(super) const URL_FORM: &str = "an absolute URL of http or https, at most 2048 bytes long";

const _: () = assert!(URL_CAP == 2048, "URL_FORM says so");

/// Parses an http or https URL.
pub(super) fn http_url(text: &str) -> Result<Url, BadUrl> {
    if text.len() > URL_CAP {
        return Err(BadUrl::TooLong);
    }
    let url = Url::parse(text).map_err(|_| BadUrl::NotAUrl)?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(BadUrl::Scheme)
    }
}

/// Checks with the guard whether the gateway may call a URL; `allow` adds the bot's own networks.
/// The check does no DNS lookup.
///
/// # Errors
/// [`Problem::UrlRefused`] with the entry that `outbound.allow` would need.
pub fn permitted(
    field: &'static str,
    url: Url,
    net: &Net,
    allow: &[AllowedNetwork],
) -> Result<Url, Problem> {
    match net.check(&url, allow) {
        Ok(()) => Ok(url),
        Err(refused) => Err(Problem::UrlRefused(field, refused)),
    }
}

/// Returns the value of a required field.
///
/// # Errors
/// [`Problem::MissingField`].
pub fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or(Problem::MissingField(field))
}

fn wrong(field: &'static str, form: &'static str) -> Problem {
    Problem::InvalidField(field, Cow::Borrowed(form))
}
