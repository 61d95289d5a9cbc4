//! What happened, for whoever watches: tests, the event stream of the control API, an oracle.

use serde::{Deserialize, Serialize};

use crate::handshake::Pattern;

/// How many events a slow reader may fall behind before it loses the oldest ones.
pub(crate) const BACKLOG: usize = 16_384;

/// One thing that the simulator saw or did. Devices are named `number:device`, people by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SimEvent {
    /// A connection ended before it was secured.
    HandshakeFailed {
        /// Why.
        reason: String,
    },
    /// A phone scanned a code (or entered one) and the companion accepted.
    Paired {
        /// The new companion.
        device: String,
    },
    /// A companion logged in.
    LoggedIn {
        /// The companion.
        device: String,
        /// How its Noise handshake went.
        handshake: Pattern,
    },
    /// A login was refused.
    LoginRefused {
        /// The device that the login named.
        device: String,
        /// The `<failure reason>` it got.
        reason: u16,
    },
    /// A companion's connection ended.
    Disconnected {
        /// The companion.
        device: String,
    },
    /// A companion was unlinked.
    LoggedOut {
        /// The companion.
        device: String,
    },
    /// The server read a message stanza of a companion, before any fault acts on it.
    Stanza {
        /// The stanza's id.
        id: String,
        /// The companion that sent it.
        from: String,
        /// The chat: number or group id; for a message to the own phone its number.
        to: String,
    },
    /// The server acknowledged a message stanza.
    Acked {
        /// The stanza's id.
        id: String,
        /// The companion that sent it.
        device: String,
        /// The error code of a nack.
        error: Option<u16>,
    },
    /// A receipt was passed on.
    Receipt {
        /// The message's id.
        id: String,
        /// Who gives it.
        from: String,
        /// The device or number that gets it.
        to: String,
        /// `delivered`, `read`, `played`, `retry` and so on.
        kind: String,
    },
    /// A phone shows a message.
    PhoneMessage {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
        /// Its chat.
        chat: String,
        /// The sender's number.
        from: String,
        /// Its kind.
        kind: String,
    },
    /// A phone got a message that it already shows, and dropped it.
    Duplicate {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A phone could not decrypt a copy of a message, and asks for another.
    Undecryptable {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A phone got a ciphertext whose message key another one had used, of a message that it does not show: it is lost to it.
    KeyReused {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A companion acknowledged a message that was queued for it: it is off the queue.
    Taken {
        /// The companion.
        device: String,
        /// The message's id.
        id: String,
    },
    /// A companion shows in a chat that it types, or stopped.
    ChatState {
        /// The companion.
        device: String,
        /// The chat.
        chat: String,
        /// `composing` or `paused`.
        state: String,
    },
    /// A phone was added.
    PhoneAdded {
        /// The phone.
        phone: String,
    },
    /// A phone was switched on or off, has other habits, or a chat of it was opened.
    PhoneChanged {
        /// The phone.
        phone: String,
    },
    /// A group was made or changed.
    GroupChanged {
        /// The group's id.
        group: String,
    },
    /// A client connected that belongs to no account, asked for a code to be typed, or is no longer waiting for either.
    Waiting {
        /// How many clients wait now.
        count: usize,
    },
    /// A companion asked the server something.
    Iq {
        /// The companion.
        device: String,
        /// `xmlns/type/child`, as counted by [`Sim::iq_counts`](crate::Sim::iq_counts).
        kind: String,
    },
}
