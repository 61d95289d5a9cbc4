//! Reads a header.

use axum::http::HeaderMap;
use axum::http::header::HeaderName;

/// Returns a header as text, or `None` if the value is not text.
#[must_use]
pub fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
