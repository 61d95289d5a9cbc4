//! The gateway. The map of the rooms and the arrow between them stand in ARCHITECTURE.md.

pub mod answer;
pub mod api;
pub mod app;
pub mod asset;
pub mod bots;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod docs;
pub mod door;
pub mod events;
pub mod files;
pub mod health;
pub mod jobs;
pub mod keyword;
pub mod lifecycle;
pub mod listener;
pub mod net;
pub mod once;
pub mod outbox;
pub mod store;
pub mod telemetry;
pub mod tokens;
pub mod users;
pub mod v1;
