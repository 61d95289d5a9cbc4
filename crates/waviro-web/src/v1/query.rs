//! The query parameters of a list: `?name=value&…`, beside the parameters of its page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::{Url, form_urlencoded};
use waviro_store::clock::Millis;

use super::fields::{http_url, one_of};
use super::problem::Problem;
use super::timestamp::{TIMESTAMP_FORM, Timestamp};

/// Extractor: the query parameters of a request. An empty value is the same as absent. If a
/// parameter is repeated, the last value counts. Unknown parameters are ignored.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Ok(Self(pairs.into_owned().collect()))
    }
}

impl Query {
    /// Builds a query from names and values.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let said = pairs.iter().filter(|(_, value)| !value.is_empty());
        let own = said.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(own.collect())
    }

    /// Returns the value of a parameter.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        let said = self.0.iter().rev().find(|(known, _)| known == name);
        said.map(|(_, value)| value.as_str())
    }

    /// Returns a text without NUL, because no database stores a NUL in a text.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        match self.said(name).filter(|value| !value.is_empty()) {
            Some(text) if text.contains('\0') => Err(Problem::invalid(name, "a text without NUL")),
            said => Ok(said),
        }
    }

    /// Returns the meaning of a parameter with a fixed set of words.
    pub fn word<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        // An empty word is an error here.
        let wrong = |form| Problem::invalid(name, form);
        self.said(name)
            .map(|said| one_of(said, words).map_err(wrong))
            .transpose()
    }

    /// Returns an http or https URL.
    pub fn url(&self, name: &'static str) -> Result<Option<Url>, Problem> {
        // An empty URL is an error here.
        let bad = |bad| Problem::InvalidUrl(name.into(), bad);
        self.said(name)
            .map(|text| http_url(text).map_err(bad))
            .transpose()
    }

    /// Returns a timestamp.
    pub fn timestamp(&self, name: &'static str) -> Result<Option<Millis>, Problem> {
        let said = self.said(name);
        // In a query, a plus sign decodes to a space, even in the offset of a timestamp.
        let read = |text: &str| Timestamp::parse(&text.replace(' ', "+"));
        said.map(|text| read(text).ok_or_else(|| Problem::invalid(name, TIMESTAMP_FORM)))
            .transpose()
    }
}
