//! Authentication of `/api`: finds the bot that the request's SecretKey belongs to. The key alone
//! selects the bot.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use waviro_core::bots::Bot;

use super::error::ApiError;
use crate::http::peer;
use crate::services::Services;

static SECRET_KEY: HeaderName = HeaderName::from_static("secretkey");

/// Extractor: the bot with the request's SecretKey.
pub struct Caller(pub Arc<Bot>);

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, ApiError> {
        let wrong = |error| {
            if services.wrong_keys.count(peer(&parts.extensions)) {
                error
            } else {
                ApiError::TooManyWrongKeys
            }
        };
        let key = only_key(&parts.headers).map_err(|error| match error {
            // A request without a key guesses nothing, so the budget of wrong keys does not count
            // it.
            ApiError::NoSecretKey => error,
            _ => wrong(error),
        })?;
        // The lookup is by hash, so its duration reveals something about the hash only, not about
        // the key.
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let bot = services.bots.by_key(&hash).await;
        let bot = bot.ok_or_else(|| wrong(ApiError::InvalidSecretKey))?;
        tracing::Span::current().record("bot", bot.name());
        Ok(Self(bot))
    }
}

/// Returns the request's key. Several headers with the same key are accepted. Headers with
/// different keys are refused: the bot would be ambiguous, and a party that adds a header could
/// choose the bot.
fn only_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(&SECRET_KEY).iter();
    let key = values.next().and_then(|value| value.to_str().ok());
    let key = key.map(bare).filter(|key| !key.is_empty());
    let key = key.ok_or(ApiError::NoSecretKey)?;
    if values.all(|other| other.to_str().is_ok_and(|other| bare(other) == key)) {
        Ok(key)
    } else {
        Err(ApiError::InvalidSecretKey)
    }
}

/// Trims a key. The samples in the API document send `secretkey: KEY;` and `secretkey: KEY `.
fn bare(value: &str) -> &str {
    let value = value.trim();
    value.strip_suffix(';').unwrap_or(value).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_one_semicolon_around_a_key_are_dropped() {
        for value in ["KEY", " KEY ", "KEY;", "KEY; ", "KEY ;"] {
            assert_eq!(bare(value), "KEY", "{value:?}");
        }
        assert_eq!(bare("KEY;;"), "KEY;");
        assert_eq!(bare(";"), "");
    }
}
