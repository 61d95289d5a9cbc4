//! Tests of the gateway's promises without a real connection to WhatsApp.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics with the reason"
)]

mod api;
mod cli;
mod conform;
mod dashboard;
mod docs;
mod hostile;
mod idempotency;
mod memory;
mod openapi_snapshots;
mod pages;
mod test_app;
mod tidy;
mod v1;
mod wire;
