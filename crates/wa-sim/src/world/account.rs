//! An account: addresses, companions, and the data of the phone.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use parking_lot::{Mutex, RwLock};
use rand::RngExt as _;
use serde::Deserialize;
use tokio::sync::watch;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::app_state::AppState;
use super::companion::Companion;
use super::delivery::Held;
use super::habits::Habits;
use super::inbox::Inbox;
use super::signal::Signal;
use super::ticks::Ticks;
use crate::number::digits;
use crate::seed::Seed;

/// The number of sent messages that a phone keeps for retry receipts.
const KEPT: usize = 1_000;

/// The properties of a new phone.
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
    /// A phone with this number (all characters except digits are dropped) and push name.
    pub fn new(number: impl AsRef<str>, name: impl Into<String>) -> Self {
        Self {
            number: digits(number.as_ref()),
            name: name.into(),
            lid_migrated: true,
        }
    }

    /// Sets whether the account addresses people by LID, as new accounts do. The default is `true`.
    #[must_use]
    pub fn lid_migrated(mut self, on: bool) -> Self {
        self.lid_migrated = on;
        self
    }
}

/// An account and its phone.
pub(crate) struct Account {
    pub(crate) number: String,
    pub(crate) lid: String,
    pub(crate) name: String,
    pub(crate) lid_migrated: bool,
    /// The account's ADV id. Every companion's signed identity contains the same id.
    pub(crate) raw_id: u32,
    pub(crate) signal: Mutex<Signal>,
    pub(crate) inbox: Mutex<Inbox>,
    /// The number of messages ever shown; a change wakes the waiting tasks.
    pub(crate) shown: watch::Sender<u64>,
    pub(crate) habits: Mutex<Habits>,
    pub(crate) held: Mutex<Held>,
    pub(crate) app_state: Mutex<AppState>,
    pub(crate) sent: Mutex<Sent>,
    pub(crate) ticks: Mutex<Ticks>,
    /// Companions of other accounts that requested the device list, by name. Each gets a
    /// notification of changes.
    pub(crate) watchers: Mutex<BTreeSet<String>>,
    companions: RwLock<Vec<Arc<Companion>>>,
    next_device: AtomicU16,
    dirty: AtomicBool,
}

/// The sent messages, kept for retries, and the companions with the phone's sender keys.
#[derive(Default)]
pub(crate) struct Sent {
    kept: VecDeque<SentMessage>,
    /// `group companion`, for each distributed sender key.
    pub(crate) distributed: HashSet<String>,
}

/// A sent message.
#[derive(Clone)]
pub(crate) struct SentMessage {
    pub(crate) id: String,
    /// The number or group id of the chat.
    pub(crate) chat: String,
    pub(crate) is_group: bool,
    pub(crate) message: Arc<wa::Message>,
}

impl Sent {
    pub(crate) fn keep(&mut self, kept: SentMessage) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(kept);
    }

    pub(crate) fn find(&self, id: &str) -> Option<SentMessage> {
        self.kept.iter().rev().find(|kept| kept.id == id).cloned()
    }
}

impl Account {
    pub(crate) fn new(seed: Seed, run: u64, spec: PhoneSpec, inbox_limit: usize) -> Self {
        let mut rng = seed.rng(&format!("account {}", spec.number));
        // A real LID has fourteen or fifteen digits and no relation to the number.
        let lid = rng
            .random_range(100_000_000_000_000_u64..990_000_000_000_000)
            .to_string();
        Self {
            lid,
            raw_id: rng.random_range(1..u32::MAX),
            signal: Mutex::new(Signal::new(seed, &spec.number, run)),
            inbox: Mutex::new(Inbox::new(inbox_limit)),
            shown: watch::Sender::new(0),
            habits: Mutex::default(),
            held: Mutex::default(),
            app_state: Mutex::new(AppState::new(seed, &spec.number, &spec.name)),
            sent: Mutex::default(),
            ticks: Mutex::default(),
            watchers: Mutex::default(),
            companions: RwLock::default(),
            next_device: AtomicU16::new(1),
            dirty: AtomicBool::new(true),
            number: spec.number,
            name: spec.name,
            lid_migrated: spec.lid_migrated,
        }
    }

    /// Returns the account's address on the wire, without a device.
    pub(crate) fn jid(&self, lid: bool) -> Jid {
        if lid {
            Jid::lid(self.lid.as_str())
        } else {
            Jid::pn(self.number.as_str())
        }
    }

    /// Returns whether the phone is switched on.
    pub(crate) fn is_online(&self) -> bool {
        !self.held.lock().offline
    }

    pub(crate) fn companions(&self) -> Vec<Arc<Companion>> {
        self.companions.read().clone()
    }

    pub(crate) fn companion(&self, device: u16) -> Option<Arc<Companion>> {
        self.companions
            .read()
            .iter()
            .find(|companion| companion.device == device)
            .cloned()
    }

    /// Returns a new device index. An index is never used twice, because a removed device must not
    /// become valid again.
    pub(crate) fn next_device(&self) -> u16 {
        self.next_device.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn set_next_device(&self, next: u16) {
        self.next_device.store(next, Ordering::Relaxed);
    }

    pub(crate) fn peek_next_device(&self) -> u16 {
        self.next_device.load(Ordering::Relaxed)
    }

    pub(crate) fn add_companion(&self, companion: Arc<Companion>) {
        self.companions.write().push(companion);
        self.touch();
    }

    /// Removes a companion from the account. Returns whether the companion existed.
    pub(crate) fn remove_companion(&self, device: u16) -> bool {
        let mut companions = self.companions.write();
        let before = companions.len();
        companions.retain(|companion| companion.device != device);
        drop(companions);
        self.touch();
        self.companions.read().len() < before
    }

    /// Returns a message id in the format of phones.
    pub(crate) fn next_id(&self) -> String {
        let random: u128 = self.signal.lock().rng().random();
        format!("3A{random:032X}")[..20].to_owned()
    }

    /// Marks the account as changed since the last snapshot.
    pub(crate) fn touch(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Returns whether the account has changed, and resets the mark.
    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::AcqRel)
    }
}
