//! Linked devices from outside: their connections, their counters, the end of their link.

use std::collections::BTreeMap;

use super::{Drop, Sim};
use crate::companion::DeviceInfo;
use crate::pairing::WaitingClient;
use crate::stanza;
use crate::wire::WireStanza;

impl Sim {
    /// All linked devices, by number.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn devices(&self) -> Vec<DeviceInfo> {
        self.world.devices()
    }

    /// Clients that are connected and wait for a scan, the longest first.
    #[must_use]
    pub fn waiting_clients(&self) -> Vec<WaitingClient> {
        self.world.pairings.lock().waiting()
    }

    /// Ends the connection of a device (`number:device`); answers whether it had one.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn drop_device(&self, id: &str, how: Drop) -> bool {
        let link = self
            .world
            .companion(id)
            .and_then(|companion| companion.mailbox.lock().link().cloned());
        match (&link, how) {
            (Some(link), Drop::Clean) => link.close(),
            (Some(link), Drop::Abrupt) => link.reset(),
            (None, _) => {}
        }
        link.is_some()
    }

    /// Tells a device (`number:device`) that another connection took its place, and closes its own, as when a copy of its
    /// keys logs in elsewhere. Answers whether it had a connection.
    #[must_use]
    pub fn replace_device(&self, id: &str) -> bool {
        let link = self
            .world
            .companion(id)
            .and_then(|companion| companion.mailbox.lock().link().cloned());
        if let Some(link) = &link {
            stanza::replaced(link);
        }
        link.is_some()
    }

    /// Unlinks one device (`number:device`), as its phone does it; answers whether it was linked.
    #[must_use]
    pub fn logout_device(&self, id: &str) -> bool {
        let companion = self.world.companion(id);
        if let Some(companion) = &companion {
            crate::pairing::unlink(&self.world, companion);
        }
        companion.is_some()
    }

    /// How often a device (`number:device`) asked the server something, by `xmlns/type/child`, for example
    /// `usync/get/usync`. Empty for an unknown device.
    #[must_use]
    pub fn iq_counts(&self, id: &str) -> BTreeMap<String, u64> {
        self.world
            .companion(id)
            .map(|companion| companion.iq_counts())
            .unwrap_or_default()
    }

    /// How many stanzas wait until a device (`number:device`) acknowledges them.
    #[must_use]
    pub fn waiting(&self, id: &str) -> usize {
        self.world
            .companion(id)
            .map_or(0, |companion| companion.mailbox.lock().waiting().count())
    }

    /// The newest 500 stanzas that went over the wire, oldest first; fewer where they are large.
    #[must_use]
    pub fn wire(&self) -> Vec<WireStanza> {
        let (kept, _) = self.world.wire.follow();
        kept.iter().map(|kept| kept.read()).collect()
    }
}
