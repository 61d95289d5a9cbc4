//! The gateway. The map of the rooms and the arrow between them stand in ARCHITECTURE.md.

pub mod clock;
pub mod config;
pub mod net;
