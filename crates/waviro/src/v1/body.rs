//! The body of a request: a JSON object, whatever its Content-Type says, and its fields as types.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};
use url::Url;
use waviro_link::{GroupId, Number};

use super::V1;
use super::moment::Moment;
use super::problem::{BadUrl, NAME_FORM, Problem};
use super::query::MOMENT;
use crate::bots::{SecretKey, WebhookKey};
use crate::clock::Millis;
use crate::config::AllowedNetwork;
use crate::door;
use crate::invisible::{self, is_blank};
use crate::net::Net;

/// The most characters of a text. WhatsApp's own clients stop there.
pub const TEXT_CAP: usize = 65_536;

/// The most bytes of a URL: what browsers, proxies and web servers agree on at least.
pub const URL_CAP: usize = 2048;

/// What a request asks for, read from its body.
pub struct Body<T>(pub T);

/// A type that a body is read into. Its `ToSchema` says in the documentation what this takes.
pub trait FromFields: Sized {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`Problem::MissingField`] and [`Problem::InvalidField`], with the field's name.
    fn from_fields(fields: &Fields) -> Result<Self, Problem>;
}

/// A JSON object's fields; empty for an empty body. Fields that nobody asks for are ignored.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl<T: FromFields> FromRequest<Arc<V1>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, v1: &Arc<V1>) -> Result<Self, Problem> {
        let fields = Fields::parse(&door::read(request, v1.body).await?)?;
        T::from_fields(&fields).map(Self)
    }
}

impl Fields {
    /// Reads a body. A byte order mark and blanks around are fine; nothing at all and `null` are an object without fields.
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
                ", and it stops to be JSON at line {}, column {}",
                error.line(),
                error.column()
            ))),
        }
    }

    /// All of it, for a body that is a patch.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A field that says something; absent and `null` are the same.
    fn said(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A text.
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

    /// Whether the field is there, be it `null`.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// A list of texts.
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

    /// A text that is sent or received: not blank, and no longer than WhatsApp takes it.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn words(&self, field: &'static str) -> Result<Option<String>, Problem> {
        const FORM: &str = "a text of 1 to 65536 characters, not of blanks and invisible characters alone, without NUL";
        let text = self.text(field).map_err(|_| wrong(field, FORM))?;
        let fits = |text: &str| {
            !is_blank(text) && !text.contains('\0') && text.chars().count() <= TEXT_CAP
        };
        match text {
            Some(text) if !fits(text) => Err(wrong(field, FORM)),
            text => Ok(text.map(ToOwned::to_owned)),
        }
    }

    /// A group's id, with or without `@g.us`.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn group(&self, field: &'static str) -> Result<Option<GroupId>, Problem> {
        const FORM: &str = "a group's id as text";
        let text = self.text(field).map_err(|_| wrong(field, FORM))?;
        text.map(|text| text.parse().map_err(|_| wrong(field, FORM)))
            .transpose()
    }

    /// A moment.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn moment(&self, field: &'static str) -> Result<Option<Millis>, Problem> {
        let text = self.text(field).map_err(|_| wrong(field, MOMENT))?;
        text.map(|text| Moment::parse(text).ok_or_else(|| wrong(field, MOMENT)))
            .transpose()
    }

    /// The fields of an object inside this one.
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

    /// An angle, from -`most` to `most` degrees.
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

    /// A list of 1 to 50 phone numbers.
    ///
    /// # Errors
    /// [`Problem::MissingField`], [`Problem::InvalidField`].
    pub fn numbers(&self, field: &'static str) -> Result<Vec<Number>, Problem> {
        const FORM: &str =
            "a list of 1 to 50 phone numbers as texts, country code first, 7 to 15 digits each";
        let list = required(field, self.said(field))?;
        let list = list.as_array().ok_or_else(|| wrong(field, FORM))?;
        let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let numbers: Option<Vec<Number>> = list.iter().map(number).collect();
        let numbers = numbers.filter(|numbers| (1..=50).contains(&numbers.len()));
        numbers.ok_or_else(|| wrong(field, FORM))
    }

    /// A yes or no.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for another kind of value.
    pub fn flag(&self, field: &'static str) -> Result<Option<bool>, Problem> {
        let said = self.said(field).map(Value::as_bool);
        said.map(|flag| flag.ok_or_else(|| wrong(field, "true or false")))
            .transpose()
    }

    /// A URL of http or https. Whether it may be called is for [`permitted`] to say.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn url(&self, field: &'static str) -> Result<Option<Url>, Problem> {
        let bad = |bad| Problem::InvalidUrl(field, bad);
        let text = self.text(field).map_err(|_| bad(BadUrl::NotAUrl))?;
        text.map(|text| http_url(text).map_err(bad)).transpose()
    }

    /// A name of something, in the form in which it is stored.
    ///
    /// # Errors
    /// [`Problem::InvalidField`] for a blank or too long one, and one with control characters.
    pub fn name(&self, field: &'static str) -> Result<Option<String>, Problem> {
        let typed = self.text(field).map_err(|_| wrong(field, NAME_FORM))?;
        let name = typed.map(|typed| invisible::name(typed).ok_or_else(|| wrong(field, NAME_FORM)));
        name.transpose()
    }

    /// A SecretKey that is taken over.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn secret_key(&self, field: &'static str) -> Result<Option<SecretKey>, Problem> {
        let key = self.text(field)?.map(SecretKey::taken_over).transpose();
        key.map_err(|bad| Problem::InvalidField(field, bad.to_string().into()))
    }

    /// A webhook key that is taken over.
    ///
    /// # Errors
    /// [`Problem::InvalidField`].
    pub fn webhook_key(&self, field: &'static str) -> Result<Option<WebhookKey>, Problem> {
        let key = self.text(field)?.map(WebhookKey::taken_over).transpose();
        key.map_err(|bad| Problem::InvalidField(field, bad.to_string().into()))
    }

    /// A whole number in this range. A fraction of zero counts as whole, as JSON Schema has it.
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
                reason = "a whole number of a size that both hold"
            )]
            (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64)
        });
        let within = whole.filter(|whole| range.contains(whole));
        let form = || format!("a whole number from {} to {}", range.start(), range.end());
        within
            .map(Some)
            .ok_or_else(|| Problem::InvalidField(field, Cow::Owned(form())))
    }

    /// A phone number.
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

/// What a URL must be.
pub(super) const URL_FORM: &str = "an absolute URL of http or https, at most 2048 bytes long";

/// A URL of http or https.
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

/// A URL that may be called, also in the bot's own networks (`allow`), as far as that can be said without asking a name server.
///
/// # Errors
/// [`Problem::UrlRefused`] with what `outbound.allow` would have to hold.
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

/// A field that must be there.
///
/// # Errors
/// [`Problem::MissingField`].
pub fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or(Problem::MissingField(field))
}

fn wrong(field: &'static str, form: &'static str) -> Problem {
    Problem::InvalidField(field, Cow::Borrowed(form))
}
