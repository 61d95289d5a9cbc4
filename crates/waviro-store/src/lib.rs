//! The database layer: all SQL of the gateway and nothing else. The default is SQLite; a
//! `postgres://` URL selects PostgreSQL. Each statement has the same text for both.
//!
//! Every change goes through one writer (`writer.rs`). Callers send commands to the writer.
//! The writer applies all waiting commands in one transaction, commits, and only then answers each
//! command. An `Ok` therefore means a durable change, and under load many callers share one fsync.
//! Reads use a small pool of their own.
//!
//! SQLite runs with `journal_mode=WAL` and `synchronous=FULL`, so every answered commit survives a
//! power cut.

mod acks;
mod background;
mod bots;
pub mod clock;
mod command;
mod counts;
mod database;
mod deliveries;
mod error;
mod events;
mod evidence;
mod idempotency;
mod inbound;
mod installation;
pub mod invisible;
mod journal;
pub mod keyword;
mod log;
mod messages;
mod names;
mod numbers;
mod open;
pub mod panics;
mod retention;
mod row;
mod rules;
mod search;
mod secrets;
mod sources;
mod sql;
mod store;
mod subscriptions;
mod tokens;
mod users;
mod writer;

pub use acks::{AckUpdate, CommitFeeds, Reader};
pub use bots::{AddBot, BotRow, PreviousKey, Renaming, SetKey};
pub use counts::Counts;
pub use database::DatabaseAt;
pub use deliveries::{
    Attempt, AttemptCause, AttemptFailure, AttemptRow, Callback, DeliveryAfter, DeliveryFilter,
    DeliveryKind, DeliveryOutcome, DeliveryRow, Due, EndpointFailure, Hook, Lost, Replay, Replayed,
    Replaying, ReplyNote, ReplyOutcome, Webhook, WebhookAnswer, Work, endpoint_of,
};
pub use error::StoreError;
pub use events::{Audience, EventKind, EventRow, Kinds, Listening, NewEvent, event_id};
pub use evidence::Evidence;
pub use idempotency::{KeepingAnswer, KeptAnswer};
pub use inbound::{Detail, FileDetail, MediaRow, NewInboundRow, StoredInbound, address, media_id};
pub use journal::beginning;
pub use log::{InboundAfter, InboundRow, LogFilter, SentAfter, SentRow};
pub use messages::{
    Accepting, Committed, MessageCause, MessageFailure, MessageRow, NewMessageRow, Queued, Repeats,
};
pub use open::Schema;
pub use retention::{RetentionLimits, Sweep, Swept};
pub use rules::{AddRule, MAX_RULES, NewRule, RuleChange, RuleRow};
pub use search::Found;
pub use secrets::SecretsRow;
pub use store::Store;
pub use subscriptions::{MAX_SUBSCRIPTIONS, NewSubscription, SubscriptionChange, SubscriptionRow};
pub use tokens::{AddToken, TokenRole, TokenRow};
pub use users::{AddUser, ChangeUser, UserChange, UserRole, UserRow};
