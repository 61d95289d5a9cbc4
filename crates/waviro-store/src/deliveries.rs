//! Deliveries to users' endpoints: claiming due rows and recording the results.
//!
//! A delivery in the memory of the running process is leased. Its `run_at` is a day ahead, so a
//! query for due rows does not scan the leased rows. A delivery that waits for an earlier delivery
//! of its line is parked: its `run_at` is the maximum until the earlier delivery has ended.

mod callbacks;
mod claim;
mod failure;
mod list;
mod log;
mod posted;
mod replay;
mod reply_note;
mod settle;
mod waiting;
mod webhooks;

use url::Url;
use waviro_link::{Chat, MessageId};

use crate::clock::Millis;

pub use failure::{AttemptCause, AttemptFailure};
pub use list::DeliveryAfter;
pub use log::{AttemptRow, DeliveryFilter, DeliveryKind, DeliveryRow};
pub use posted::Lost;
pub use replay::{Replay, Replayed, Replaying};
pub use reply_note::{ReplyNote, ReplyOutcome};
pub use settle::EndpointFailure;
pub use webhooks::{Hook, Webhook, WebhookAnswer};

pub(super) use callbacks::{NewCallback, insert as insert_callbacks};
pub(super) use posted::{Posted, apply as apply_posted};
pub(super) use webhooks::{Replying, apply_replies, insert as insert_hooks};

/// The kind of callbacks: changes of a message's ack.
const NOTIFY_ACK: &str = "notify_ack";

/// The kind of webhooks for a keyword.
pub(super) const KEYWORD: &str = "keyword";

/// The kind of events for a subscription.
pub(super) const EVENT: &str = "event";

/// The time from a claim to the `run_at` of the leased row: a day, so that a query for due rows
/// does not scan the rows in memory. The time alone never ends a lease, because a claim requires
/// `leased = 0`. A restart ends all leases.
const LEASE: Millis = 86_400_000;

/// The `run_at` of a delivery that waits for its line.
const PARKED: Millis = Millis::MAX;

/// The stage of a callback whose endpoint answered 410. The stage is above every ack, so the
/// callback is never due again.
const ENDED: i64 = 4;

/// A delivery in the memory of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The id of the row.
    pub id: i64,
    /// The bot id.
    pub bot_id: i32,
    pub url: Url,
    /// The number of failed attempts at the current stage.
    pub attempts: i64,
    /// The kind of delivery. Bodies stay in the database, because a backlog may be long.
    pub work: Work,
}

/// The kind of a delivery with its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Changes of a message's ack, posted to the `notifyurl`.
    Callback(Callback),
    /// An inbound text, posted to a rule's URL. The webhook reply goes to `chat`.
    Webhook {
        /// The chat of the inbound text.
        chat: Chat,
    },
    /// An event, posted to a subscription's URL.
    Event,
}

/// The callback of one message. Its stages are the acks to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    pub message: MessageId,
    /// The lowest ack not yet posted.
    pub stage: i8,
    /// The known ack of the message.
    pub ack: i8,
    /// At least one stage of the callback was given up.
    pub lossy: bool,
}

/// The final state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The endpoint answered with a 2xx status.
    Delivered,
    /// All retries failed.
    GivenUp,
    /// The endpoint answered 410.
    Gone,
    /// The rule or the subscription was deleted or disabled.
    Cancelled,
}

/// An attempt, as stored in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The start time.
    pub at: Millis,
    pub url: String,
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// The time from the request to the last byte of the response, or to the failure.
    pub took_ms: i64,
    /// The network address of the connection.
    pub address: Option<String>,
    /// The beginning of the response body.
    pub answer: String,
    /// The failure; `None` for a success.
    pub failure: Option<AttemptFailure>,
}

/// Returns the endpoint of a URL, `scheme://host:port`. All deliveries to the endpoint share a
/// queue and a limit.
#[must_use]
pub fn endpoint_of(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or(""))
}

impl Due {
    /// Returns the bot and the chat of a webhook: only one webhook of a chat runs at a time. `None`
    /// for callbacks and events.
    #[must_use]
    pub fn alone_in(&self) -> Option<(i32, &Chat)> {
        match &self.work {
            Work::Webhook { chat } => Some((self.bot_id, chat)),
            Work::Callback(_) | Work::Event => None,
        }
    }
}

impl Work {
    /// Returns the name of the kind, for the log and the metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Callback(_) => "callback",
            Self::Webhook { .. } => "webhook",
            Self::Event => "event",
        }
    }
}

impl Attempt {
    /// The column `cause`, and `last_error` of a delivery.
    pub(super) fn text(&self) -> Option<String> {
        self.failure.as_ref().map(|failure| failure.text.clone())
    }

    /// The column `cause_code`, and `last_error_code` of a delivery.
    pub(super) fn code(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.cause.code())
    }

    /// The column `last_status` of a delivery.
    fn failed_status(&self) -> Option<i64> {
        let status = self.failure.as_ref()?.cause.status();
        status.map(i64::from)
    }
}

impl Callback {
    /// Returns the webhook id and the body of a stage.
    #[must_use]
    pub fn posting(message: &str, stage: i64) -> (String, String) {
        let body = format!(r#"{{"msgid":"{message}","ack":{stage}}}"#);
        (format!("{message}.{stage}"), body)
    }

    /// Returns the stage to post next; `None` if every stage is posted. -1 replaces all stages not
    /// posted yet. Stage 0 may be replaced too, because the response 200 already reported ack 0.
    #[must_use]
    pub fn next(&self) -> Option<i8> {
        if self.ack < 0 {
            Some(-1)
        } else {
            (self.stage <= self.ack).then_some(self.stage)
        }
    }
}

impl DeliveryOutcome {
    /// The value stored in the row.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
            Self::Cancelled => "cancelled",
        }
    }
}
