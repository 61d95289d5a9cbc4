//! The entries of a log.

use serde::{Deserialize, Serialize};

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the start of the log.
    pub at: u64,
    /// The observed fact.
    #[serde(flatten)]
    pub seen: Seen,
}

/// The kinds of observations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// The load requests a message. Concurrent requests with the same face have the same content
    /// and the same chat.
    Requested {
        /// The request's number.
        request: u64,
        /// The expected face on the phones.
        face: String,
        /// The phones that should show the message.
        phones: Vec<String>,
        /// True if the request asks for callbacks.
        notify: bool,
    },
    /// The gateway answered 200.
    Accepted {
        /// The request's number.
        request: u64,
        /// The id in the answer.
        id: String,
    },
    /// The gateway answered with another status.
    Refused {
        /// The request's number.
        request: u64,
        /// The HTTP status of the refusal.
        status: u16,
    },
    /// The connection ended without an answer.
    Unanswered {
        /// The request's number.
        request: u64,
    },
    /// The server received a message stanza from a bot's device.
    Framed {
        /// The stanza's id.
        id: String,
    },
    /// The server acknowledged the stanza, or refused the stanza with an error code.
    ServerAcked {
        /// The stanza's id.
        id: String,
        /// The error code of a refusal.
        error: Option<u16>,
    },
    /// A phone shows a message from a bot.
    Shown {
        /// The phone's number.
        phone: String,
        /// The message's id.
        id: String,
        /// The content on the phone.
        face: String,
    },
    /// A phone sent the bot's device a receipt for a message: 2 delivered, 3 read.
    Reached {
        /// The message's id.
        id: String,
        /// The stage: 2 or 3.
        stage: i64,
    },
    /// The receiver answered a callback with a 2xx status.
    CalledBack {
        /// The message's id.
        id: String,
        /// The reported stage.
        ack: i64,
    },
    /// A customer wrote a message; the webhook replies with these messages in this order.
    Question {
        /// The content of the customer's message.
        face: String,
        /// The customer's phone.
        phone: String,
        /// The faces of the expected reply on the phone.
        answers: Vec<String>,
    },
    /// A subscriber received the event for a customer's message.
    EventReceived {
        /// The content of the customer's message.
        face: String,
    },
    /// The highest number of concurrent calls to the endpoint.
    PeakCalls {
        /// The number of concurrent calls.
        calls: usize,
    },
    /// Two ciphertexts used the same message key.
    KeyReused {
        /// The id of the second message.
        id: String,
    },
    /// The log has lost this many observations.
    Missed {
        /// The number of lost observations.
        count: u64,
    },
    /// A fault was injected into the gateway or its surroundings.
    Fault {
        /// The description of the fault.
        what: String,
    },
    /// The state at the end of the run, when all queues are empty or the time limit has passed.
    Settled {
        /// Messages without an ack and without a failure.
        pending: i64,
        /// Unfinished deliveries.
        deliveries: i64,
        /// Stanzas that the server still holds for the bots.
        stanzas: i64,
        /// True if the database passes its integrity check.
        sound: bool,
    },
}
