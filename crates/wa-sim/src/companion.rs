//! A linked device, as the server knows it: its keys, its queue, its counters.

use std::collections::{BTreeMap, HashSet, VecDeque};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, Node, marshal};
use wacore_libsignal::protocol::ProtocolAddress;

use crate::offline::{Class, Mailbox, Waiting};
use crate::phone::signal::{Bundle, SignedKey};

/// Below this many one-time prekeys the server asks for more, as the real one does.
const PREKEYS_LOW: usize = 10;
/// How many message ids the server remembers per device for its own dedupe.
const SEEN_IDS: usize = 10_000;

/// One linked device.
pub(crate) struct Companion {
    pub(crate) number: String,
    pub(crate) lid: String,
    pub(crate) device: u16,
    /// `number:device`, its name everywhere outside the wire.
    pub(crate) name: String,
    pub(crate) fixed: Fixed,
    pub(crate) mailbox: Mutex<Mailbox>,
    keys: Mutex<Keys>,
    iqs: Mutex<BTreeMap<String, u64>>,
    seen: Mutex<Seen>,
    /// Messages of phones (number, id) that wait for its first prekeys.
    postponed: Mutex<Vec<(String, String)>>,
}

/// What is settled when it is linked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fixed {
    pub(crate) noise_key: [u8; 32],
    pub(crate) identity: [u8; 32],
    /// The `ADVSignedDeviceIdentity` with both signatures.
    #[serde(with = "crate::snapshot::base64_bytes")]
    pub(crate) device_identity: Vec<u8>,
    pub(crate) key_index: u32,
    pub(crate) platform: String,
    /// Seconds since 1970.
    pub(crate) linked_at: u64,
}

/// The prekeys it uploaded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) registration_id: u32,
    pub(crate) signed: Option<SignedKey>,
    pub(crate) one_time: VecDeque<(u32, [u8; 32])>,
    /// Whether the phone has shared the app state keys with it.
    pub(crate) app_state_shared: bool,
    /// Whether the server already asked for more.
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

    /// Its address in the phones' Signal stores.
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

    /// A bundle for a stranger; uses up a one-time prekey. `None` before the first upload.
    pub(crate) fn bundle(&self) -> Option<Bundle> {
        let mut keys = self.keys.lock();
        let signed = keys.signed.clone()?;
        let one_time = keys.one_time.pop_front();
        let bundle = Bundle {
            registration_id: keys.registration_id,
            identity: self.fixed.identity,
            signed,
            one_time,
        };
        if keys.one_time.len() < PREKEYS_LOW && !keys.asked_for_more {
            keys.asked_for_more = true;
            let left = keys.one_time.len();
            drop(keys);
            self.ask_for_prekeys(left);
        }
        Some(bundle)
    }

    /// An upload arrived, so it may be asked again.
    pub(crate) fn prekeys_arrived(&self) {
        self.keys.lock().asked_for_more = false;
    }

    fn ask_for_prekeys(&self, left: usize) {
        use wacore_binary::builder::NodeBuilder;
        let id = format!("prekeys-{}", self.device);
        let node = NodeBuilder::new("notification")
            .attr("from", wacore_binary::SERVER_JID)
            .attr("id", id.as_str())
            .attr("type", "encrypt")
            .children([NodeBuilder::new("count").attr("value", left).build()])
            .build();
        self.deliver(Class::Notification, &id, "", &node);
    }

    /// Remembers a phone's message that cannot be encrypted for it yet.
    pub(crate) fn postpone(&self, number: &str, id: &str) {
        self.postponed
            .lock()
            .push((number.to_owned(), id.to_owned()));
    }

    /// The messages that could not be encrypted for it, by number and id, oldest first.
    pub(crate) fn take_postponed(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.postponed.lock())
    }

    /// Queues a stanza until it is acknowledged, and sends it if the device is there.
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

    /// Whether a message of this id was taken.
    pub(crate) fn has_taken(&self, id: &str) -> bool {
        self.seen.lock().ids.contains(id)
    }

    /// Remembers the id of a message that was taken.
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

/// A linked device, for people and tests.
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
    /// Whether it holds a logged-in connection.
    pub connected: bool,
    /// What it says it runs on.
    pub platform: String,
    /// Seconds since 1970.
    pub linked_at: u64,
}
