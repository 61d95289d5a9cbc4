//! Tests of the contract of the store, on SQLite and PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics with the reason"
)]

mod causes;
mod growth;
mod postgresql;
mod store;
