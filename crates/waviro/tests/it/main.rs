//! What the gateway promises, tested without a wire.

mod bots;
mod callbacks;
mod engine;
mod outbox;
mod postgresql;
mod queue;
mod store;
