//! The fields of request bodies. A form is the kind of a value with its check, such as a name or a
//! URL; a body type holds `Field<Form>`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use url::Url;
use waviro_core::bots::{SecretKey, WebhookKey};
use waviro_core::limits::{NUMBERS_CAP, TEXT_CAP, URL_CAP};
use waviro_link::{Chat, GroupId, Number};
use waviro_store::invisible::{self, is_blank};

/// The expected form of a value, for the text `FIELD must be FORM`.
pub type Expected = Cow<'static, str>;

/// The form of a text.
pub const TEXT_FORM: &str = "a text";

/// The form of a value.
pub trait Form {
    /// The type of a checked value.
    type Value;

    /// Checks a value; the error is the expected form.
    fn read(value: &Value) -> Result<Self::Value, Expected>;
}

/// A checked value of a field.
pub struct Field<F: Form>(pub F::Value);

impl<'de, F: Form> Deserialize<'de> for Field<F> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let checked = F::read(&Value::deserialize(from)?);
        checked.map(Self).map_err(D::Error::custom)
    }
}

/// Reads a field of a patch in which `null` differs from absent: `null` is a value of `T`. Needs
/// `#[serde(default)]` for an absent field.
pub fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

/// Reads a nested object; `null` is the same as absent. Without this function, serde would also
/// read a list as the fields in their order.
pub fn object<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
        }
    }

    from.deserialize_any(Object(PhantomData))
}

/// Returns a text.
pub fn text(value: &Value) -> Result<&str, Expected> {
    value.as_str().ok_or(TEXT_FORM.into())
}

/// Parses a text of the given form.
fn parsed<T>(
    value: &Value,
    parse: impl FnOnce(&str) -> Option<T>,
    form: &'static str,
) -> Result<T, Expected> {
    value.as_str().and_then(parse).ok_or(form.into())
}

/// Returns the meaning of a word in a list of words; the error lists all words.
pub fn one_of<T: Copy>(said: &str, words: &[(&str, T)]) -> Result<T, Expected> {
    let known = words.iter().find(|(word, _)| *word == said);
    known.map(|(_, meant)| *meant).ok_or_else(|| {
        let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("one of {}", all.join(", ")).into()
    })
}

/// A name in its stored form: not blank, short, and without control characters.
pub struct Name;

/// The form of a name.
pub const NAME_FORM: &str = "1 to 64 visible characters, without control characters";

impl Form for Name {
    type Value = String;

    fn read(value: &Value) -> Result<String, Expected> {
        parsed(value, invisible::name, NAME_FORM)
    }
}

/// The text of a message: not blank, and within WhatsApp's length limit.
pub struct MessageText;

impl Form for MessageText {
    type Value = String;

    fn read(value: &Value) -> Result<String, Expected> {
        let fits = |text: &&str| {
            !is_blank(text) && !text.contains('\0') && text.chars().count() <= TEXT_CAP
        };
        let text = value.as_str().filter(fits).map(ToOwned::to_owned);
        text.ok_or_else(|| {
            format!(
                "a text of 1 to {TEXT_CAP} characters with at least one visible character, without NUL"
            )
            .into()
        })
    }
}

/// The reasons for which a text is no valid URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadUrl {
    /// The value is no text or no absolute URL.
    NotAUrl,
    /// The URL has more than [`URL_CAP`] bytes.
    TooLong,
    /// The scheme is neither http nor https.
    Scheme,
}

/// The form of a URL.
pub const URL_FORM: &str = "an absolute URL of http or https, at most 2048 bytes long";

const _: () = assert!(URL_CAP == 2048, "URL_FORM says so");

/// Parses an http or https URL. The guard must still check whether the gateway may call the URL.
pub fn http_url(text: &str) -> Result<Url, BadUrl> {
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

impl Form for Url {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        parsed(value, |text| http_url(text).ok(), URL_FORM)
    }
}

/// An existing SecretKey for the bot to take over.
impl Form for SecretKey {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        Self::taken_over(text(value)?).map_err(|bad| bad.to_string().into())
    }
}

/// An existing webhook key for the bot to take over.
impl Form for WebhookKey {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        Self::taken_over(text(value)?).map_err(|bad| bad.to_string().into())
    }
}

impl Form for Number {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        let form = "a phone number as text, country code first, 7 to 15 digits and nothing else";
        parsed(value, |text| text.parse().ok(), form)
    }
}

/// A list of 1 to [`NUMBERS_CAP`] phone numbers.
pub struct Numbers;

impl Form for Numbers {
    type Value = Vec<Number>;

    fn read(value: &Value) -> Result<Vec<Number>, Expected> {
        let number = |value: &Value| value.as_str()?.parse().ok();
        let list = value
            .as_array()
            .filter(|list| (1..=NUMBERS_CAP).contains(&list.len()));
        let numbers = list.and_then(|list| list.iter().map(number).collect());
        numbers.ok_or_else(|| {
            format!(
                "a list of 1 to {NUMBERS_CAP} phone numbers as texts, country code first, 7 to 15 digits each"
            )
            .into()
        })
    }
}

/// A group id, with or without `@g.us`.
impl Form for GroupId {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        parsed(value, |text| text.parse().ok(), "a group's id as text")
    }
}

impl Form for Chat {
    type Value = Self;

    fn read(value: &Value) -> Result<Self, Expected> {
        let said = text(value)?;
        if let Ok(number) = said.strip_suffix("@c.us").unwrap_or(said).parse() {
            return Ok(Self::Person(number));
        }
        let group = said.parse().map(Self::Group);
        group.map_err(|_| "a phone number as text, country code first, or a group's id".into())
    }
}

/// A whole number from `LEAST` to `MOST`. A number with a fraction of zero counts as whole, as in
/// JSON Schema.
pub struct Whole<const LEAST: u64, const MOST: u64>;

impl<const LEAST: u64, const MOST: u64> Form for Whole<LEAST, MOST> {
    type Value = u64;

    fn read(value: &Value) -> Result<u64, Expected> {
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the number is whole and in the range of both types"
            )]
            (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64)
        });
        let within = whole.filter(|whole| (LEAST..=MOST).contains(whole));
        within.ok_or_else(|| format!("a whole number from {LEAST} to {MOST}").into())
    }
}

/// An angle from -`MOST` to `MOST` degrees.
pub struct Degrees<const MOST: u8>;

impl<const MOST: u8> Form for Degrees<MOST> {
    type Value = f64;

    fn read(value: &Value) -> Result<f64, Expected> {
        let degrees = value
            .as_f64()
            .filter(|degrees| degrees.abs() <= MOST.into());
        degrees.ok_or_else(|| format!("a number from -{MOST} to {MOST}").into())
    }
}
