//! Tests of the gateway's promises without a real connection to WhatsApp.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics with the reason"
)]

mod api;
mod bots;
mod callbacks;
mod claims;
mod cli;
mod commit_retry;
mod conform;
mod dashboard;
mod docs;
mod engine;
mod events;
mod growth;
mod hostile;
mod idempotency;
mod memory;
mod net;
mod outbox;
mod pacing;
mod pages;
mod postgresql;
mod queue;
mod store;
mod test_app;
mod tidy;
mod v1;
mod webhooks;
mod wire;
