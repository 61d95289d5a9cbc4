//! What a log can say.

use serde::{Deserialize, Serialize};

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the log began.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// The load asks for a message. Requests of one face are the same content to the same chat, side by side.
    Asked {
        /// The request.
        request: u64,
        /// What the phones should show.
        face: String,
        /// Which phones.
        phones: Vec<String>,
        /// Whether callbacks are wanted.
        notify: bool,
    },
    /// The gateway answered 200.
    Accepted {
        /// The request.
        request: u64,
        /// The id that it gave.
        id: String,
    },
    /// The gateway answered anything else.
    Refused {
        /// The request.
        request: u64,
        /// The HTTP status.
        status: u16,
    },
    /// The connection ended without an answer.
    Unanswered {
        /// The request.
        request: u64,
    },
    /// The server read a message stanza of a bot's device.
    Framed {
        /// The stanza's id.
        id: String,
    },
    /// The server acknowledged it, or refused it with a code.
    ServerAcked {
        /// The stanza's id.
        id: String,
        /// The code of a refusal.
        error: Option<u16>,
    },
    /// A phone shows a message of a bot.
    Shown {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
        /// What it shows.
        face: String,
    },
    /// A phone gave a receipt for a message, for the bot's device: 2 delivered, 3 read.
    Reached {
        /// The message's id.
        id: String,
        /// The stage.
        stage: i64,
    },
    /// The receiver took a callback with a 2xx.
    Told {
        /// The message's id.
        id: String,
        /// The stage.
        ack: i64,
    },
    /// A customer wrote something that a webhook answers with these messages, in this order.
    Question {
        /// What was written.
        face: String,
        /// Who wrote.
        phone: String,
        /// What the phone should show of the answer.
        answers: Vec<String>,
    },
    /// An endpoint was told as an event of what a customer wrote.
    Heard {
        /// What was written.
        face: String,
    },
    /// So many calls to the endpoint were under way at one time at most.
    Crowd {
        /// How many.
        most: usize,
    },
    /// A ciphertext used a message key that another one had used.
    KeyReused {
        /// The message's id.
        id: String,
    },
    /// So many things happened that the log does not have.
    Missed {
        /// How many.
        count: u64,
    },
    /// Something was done to the gateway or around it.
    Fault {
        /// What, in words.
        what: String,
    },
    /// How things stand when nothing waits any more, or it was waited for long enough.
    Settled {
        /// Messages that have neither been acked nor failed.
        pending: i64,
        /// Deliveries that have not ended.
        owed: i64,
        /// Stanzas that the server still holds for the bots.
        untaken: i64,
        /// Whether the database says that it is sound.
        sound: bool,
    },
}
