//! Tests of the gateway without HTTP, over a fake link.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics with the reason"
)]

mod bots;
mod callbacks;
mod claims;
mod commit_retry;
mod events;
mod net;
mod outbox;
mod pacing;
mod queue;
mod webhooks;
