//! Virtual phones: an account's primary device, with a real Signal identity, an inbox and habits.
//!
//! [`Phone`] is the handle that tests and the control API hold. Behind it stands [`Account`]: what the server knows of
//! the account, and what the phone keeps to itself.
//!
//! - `receive`: decrypt, show once, answer with receipts; `asking`: for what could not be decrypted
//! - `outgoing`: what can be sent; `compose`: the message that says it; `call`: calls
//! - `send`: encrypt for each companion of everyone concerned; `transmit`: the stanza for one of them
//! - `signal`: sessions and keys; `inbox`: what is shown; `content`: kinds of messages; `files`: what is behind them; `habits`: receipts, online;
//!   `ticks`: who has and read what was sent

pub(crate) mod account;
pub(crate) mod asking;
mod call;
mod compose;
pub(crate) mod content;
pub(crate) mod files;
pub(crate) mod habits;
pub(crate) mod inbox;
pub(crate) mod outgoing;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod signal;
pub(crate) mod ticks;
mod transmit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use account::Account;
pub use habits::Receipts;
pub use inbox::InboxMessage;
pub use outgoing::{AnswerTo, ContactCard, MediaKind, Outgoing, OutgoingMedia, SendError};

use crate::companion::DeviceInfo;
use crate::event::SimEvent;
use crate::pairing::ScanError;
use crate::world::World;

/// What a new phone is like.
#[derive(Debug, Clone, Deserialize)]
pub struct PhoneSpec {
    pub(crate) number: String,
    pub(crate) name: String,
    #[serde(default = "yes")]
    pub(crate) lid_migrated: bool,
}

fn yes() -> bool {
    true
}

impl PhoneSpec {
    /// A phone with this number (other characters than digits are dropped) and push name.
    pub fn new(number: impl AsRef<str>, name: impl Into<String>) -> Self {
        Self {
            number: digits(number.as_ref()),
            name: name.into(),
            lid_migrated: true,
        }
    }

    /// Whether the account addresses people by LID, as today's accounts do. On by default.
    #[must_use]
    pub fn lid_migrated(mut self, on: bool) -> Self {
        self.lid_migrated = on;
        self
    }
}

/// Where a message came from: an account's device, and the shape its receipts must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) number: String,
    pub(crate) device: u16,
    /// Whether the sender addressed us by LID: receipts come back under the same name.
    pub(crate) by_lid: bool,
    pub(crate) group: Option<String>,
}

/// A virtual phone. Cheap to clone.
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

/// What was in the inbox when a deadline passed.
#[derive(Debug, thiserror::Error)]
#[error(
    "{number} did not show such a message within {deadline:?}; it shows {shown} messages, the last is {last:?}"
)]
pub struct WaitError {
    /// The phone.
    pub number: String,
    /// How long was waited.
    pub deadline: Duration,
    /// How many messages it shows.
    pub shown: usize,
    /// The newest of them.
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

    /// Whether the account addresses people by LID.
    #[must_use]
    pub fn is_lid_migrated(&self) -> bool {
        self.account.lid_migrated
    }

    /// Scans the QR code of a companion and waits until the companion has answered.
    ///
    /// # Errors
    /// The code is unreadable, unknown or expired, or the companion did not answer correctly within ten seconds.
    pub async fn scan(&self, qr: &str) -> Result<DeviceInfo, ScanError> {
        crate::pairing::scan(&self.world, &self.account, qr).await
    }

    /// Enters the eight-character code of a companion that asked to be linked to this number.
    ///
    /// # Errors
    /// No companion is waiting for this number, the code is wrong, or the companion did not answer.
    pub async fn enter_code(&self, code: &str) -> Result<DeviceInfo, ScanError> {
        crate::pairing::link_code::enter(&self.world, &self.account, code).await
    }

    /// All messages the phone shows, oldest first.
    #[expect(
        clippy::unused_async,
        reason = "reading may come to wait; callers should not have to change then"
    )]
    pub async fn inbox(&self) -> Vec<InboxMessage> {
        self.account.inbox.lock().all()
    }

    /// The decrypted file of a message that the phone shows; `None` where the message has none, or its file fails a
    /// check (then its `media_error` says which).
    #[expect(
        clippy::unused_async,
        reason = "reading may come to wait; callers should not have to change then"
    )]
    pub async fn media(&self, id: &str) -> Option<Bytes> {
        let download = self.account.inbox.lock().with_file(id)?.download.clone()?;
        download.fetch(&self.world.media).ok()
    }

    /// Takes the file of a message off the media host, as after some weeks; the phone still has it, and uploads it again
    /// where a companion asks. Answers whether there was one.
    #[must_use]
    pub fn expire_media(&self, id: &str) -> bool {
        let inbox = self.account.inbox.lock();
        let download = inbox.with_file(id).and_then(|it| it.download.as_ref());
        download.is_some_and(|download| self.world.media.expire(download.direct_path()))
    }

    /// Waits until the phone shows a message that `wanted` accepts; ones it shows already count.
    ///
    /// # Errors
    /// The deadline passed; the error says what was last shown.
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

    /// Opens a chat (number or group id): everything unread in it is receipted as read. Answers how many those were.
    #[expect(
        clippy::unused_async,
        reason = "reading may come to wait; callers should not have to change then"
    )]
    pub async fn read(&self, chat: &str) -> usize {
        let chat = chat.trim_end_matches("@g.us");
        let read = habits::read_chat(&self.world, &self.account, chat);
        self.changed();
        read
    }

    /// Which receipts the phone gives from now on. [`Receipts::Read`] at first.
    pub fn set_receipts(&self, receipts: Receipts) {
        self.account.habits.lock().receipts = receipts;
        self.changed();
    }

    /// How long after a message its receipts leave. Zero at first.
    pub fn set_receipt_delay(&self, delay: Duration) {
        self.account.habits.lock().receipt_delay = delay;
        self.changed();
    }

    /// How long the phone waits for a message that it could not read before it asks again; zero: it asks only when a copy fails.
    /// Three seconds at first.
    pub fn set_ask_again(&self, after: Duration) {
        self.account.habits.lock().ask_again = after;
        self.changed();
    }

    /// Switches the phone off or on. What arrives while it is off waits, without receipts, until it is on.
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

    /// Unlinks every companion of the account, as "log out of all devices" does. Answers how many those were.
    #[expect(
        clippy::unused_async,
        reason = "unlinking may come to wait; callers should not have to change then"
    )]
    pub async fn logout_devices(&self) -> usize {
        let companions = self.account.companions();
        for companion in &companions {
            crate::pairing::unlink(&self.world, companion);
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

    /// How many messages arrived that the phone already showed.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.account.inbox.lock().duplicates()
    }
}

/// Only the digits: numbers may be written `+62 812-…`.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}
