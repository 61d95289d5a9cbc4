//! What is owed to users' endpoints: claiming what is due, and writing down what came of it.
//!
//! A delivery that this process has in memory is leased: its `run_at` lies at the lease's end, so that looking for due rows
//! never wades through those in hand. One that waits for the delivery before it in its line is parked: its `run_at` is
//! out of reach until that one has ended.

mod callbacks;
mod claim;
mod list;
mod log;
mod posted;
mod replay;
mod settle;
mod waiting;
mod webhooks;

use url::Url;
use waviro_link::{Chat, MessageId};

use crate::clock::Millis;

pub use list::DeliveryAfter;
pub use log::{AttemptRow, DeliveryFilter, DeliveryKind, DeliveryRow};
pub use posted::Lost;
pub use replay::{Replay, Replayed, Replaying};
pub use settle::Trouble;
pub use webhooks::{Heard, Hook, Webhook};

pub(super) use callbacks::{Owed, insert as insert_callbacks};
pub(super) use posted::{Posted, apply as apply_posted};
pub(super) use webhooks::{Replying, apply_replies, insert as insert_hooks};

/// A callback's kind: the changes of a message's ack.
const NOTIFY_ACK: &str = "notify_ack";

/// A keyword's webhook.
pub(super) const KEYWORD: &str = "keyword";

/// An event for a subscription.
pub(super) const EVENT: &str = "event";

/// A lease ends after this even if its process forgot the row: a day, far above what a full queue in memory takes with every
/// request running into its deadline. A restart ends leases at once.
const LEASE: Millis = 86_400_000;

/// The `run_at` of what waits for its line.
const PARKED: Millis = Millis::MAX;

/// The stage of a callback whose endpoint said 410: above every ack, so nothing is ever due again.
const ENDED: i64 = 4;

/// A delivery in this process's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The row.
    pub id: i64,
    /// The bot's slot.
    pub slot: i32,
    /// Where to.
    pub url: Url,
    /// Failed attempts at this stage.
    pub attempts: i64,
    /// What it is. Bodies stay in the database: a backlog may be long.
    pub work: Work,
}

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Changes of a message's ack, to its notifyurl.
    Callback(Callback),
    /// An inbound text, to a rule's URL; the answer goes to this chat.
    Webhook {
        /// The chat that wrote.
        chat: Chat,
    },
    /// An event, to a subscription's URL.
    Event,
}

/// The stages of one message's callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Of which message.
    pub message: MessageId,
    /// The lowest stage not yet posted.
    pub stage: i8,
    /// How far the message is known to have come.
    pub ack: i8,
    /// A stage of this message was given up before.
    pub lossy: bool,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A 2xx.
    Delivered,
    /// The retry table is used up.
    GivenUp,
    /// The endpoint said 410.
    Gone,
    /// Its rule or subscription is no more.
    Cancelled,
}

/// One attempt, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Millis,
    /// Where to.
    pub url: String,
    /// The endpoint's answer; `None` where there was none.
    pub status: Option<u16>,
    /// From the call to the last byte, or to the failure.
    pub took_ms: i64,
    /// Who was dialled.
    pub address: Option<String>,
    /// The beginning of the answer's body.
    pub answer: String,
    /// Why it does not count as delivered; `None` where it does.
    pub cause: Option<String>,
}

/// `scheme://host:port`: endpoints that share a queue and a cap.
#[must_use]
pub fn lane(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or(""))
}

impl Due {
    /// What must not be under way twice at a time; `None` where order means nothing beyond the row itself.
    #[must_use]
    pub fn alone_in(&self) -> Option<(i32, &Chat)> {
        match &self.work {
            Work::Webhook { chat } => Some((self.slot, chat)),
            Work::Callback(_) | Work::Event => None,
        }
    }
}

impl Callback {
    /// What a stage is posted under and as: its webhook id and its body.
    #[must_use]
    pub fn posting(message: &str, stage: i64) -> (String, String) {
        let body = format!(r#"{{"msgid":"{message}","ack":{stage}}}"#);
        (format!("{message}.{stage}"), body)
    }

    /// The stage to post now; `None` where all is said. -1 overtakes what was not posted yet: the 200 already said 0.
    #[must_use]
    pub fn next(&self) -> Option<i8> {
        if self.ack < 0 {
            Some(-1)
        } else {
            (self.stage <= self.ack).then_some(self.stage)
        }
    }
}

impl Fate {
    /// As the row says it.
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
