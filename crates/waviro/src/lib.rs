//! The gateway. The map of the rooms and the arrow between them stand in ARCHITECTURE.md.

pub mod bots;
pub mod clock;
pub mod config;
pub mod events;
pub mod jobs;
pub mod net;
pub mod outbox;
pub mod store;
