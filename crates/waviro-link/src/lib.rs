//! The gateway's view of a linked WhatsApp device: the whole contract in one file.
//!
//! The gateway uses WhatsApp through three traits and the plain types of [`message`], [`inbound`]
//! and [`status`]. No type of the client library appears in the contract. [`Connector`] opens
//! links, [`Link`] is the companion device of one bot, and [`Listener`] receives the events of a
//! link. There are two implementations: [`whatsapp`], over whatsapp-rust, and [`fake`], for tests
//! without a network.
//!
//! The gateway's guarantees rest on three rules of the contract:
//! - If `send` returns `Ok`, the message is *written to a socket*. Only [`Listener::server_ack`]
//!   means that WhatsApp accepted the message.
//! - [`Listener::inbound`] and [`Listener::receipt`] return after their commit. The link
//!   acknowledges a stanza to WhatsApp only after the commit, and WhatsApp redelivers stanzas
//!   without an acknowledgement.
//! - A person is named by a phone number, or by a hidden id (LID) if WhatsApp hides the number.
//!   Devices and servers are not part of the contract.
#![warn(missing_docs)]

pub mod content;
pub mod dial;
pub mod fake;
pub mod inbound;
pub mod message;
pub mod nack;
pub mod status;
pub mod whatsapp;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

pub use content::*;
pub use dial::{DialFailure, DialStep, OfflineCause};
pub use inbound::{
    Call, Card, GroupChange, GroupEvent, Inbound, InboundKind, InboundMedia, InboundMediaKind,
    MediaHandle,
};
pub use message::{
    Chat, Group, GroupId, MessageId, Number, Outgoing, Receipt, ReceiptLevel, Sender, ServerAck,
    Verdict,
};
pub use nack::Nack;
pub use status::{Evidence, Identity, QrCode, Status, UnlinkedCause};

/// Opens links. A process has one connector; its links share the store, the HTTP client and TLS.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Opens the device of `bot_id`: reconnects a linked device, and leaves any other device
    /// [`Status::Unlinked`] until [`Link::start_linking`]. Never waits for the network.
    ///
    /// `bot_id` is the device's stable key in the link store: positive, one per bot, never reused
    /// for another bot.
    ///
    /// # Errors
    /// [`LinkError::Store`] if the device's keys cannot be read.
    async fn open(
        &self,
        bot_id: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<dyn Link>, LinkError>;

    /// Removes all keys of `bot_id` from the link store. The link must be closed.
    ///
    /// # Errors
    /// [`LinkError::Store`] if the rows cannot be removed.
    async fn forget(&self, bot_id: i32) -> Result<(), LinkError>;
}

/// The companion device of one bot.
#[async_trait]
pub trait Link: Send + Sync {
    /// Returns a receiver of the current status and of each change.
    fn status(&self) -> watch::Receiver<Status>;

    /// Returns the account that the device is linked to; `None` if the device is not linked.
    fn identity(&self) -> Option<Identity>;

    /// Starts linking: the link publishes QR codes in [`Status::Linking`]. Linking ends when
    /// WhatsApp has no further code ([`UnlinkedCause::CodesUsedUp`]). The call does nothing while
    /// codes are shown or while the device is linked and working. If the device was logged out or
    /// refused, the call first wipes the dead keys.
    ///
    /// # Errors
    /// [`LinkError::Store`] if fresh keys cannot be written.
    async fn start_linking(&self) -> Result<(), LinkError>;

    /// Returns an eight-character code to type on the phone instead of scanning a QR code. Linking
    /// must have been started.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::Refused`] with WhatsApp's reason,
    /// [`LinkError::TimedOut`].
    async fn pairing_code(&self, number: &Number) -> Result<String, LinkError>;

    /// Encrypts one message and writes it to the socket under the message's own id. `Ok` means
    /// "written", not "accepted".
    ///
    /// The caller may send the same message again if no ack is known. `again` says that the earlier
    /// attempt, and later messages to the same chat, may have been lost. The lost messages may have
    /// carried the group's sender key, so the link distributes the sender key again.
    ///
    /// # Errors
    /// After [`LinkError::Offline`], [`LinkError::TimedOut`] and [`LinkError::Failed`] the caller
    /// may retry with the same id. [`LinkError::Denied`] and [`LinkError::Refused`] are final.
    async fn send(&self, message: &Outgoing, again: bool) -> Result<(), LinkError>;

    /// Asks WhatsApp if a number is registered. Each call is one round trip to WhatsApp, so callers
    /// cache.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`], [`LinkError::Failed`] with WhatsApp's error
    /// (such as a rate limit), [`LinkError::Refused`] if the library cannot look up the number.
    async fn is_registered(&self, number: &Number) -> Result<bool, LinkError>;

    /// Returns all groups with the device as a member. Each call is one round trip, rate-limited by
    /// WhatsApp, so callers cache.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`], [`LinkError::Failed`] with WhatsApp's error
    /// (such as a rate limit).
    async fn groups(&self) -> Result<Vec<Group>, LinkError>;

