//! Parts of the tests of several crates: sample data and, with the feature `engine`, the gateway
//! without HTTP over a fake link, and scripted endpoints on loopback.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test panics with the reason"
)]

pub mod samples;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod hooks;
#[cfg(feature = "engine")]
pub mod subscriptions;
