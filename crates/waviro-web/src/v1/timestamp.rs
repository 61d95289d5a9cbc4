//! The timestamp format of the administration API.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use waviro_store::clock::Millis;

/// The form of a timestamp, for error texts.
pub const TIMESTAMP_FORM: &str = "a time in RFC 3339, such as 2026-01-02T03:04:05Z";

/// A timestamp as RFC 3339 in UTC, with milliseconds: `2026-01-02T03:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub Millis);

impl Timestamp {
    /// Parses RFC 3339 with any offset; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Millis> {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(at.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store has no timestamps outside the range of `jiff`.
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        at.fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let at = value.as_str().and_then(Self::parse);
        at.map(Self).ok_or_else(|| D::Error::custom(TIMESTAMP_FORM))
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, in UTC"))
            .examples(["2026-01-02T03:04:05.678Z"])
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        // The name of the schema in the published OpenAPI document.
        Cow::Borrowed("Moment")
    }
}
