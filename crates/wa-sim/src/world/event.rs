//! The events of the simulator, for tests and for the event stream of the control API.

use serde::{Deserialize, Serialize};

use crate::handshake::Pattern;

/// The number of events that a slow subscriber can be behind. After more, the subscriber loses the
/// oldest events.
pub(crate) const BACKLOG: usize = 16_384;

/// An event in the simulator. A device is named `number:device`, a person by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SimEvent {
    /// A connection ended before its Noise handshake was complete.
    HandshakeFailed {
        /// The reason.
        reason: String,
    },
    /// A phone scanned or entered a code, and the companion accepted the link.
    Paired {
        /// The new companion.
        device: String,
    },
    /// A companion logged in.
    LoggedIn {
        /// The companion.
        device: String,
        /// The pattern of the Noise handshake.
        handshake: Pattern,
    },
    /// A login was refused.
    LoginRefused {
        /// The device in the login.
        device: String,
        /// The `<failure reason>` sent to the client.
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
    /// The server read a message stanza of a companion. No fault has been applied yet.
    Stanza {
        /// The stanza's id.
        id: String,
        /// The companion that sent the stanza.
        from: String,
        /// The chat, as a number or group id. For a message to the own phone, the number of the
        /// phone.
        to: String,
    },
    /// The server acknowledged a message stanza.
    Acked {
        /// The stanza's id.
        id: String,
        /// The companion that sent the stanza.
        device: String,
        /// The error code of a negative ack.
        error: Option<u16>,
    },
    /// The server forwarded a receipt.
    Receipt {
        /// The message's id.
        id: String,
        /// The sender of the receipt.
        from: String,
        /// The receiver of the receipt, a device or a number.
        to: String,
        /// `delivered`, `read`, `played`, `retry` and so on.
        kind: String,
    },
    /// A phone shows a new message.
    PhoneMessage {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
        /// The chat.
        chat: String,
        /// The sender's number.
        from: String,
        /// The kind of the message.
        kind: String,
    },
    /// A phone got a message a second time, and dropped the copy.
    Duplicate {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A phone could not decrypt a copy of a message, and sent a retry receipt.
    Undecryptable {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A phone got a ciphertext with a used message key, and does not show the message. The message
    /// is lost.
    KeyReused {
        /// The phone.
        phone: String,
        /// The message's id.
        id: String,
    },
    /// A companion acknowledged a queued message, so the server removed the message from the queue.
    Taken {
        /// The companion.
        device: String,
        /// The message's id.
        id: String,
    },
    /// A companion started or stopped typing in a chat.
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
    /// A phone was switched on or off, got other habits, or opened a chat.
    PhoneChanged {
        /// The phone.
        phone: String,
    },
    /// A group was created or changed.
    GroupChanged {
        /// The group's id.
        group: String,
    },
    /// The list of waiting clients changed: a client without an account connected, requested an
    /// eight-character code, or stopped waiting.
    Waiting {
        /// The number of waiting clients.
        count: usize,
    },
    /// A companion sent an `<iq>` request.
    Iq {
        /// The companion.
        device: String,
        /// `xmlns/type/child`, as counted by [`Sim::iq_counts`](crate::Sim::iq_counts).
        kind: String,
    },
}
