//! The gateway without HTTP: bots, sending, deliveries, files and configuration.
//!
//! The crate accepts messages, sends them through the links of the bots, stores what arrives from
//! WhatsApp, and posts callbacks, webhooks and events to the users' endpoints. Requests of users
//! enter through `waviro-web`; this crate knows no routes, pages or sessions.

pub mod bots;
pub mod config;
pub mod disk;
pub mod events;
pub mod files;
pub mod idempotency;
pub mod jobs;
pub mod lenient_json;
pub mod limits;
pub mod net;
pub mod outbox;
pub mod permits;
pub mod private;
pub mod tokens;
pub mod users;
pub mod webhook_reply;