    /// Returns false if the device knows the number under another LID, else true. The device may
    /// know no LID of the number: the client library writes a new pair of number and LID in the
    /// background, so a killed process can lose the pair. Never asks WhatsApp.
    async fn may_be(&self, lid: &str, number: &Number) -> bool;

    /// Shows in a chat that the bot types, or has stopped typing. The recipient's phone hides the
    /// sign after about 25 seconds. WhatsApp does not queue the sign for an offline recipient.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`], [`LinkError::Failed`].
    async fn typing(&self, to: &Chat, on: bool) -> Result<(), LinkError>;

    /// Downloads a received file, decrypts it and checks its hash. The file `to` is created with
    /// mode 0600 and appears only when the content is complete; `to` with the suffix `.part` holds
    /// the unfinished content. If WhatsApp no longer has the file, the link asks the owner's phone
    /// to upload the file again.
    ///
    /// # Errors
    /// The caller may retry after [`LinkError::Offline`], [`LinkError::TimedOut`] (also if the
    /// phone is off) and [`LinkError::Failed`]. [`LinkError::Refused`] is final: the file is gone,
    /// is larger than 100 MiB, or differs from the sender's description.
    async fn download(&self, handle: &MediaHandle, to: &Path) -> Result<(), LinkError>;

    /// Returns the times that show if the connection is alive.
    fn evidence(&self) -> Evidence;

    /// Closes the connection and dials again at once. The gateway calls this method if a link looks
    /// alive but nothing arrives.
    async fn reconnect(&self);

    /// Unlinks the device at WhatsApp and ends the link. The keys stay until [`Connector::forget`].
    async fn logout(&self);

    /// Ends the link after writing its state; the device stays linked. Takes at most `within`.
    async fn close(&self, within: Duration);
}

/// Receives the events of one bot's link. The link may call methods concurrently and in any order;
/// the gateway sorts the events. Calls and group changes are an exception: each call waits for the
/// previous one.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Reports a change of the status. Must return at once.
    fn status(&self, status: &Status);

    /// Reports that WhatsApp's server accepted or refused a message. The server does not repeat an
    /// ack. If an ack is lost, the gateway resends the message under the same id.
    async fn server_ack(&self, ack: ServerAck);

    /// Returns true if the receipt changes nothing in the gateway's store. The link then
    /// acknowledges the receipt at once and does not call [`Listener::receipt`]. The method exists
    /// because a large group sends thousands of receipts with the same content. It must return at
    /// once, so it may read memory only.
    fn knows(&self, receipt: &Receipt) -> bool {
        let _ = receipt;
        false
    }

    /// Reports that a recipient's device received, read or played messages. The link acknowledges
    /// the receipt to WhatsApp after `Ok`.
    ///
    /// # Errors
    /// After [`NotCommitted`] the receipt stays with WhatsApp, and WhatsApp redelivers it on the
    /// next connection.
    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted>;

    /// Reports that the device joined or left a group, or that a group changed: the last answer of
    /// [`Link::groups`] is out of date. Must return at once.
    fn groups_changed(&self);

    /// Reports a change of a group, including changes by the bot itself on any of its devices.
    /// WhatsApp does not wait for the commit: a change that the gateway does not store is lost.
    async fn group_changed(&self, change: GroupChange);

    /// Reports an incoming call, once for each call, including a call that ended before the device
    /// came back. WhatsApp does not wait for the commit.
    async fn call(&self, call: Call);

    /// Delivers inbound messages in order. The batch is committed as a whole or not at all. A batch
    /// may repeat after a crash. The method must not send anything.
    ///
    /// # Errors
    /// After [`NotCommitted`] the whole batch stays with WhatsApp, and WhatsApp redelivers it.
    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted>;

    /// Returns the ids that [`Listener::inbound`] never committed. The link asks after WhatsApp
    /// redelivered messages that the client library treats as duplicates. For each unknown id the
    /// link asks the sender to send the message again.
    ///
    /// # Errors
    /// [`NotCommitted`] if the gateway cannot read its store; the link asks again after the next
    /// login.
    async fn unknown(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, NotCommitted>;
}

/// An error of the gateway's store: the stanza stays with WhatsApp.
#[derive(Debug, thiserror::Error)]
#[error("not committed: {0}")]
pub struct NotCommitted(pub String);

/// An error of a link operation.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no connection. The caller may retry at [`Status::Online`].
    #[error("the link is not connected")]
    Offline,
    /// WhatsApp did not answer in time. The effect is unknown, so a retry must use the same id.
    #[error("WhatsApp did not answer in time")]
    TimedOut,
    /// The client library failed for a reason that may pass. The effect is unknown, so a retry must
    /// use the same id. The text is for logs, in English.
    #[error("failed: {0}")]
    Failed(String),
    /// WhatsApp answered a query with a final error, for example because the group is gone.
    #[error("refused: {code} {text}")]
    Denied {
        /// WhatsApp's error code.
        code: u16,
        /// WhatsApp's text.
        text: String,
    },
    /// The client library or the gateway refused for good. The text is for logs, in English.
    #[error("refused: {0}")]
    Refused(String),
    /// The link store failed.
    #[error("link store: {0}")]
    Store(String),
}
