//! A linked device as the gateway sees it: the contract on one screen.
//!
//! The gateway knows WhatsApp through three traits and the plain types of [`message`], [`inbound`] and [`status`]; nothing of
//! the client library shows through. [`Connector`] opens links, [`Link`] is one bot's companion device, and
//! [`Listener`] is how the gateway hears of what happened. There is one real implementation ([`whatsapp`], over
//! whatsapp-rust) and [`fake`], for tests that need no wire.
//!
//! Three rules of the contract carry the gateway's promises:
//! - `send` returning `Ok` means *written to a socket*. Only [`Listener::server_ack`] means accepted.
//! - [`Listener::inbound`] and [`Listener::receipt`] return after their commit: WhatsApp gets its own ack only then,
//!   and delivers again what was not committed.
//! - People are phone numbers here. LIDs, devices and servers stay behind the border.

pub mod content;
pub mod dial;
pub mod fake;
pub mod inbound;
pub mod message;
pub mod status;
pub mod whatsapp;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

pub use content::{Contact, Content, Location, Media, MediaKind, Preview};
pub use dial::{DialFailure, DialStep, OfflineCause};
pub use inbound::{
    Call, Card, GroupChange, GroupEvent, Inbound, InboundKind, InboundMedia, InboundMediaKind,
    MediaHandle,
};
pub use message::{
    Chat, Group, GroupId, MessageId, Number, Outgoing, Receipt, ReceiptLevel, Sender, ServerAck,
    Verdict,
};
pub use status::{Evidence, Identity, QrCode, Status, UnlinkedCause};

/// Opens links. One for the process; the links it opens share what can be shared (store, HTTP client, TLS).
#[async_trait]
pub trait Connector: Send + Sync {
    /// Brings the device of `slot` to life: reconnects it if it is linked, else leaves it [`Status::Unlinked`] until
    /// [`Link::start_linking`]. Never waits for the network.
    ///
    /// `slot` is the device's stable key in the link store, positive, one per bot, never used again for another bot.
    ///
    /// # Errors
    /// [`LinkError::Store`] where the device's keys cannot be read.
    async fn open(
        &self,
        slot: i32,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<dyn Link>, LinkError>;

    /// Removes every key of `slot` from the link store. The link must be closed.
    ///
    /// # Errors
    /// [`LinkError::Store`] where the rows cannot be removed.
    async fn forget(&self, slot: i32) -> Result<(), LinkError>;
}

/// One bot's companion device.
#[async_trait]
pub trait Link: Send + Sync {
    /// The state now and at each change.
    fn status(&self) -> watch::Receiver<Status>;

    /// Who the device is linked as; `None` where it is not linked.
    fn identity(&self) -> Option<Identity>;

    /// Starts showing QR codes, on [`Status::Linking`]. Ends by itself when WhatsApp has no further code
    /// ([`UnlinkedCause::CodesUsedUp`]). A no-op while codes are being shown or the device is linked and working; on a
    /// device that was logged out or refused it wipes the dead keys first.
    ///
    /// # Errors
    /// [`LinkError::Store`] where fresh keys cannot be written.
    async fn start_linking(&self) -> Result<(), LinkError>;

    /// An eight-character code to type on the phone instead of scanning; linking must have been started.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::Refused`] with WhatsApp's reason, [`LinkError::TimedOut`].
    async fn pairing_code(&self, number: &Number) -> Result<String, LinkError>;

    /// Encrypts and writes one message under the id it carries. May be called again with the same message where no
    /// ack is known: `again` says that this one, and what was written to its chat after it, may have been lost on the way. A group's
    /// key went out with one of them; it is handed out once more. `Ok` says "written", no more.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`] and [`LinkError::Failed`] are worth another try with the same
    /// id; [`LinkError::Refused`] is final.
    async fn send(&self, message: &Outgoing, again: bool) -> Result<(), LinkError>;

    /// Asks WhatsApp whether a number is registered. One round trip on the wire: callers cache.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`], [`LinkError::Refused`] (rate limit).
    async fn is_registered(&self, number: &Number) -> Result<bool, LinkError>;

    /// Every group the device is in. One round trip, rate-limited by WhatsApp: callers cache.
    ///
    /// # Errors
    /// As [`Link::is_registered`].
    async fn groups(&self) -> Result<Vec<Group>, LinkError>;

