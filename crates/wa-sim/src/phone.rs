//! Virtual phones: the primary device of an account, with a real Signal identity, an inbox and
//! settings.
//!
//! [`Phone`] is the handle for tests and for the control API. The state behind the handle is
//! [`Account`].
//!
//! - `receive`: decrypts a message, shows the message once; `habits`, `receipt`: receipts;
//!   `asking`: retry receipts; `content`: the shown content of a message
//! - `outgoing`: the kinds of messages to send; `sending`: the API for sending; `compose`: builds
//!   the protobuf message; `upload`: uploads the file; `call`: calls
//! - `send`: encrypts a message for each companion of the sender and of the receivers; `transmit`:
//!   builds and queues the stanza for one companion

pub(crate) mod asking;
mod call;
mod compose;
mod content;
mod habits;
pub(crate) mod outgoing;
pub(crate) mod receipt;
pub(crate) mod receive;
pub(crate) mod send;
mod sending;
mod transmit;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::pairing;
use crate::pairing::unlink::unlink;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::DeviceInfo;
use crate::world::event::SimEvent;
use crate::world::habits::Receipts;
use crate::world::inbox::InboxMessage;
use crate::world::pairings::ScanError;

/// A virtual phone. A clone is cheap and refers to the same phone.
#[derive(Clone)]
pub struct Phone {
    pub(crate) world: Arc<World>,
    pub(crate) account: Arc<Account>,
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phone")
            .field("number", &self.number())
            .finish_non_exhaustive()
    }
}

/// The error of [`Phone::wait_for`], with the inbox at the deadline.
#[derive(Debug, thiserror::Error)]
#[error(
    "the phone {number} has no such message after {deadline:?}; it has {shown} messages, the last is {last:?}"
)]
pub struct WaitError {
    /// The phone.
    pub number: String,
    /// The time limit.
    pub deadline: Duration,
    /// The number of messages in the inbox.
    pub shown: usize,
    /// The newest message.
    pub last: Option<Box<InboxMessage>>,
}

impl Phone {
    /// The number, digits only.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.account.number
    }

    /// The push name.
    #[must_use]
    pub fn name(&self) -> String {
        self.account.name.clone()
    }

    /// The account's LID, digits only.
    #[must_use]
    pub fn lid(&self) -> &str {
        &self.account.lid
    }

    /// Returns whether the account addresses people by LID.
    #[must_use]
    pub fn is_lid_migrated(&self) -> bool {
        self.account.lid_migrated
    }

    /// Scans the QR code of a companion and waits for the companion's answer.
    ///
    /// # Errors
    /// The code is unreadable, unknown or expired, or the companion did not answer correctly within
    /// ten seconds.
    pub async fn scan(&self, qr: &str) -> Result<DeviceInfo, ScanError> {
        pairing::scan(&self.world, &self.account, qr).await
    }

    /// Enters the eight-character code of a companion that requested a link to this number.
    ///
    /// # Errors
    /// No companion is waiting for this number, the code is wrong, or the companion did not answer.
    pub async fn enter_code(&self, code: &str) -> Result<DeviceInfo, ScanError> {
        pairing::link_code::enter(&self.world, &self.account, code).await
    }

    /// Returns all messages in the inbox, oldest first.
    #[expect(
        clippy::unused_async,
        reason = "reading may become asynchronous; then no caller has to change"
    )]
    pub async fn inbox(&self) -> Vec<InboxMessage> {
        self.account.inbox.lock().all()
    }

    /// Returns the decrypted file of a message in the inbox. Returns `None` if the message has no
    /// file, or if the file failed a check (`media_error` has the reason).
    #[expect(
        clippy::unused_async,
        reason = "reading may become asynchronous; then no caller has to change"
    )]
    pub async fn media(&self, id: &str) -> Option<Bytes> {
        let download = self.account.inbox.lock().with_file(id)?.download.clone()?;
        download.fetch(&self.world.media).ok()
    }

    /// Marks the file of a message as expired on the media host, as after some weeks. The phone
    /// keeps the file, and uploads the file again on request of a companion. Returns whether the
    /// file existed.
    #[must_use]
    pub fn expire_media(&self, id: &str) -> bool {
        let inbox = self.account.inbox.lock();
        let download = inbox.with_file(id).and_then(|it| it.download.as_ref());
        download.is_some_and(|download| self.world.media.expire(download.direct_path()))
    }

    /// Waits for a message in the inbox that `wanted` accepts. Messages already in the inbox count.
    ///
    /// # Errors
    /// The deadline passed. The error contains the newest message.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        mut wanted: impl FnMut(&InboxMessage) -> bool,
    ) -> Result<InboxMessage, WaitError> {
        let mut shown = self.account.shown.subscribe();
        let mut seen = 0;
        let search = async {
            loop {
                shown.borrow_and_update();
                {
                    let inbox = self.account.inbox.lock();
                    let (mut fresh, total) = inbox.since(seen);
                    if let Some(found) = fresh.find(|message| wanted(message)) {
                        return found.clone();
                    }
                    seen = total;
                }
                if shown.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        if let Ok(message) = tokio::time::timeout(deadline, search).await {
            Ok(message)
        } else {
            let inbox = self.account.inbox.lock();
            Err(WaitError {
                number: self.account.number.clone(),
                deadline,
                shown: inbox.len(),
                last: inbox.last().cloned().map(Box::new),
            })
        }
    }

    /// Opens a chat (number or group id), and sends a read receipt for each unread message. Returns
    /// the number of messages.
    #[expect(
        clippy::unused_async,
        reason = "reading may become asynchronous; then no caller has to change"
    )]
    pub async fn read(&self, chat: &str) -> usize {
        let chat = chat.trim_end_matches("@g.us");
        let read = habits::read_chat(&self.world, &self.account, chat);
        self.changed();
        read
    }

    /// Sets the receipts that the phone sends. The default is [`Receipts::Read`].
    pub fn set_receipts(&self, receipts: Receipts) {
        self.account.habits.lock().receipts = receipts;
        self.changed();
    }

    /// Sets the delay between a message and its receipts. The default is zero.
    pub fn set_receipt_delay(&self, delay: Duration) {
        self.account.habits.lock().receipt_delay = delay;
        self.changed();
    }

    /// Sets the wait between a retry receipt and the next retry receipt for the same message. The
    /// default is three seconds. With zero, the phone sends a retry receipt only after a copy fails
    /// to decrypt.
    pub fn set_ask_again(&self, after: Duration) {
        self.account.habits.lock().ask_again = after;
        self.changed();
    }

    /// Switches the phone off or on. Messages for a phone that is off wait in a queue, without
    /// receipts.
    pub fn set_online(&self, online: bool) {
        receive::set_online(&self.world, &self.account, online);
        self.changed();
    }

    fn changed(&self) {
        self.account.touch();
        self.world.emit(|| SimEvent::PhoneChanged {
            phone: self.account.number.clone(),
        });
    }

    /// Unlinks every companion of the account, like "log out of all devices". Returns the number of
    /// companions.
    #[expect(
        clippy::unused_async,
        reason = "unlinking may become asynchronous; then no caller has to change"
    )]
    pub async fn logout_devices(&self) -> usize {
        let companions = self.account.companions();
        for companion in &companions {
            unlink(&self.world, companion);
        }
        companions.len()
    }

    /// The account's companions.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.account
            .companions()
            .iter()
            .map(|companion| companion.info())
            .collect()
    }

    /// Returns the number of messages received again after the first copy.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.account.inbox.lock().duplicates()
    }
}
