//! Tests of the simulator with the unmodified client.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test panics with the reason"
)]

mod asking;
mod client;
mod control;
mod dictionary;
mod doing;
mod faults;
mod groups;
mod handshake;
mod looking;
mod media;
mod media_host;
mod messages;
mod page;
mod pairing;
mod restart;
mod sending;
mod tls;