    /// Shows in a chat that the bot types, or that it stopped. The other side's phone forgets it by itself after some
    /// 25 seconds; nothing is queued for those who are away.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::Failed`].
    async fn typing(&self, to: &Chat, on: bool) -> Result<(), LinkError>;

    /// Fetches a file that somebody sent, decrypts it and checks its hash, into `to`, which is made anew with mode 0600 and
    /// stands there only once it is whole; `to` with `.part` behind is used on the way. Where WhatsApp no longer has the file, the
    /// bot's own phone is asked to upload it again.
    ///
    /// # Errors
    /// [`LinkError::Offline`], [`LinkError::TimedOut`] (also where the phone is off) and [`LinkError::Failed`] are worth
    /// another try; [`LinkError::Refused`] is final: it is gone, too large (over 100 MiB), or not what the sender said.
    async fn download(&self, handle: &MediaHandle, to: &Path) -> Result<(), LinkError>;

    /// What shows that the link lives, as of now.
    fn evidence(&self) -> Evidence;

    /// Drops the connection and dials again at once: the answer to silence on a link that looks alive.
    async fn reconnect(&self);

    /// Unlinks the device at WhatsApp and ends the link. The keys stay until [`Connector::forget`].
    async fn logout(&self);

    /// Ends the link, writing its state first; the device stays linked. Takes at most `within`.
    async fn close(&self, within: Duration);
}

/// The gateway's ear: one per bot. Methods may be called at the same time and in any order; the gateway sorts. Calls and
/// changes of groups come one at a time.
#[async_trait]
pub trait Listener: Send + Sync {
    /// The state changed. Must return at once.
    fn status(&self, status: &Status);

    /// WhatsApp's server took a message, or refused it. Not repeated: one that is lost is made good by sending again
    /// with the same id.
    async fn server_ack(&self, ack: ServerAck);

    /// Whether this receipt changes nothing that the gateway keeps: WhatsApp gets its ack at once then, and
    /// [`Listener::receipt`] is not called. A large group sends thousands of receipts that say the same. Asked of memory
    /// alone: must return at once.
    fn knows(&self, receipt: &Receipt) -> bool {
        let _ = receipt;
        false
    }

    /// A recipient's device received, read or played messages. WhatsApp gets its ack after this returns `Ok`.
    ///
    /// # Errors
    /// [`NotCommitted`] leaves the receipt with WhatsApp, which delivers it again on the next connection.
    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted>;

    /// The device joined or left a group, or one of its groups changed: what [`Link::groups`] said before is out of date. Must
    /// return at once.
    fn groups_changed(&self);

    /// One of the groups changed. What the bot did itself, on any of its devices, comes too. WhatsApp does not wait for it: what
    /// is not kept is lost.
    async fn group_changed(&self, change: GroupChange);

    /// Somebody calls, once for each call. Also where the call was over before the device came back. WhatsApp does not wait for
    /// it.
    async fn call(&self, call: Call);

    /// Messages arrived, in order, all or nothing; may repeat after a crash. Must not send anything itself.
    ///
    /// # Errors
    /// [`NotCommitted`] leaves all of them with WhatsApp, which delivers them again.
    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted>;

    /// Those of these messages that [`Listener::inbound`] never committed. Asked where WhatsApp delivered something again that the
    /// client takes for done: what is unknown is asked of its sender anew.
    ///
    /// # Errors
    /// [`NotCommitted`] where it cannot be told; asked again after the next login.
    async fn unknown(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, NotCommitted>;
}

/// What could not be made durable stays with WhatsApp.
#[derive(Debug, thiserror::Error)]
#[error("not committed: {0}")]
pub struct NotCommitted(pub String);

/// Why a link could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection is up. Try again when [`Status::Online`].
    #[error("the link is not connected")]
    Offline,
    /// WhatsApp did not answer in time. The effect is unknown: try again with the same id.
    #[error("WhatsApp did not answer in time")]
    TimedOut,
    /// The client library failed in a way that may pass. The effect is unknown: try again with the same id. The text
    /// is for logs, in English.
    #[error("failed: {0}")]
    Failed(String),
    /// WhatsApp or the client library refused for good. The text is for logs, in English.
    #[error("refused: {0}")]
    Refused(String),
    /// The link store failed.
    #[error("link store: {0}")]
    Store(String),
}
