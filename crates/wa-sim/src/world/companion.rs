//! A linked device on the server: keys, queue and counters.

use std::collections::{BTreeMap, HashSet, VecDeque};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, Node, marshal};
use wacore_libsignal::protocol::ProtocolAddress;

use super::offline::{Class, Mailbox, Waiting};
use super::signal::{Bundle, SignedKey};

/// The server requests more one-time prekeys below this number, like the real server.
const PREKEYS_LOW: usize = 10;
/// The number of message ids that the server remembers per device for its duplicate check.
const SEEN_IDS: usize = 10_000;

/// A linked device.
pub(crate) struct Companion {
    pub(crate) number: String,
    pub(crate) lid: String,
    pub(crate) device: u16,
    /// `number:device`, the name in the API.
    pub(crate) name: String,
    pub(crate) fixed: Fixed,
    pub(crate) mailbox: Mutex<Mailbox>,
    keys: Mutex<Keys>,
    iqs: Mutex<BTreeMap<String, u64>>,
    seen: Mutex<Seen>,
    /// Messages of phones (number, id) that wait for the first prekeys of the device.
    postponed: Mutex<Vec<(String, String)>>,
}

/// The properties set when the device was linked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fixed {
    pub(crate) noise_key: [u8; 32],
    pub(crate) identity: [u8; 32],
    /// The `ADVSignedDeviceIdentity` with both signatures.
    #[serde(with = "crate::base64::serde_bytes")]
    pub(crate) device_identity: Vec<u8>,
    pub(crate) key_index: u32,
    pub(crate) platform: String,
    /// Seconds since 1970.
    pub(crate) linked_at: u64,
}

/// The uploaded prekeys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) registration_id: u32,
    pub(crate) signed: Option<SignedKey>,
    pub(crate) one_time: VecDeque<(u32, [u8; 32])>,
    /// Set after the phone has shared the app state keys.
    pub(crate) app_state_shared: bool,
    /// Set between a request for more prekeys and the next upload.
    asked_for_more: bool,
}

#[derive(Default)]
struct Seen {
    order: VecDeque<String>,
    ids: HashSet<String>,
}

impl Companion {
    pub(crate) fn new(number: &str, lid: &str, device: u16, fixed: Fixed) -> Self {
        Self {
            number: number.to_owned(),
            lid: lid.to_owned(),
            device,
            name: format!("{number}:{device}"),
            fixed,
            mailbox: Mutex::default(),
            keys: Mutex::default(),
            iqs: Mutex::default(),
            seen: Mutex::default(),
            postponed: Mutex::default(),
        }
    }

    /// Returns the address of the device in the phones' Signal stores.
    pub(crate) fn address(&self) -> ProtocolAddress {
        ProtocolAddress::new(&self.number, u32::from(self.device).into())
    }

    pub(crate) fn jid(&self, lid: bool) -> Jid {
        if lid {
            Jid::lid_device(self.lid.as_str(), self.device)
        } else {
            Jid::pn_device(self.number.as_str(), self.device)
        }
    }

    pub(crate) fn keys(&self) -> parking_lot::MutexGuard<'_, Keys> {
        self.keys.lock()
    }

    /// Returns a bundle for a new session and uses up a one-time prekey. Returns `None` before the
    /// first upload. The number is the count of remaining one-time prekeys, if the server must now
    /// request more.
    pub(crate) fn bundle(&self) -> Option<(Bundle, Option<usize>)> {
        let mut keys = self.keys.lock();
        let signed = keys.signed.clone()?;
        let one_time = keys.one_time.pop_front();
        let bundle = Bundle {
            registration_id: keys.registration_id,
            identity: self.fixed.identity,
            signed,
            one_time,
        };
        let left = keys.one_time.len();
        let is_low = left < PREKEYS_LOW && !keys.asked_for_more;
        keys.asked_for_more |= is_low;
        Some((bundle, is_low.then_some(left)))
    }

    /// Records an upload, so that the server can request prekeys again.
    pub(crate) fn prekeys_arrived(&self) {
        self.keys.lock().asked_for_more = false;
    }

    /// Keeps a phone's message until the device has uploaded prekeys.
    pub(crate) fn postpone(&self, number: &str, id: &str) {
        self.postponed
            .lock()
            .push((number.to_owned(), id.to_owned()));
    }

    /// Returns the postponed messages as number and id, oldest first.
    pub(crate) fn take_postponed(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.postponed.lock())
    }

    /// Queues a stanza until its ack, and sends the stanza if the device is connected.
    pub(crate) fn deliver(&self, class: Class, id: &str, detail: &str, node: &Node) {
        let Ok(wire) = marshal(node) else { return };
        self.mailbox.lock().put(Waiting {
            class,
            id: id.to_owned(),
            detail: detail.to_owned(),
            wire: wire.into(),
        });
    }

    pub(crate) fn count_iq(&self, kind: &str) {
        let mut iqs = self.iqs.lock();
        if let Some(count) = iqs.get_mut(kind) {
            *count += 1;
        } else {
            iqs.insert(kind.to_owned(), 1);
        }
    }

    pub(crate) fn iq_counts(&self) -> BTreeMap<String, u64> {
        self.iqs.lock().clone()
    }

    /// Returns whether the server has accepted a message with this id.
    pub(crate) fn has_taken(&self, id: &str) -> bool {
        self.seen.lock().ids.contains(id)
    }

    /// Records the id of an accepted message.
    pub(crate) fn take_id(&self, id: &str) {
        let mut seen = self.seen.lock();
        if !seen.ids.insert(id.to_owned()) {
            return;
        }
        seen.order.push_back(id.to_owned());
        if seen.order.len() > SEEN_IDS
            && let Some(old) = seen.order.pop_front()
        {
            seen.ids.remove(&old);
        }
    }

    pub(crate) fn info(&self) -> DeviceInfo {
        DeviceInfo {
            id: self.name.clone(),
            number: self.number.clone(),
            lid: self.lid.clone(),
            device: self.device,
            connected: self.mailbox.lock().link().is_some(),
            platform: self.fixed.platform.clone(),
            linked_at: self.fixed.linked_at,
        }
    }
}

/// A linked device, as shown in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// `number:device`, for example `6281234567890:3`.
    pub id: String,
    /// The account's number.
    pub number: String,
    /// The account's LID, digits only.
    pub lid: String,
    /// The device's index, from 1.
    pub device: u16,
    /// True if the device has a logged-in connection.
    pub connected: bool,
    /// The platform reported by the device.
    pub platform: String,
    /// The time of the link, in seconds since 1970.
    pub linked_at: u64,
}
