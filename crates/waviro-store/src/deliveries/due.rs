//! A delivery in memory: its kind, its work and its final state.

use url::Url;
use waviro_link::{Chat, MessageId};

use crate::clock::Millis;
use crate::error::StoreError;

/// The time from a claim to the `run_at` of the leased row: a day, so that a query for due rows
/// does not scan the rows in memory. The time alone never ends a lease, because a claim requires
/// `leased = 0`. A restart ends all leases.
pub(super) const LEASE: Millis = 86_400_000;

/// The `run_at` of a delivery that waits for its line.
pub(super) const PARKED: Millis = Millis::MAX;

/// The stage of a callback whose endpoint answered 410. The stage is above every ack, so the
/// callback is never due again.
pub(super) const ENDED: i64 = 4;

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

/// The kind of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// Changes of a message's ack.
    Callback,
    /// An inbound text, to a rule's URL.
    Keyword,
    /// An event, to a subscription's URL.
    Event,
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

impl DeliveryKind {
    pub(super) const ALL: [Self; 3] = [Self::Callback, Self::Keyword, Self::Event];

    /// The value stored in the row.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Callback => "notify_ack",
            Self::Keyword => "keyword",
            Self::Event => "event",
        }
    }

    pub(super) fn of(word: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|kind| kind.word() == word);
        known.ok_or_else(|| StoreError::Unreadable(format!("a delivery of kind {word}")))
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

    pub(super) fn of(word: &str) -> Result<Self, StoreError> {
        let all = [Self::Delivered, Self::GivenUp, Self::Gone, Self::Cancelled];
        let known = all.into_iter().find(|outcome| outcome.word() == word);
        known.ok_or_else(|| StoreError::Unreadable(format!("a delivery that ended {word}")))
    }
}
