//! A response stored under an idempotency key.

use crate::clock::Millis;

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 of the request's body, lower-case hex.
    pub request_sha256: String,
    pub status: u16,
    /// The response body, in the form chosen by the handler for storing.
    pub answer: String,
}

/// A response to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepingAnswer {
    /// SHA-256 of the caller, the path and the key, lower-case hex.
    pub id: String,
    pub caller: String,
    /// The maximum size of all stored responses to the caller, in bytes.
    pub most: i64,
    pub kept: KeptAnswer,
    /// The time of the response.
    pub at: Millis,
    /// A response stored under the id before this time is expired.
    pub since: Millis,
}
