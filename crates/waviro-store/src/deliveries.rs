//! Deliveries to users' endpoints: claiming due rows and recording the results.
//!
//! A delivery in the memory of the running process is leased. Its `run_at` is a day ahead, so a
//! query for due rows does not scan the leased rows. A delivery that waits for an earlier delivery
//! of its line is parked: its `run_at` is the maximum until the earlier delivery has ended.

mod attempt;
mod callbacks;
mod claim;
mod due;
mod list;
mod log;
mod posted;
mod replay;
mod reply_note;
mod settle;
mod waiting;
mod webhooks;

pub use attempt::{Attempt, AttemptCause, AttemptFailure};
pub(crate) use callbacks::{NewCallback, insert as insert_callbacks};
pub use due::{Callback, DeliveryKind, DeliveryOutcome, Due, Work, endpoint_of};
pub use list::DeliveryAfter;
pub use log::{AttemptRow, DeliveryFilter, DeliveryRow};
pub use posted::Lost;
pub(crate) use posted::apply as apply_posted;
pub use replay::{Replay, Replayed, Replaying};
pub use reply_note::{ReplyNote, ReplyOutcome};
pub use settle::EndpointFailure;
pub use webhooks::{Hook, Webhook, WebhookAnswer};
pub(crate) use webhooks::{apply_replies, insert as insert_hooks};
