//! The API for linked devices: connections, counters, unlinking.

use std::collections::BTreeMap;

use super::{Drop, Sim};
use crate::pairing::unlink::unlink;
use crate::stanza::linked::replaced;
use crate::world::companion::DeviceInfo;
use crate::world::pairings::WaitingClient;
use crate::world::wire::WireStanza;

impl Sim {
    /// Returns all linked devices, ordered by number.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn devices(&self) -> Vec<DeviceInfo> {
        self.world.devices()
    }

    /// Returns the connected clients that wait for a link, the longest wait first.
    #[must_use]
    pub fn waiting_clients(&self) -> Vec<WaitingClient> {
        self.world.pairings.lock().waiting()
    }

    /// Closes the connection of a device (`number:device`). Returns whether the device was
    /// connected.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
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

    /// Closes the connection of a device (`number:device`) with the stream error `conflict`, as
    /// after a login elsewhere with a copy of the device's keys. Returns whether the device was
    /// connected.
    #[must_use]
    pub fn replace_device(&self, id: &str) -> bool {
        let link = self
            .world
            .companion(id)
            .and_then(|companion| companion.mailbox.lock().link().cloned());
        if let Some(link) = &link {
            replaced(link);
        }
        link.is_some()
    }

    /// Unlinks a device (`number:device`), as its phone does. Returns whether the device was
    /// linked.
    #[must_use]
    pub fn logout_device(&self, id: &str) -> bool {
        let companion = self.world.companion(id);
        if let Some(companion) = &companion {
            unlink(&self.world, companion);
        }
        companion.is_some()
    }

    /// Returns the number of a device's requests (`number:device`) by `xmlns/type/child`, for
    /// example `usync/get/usync`. The map is empty for an unknown device.
    #[must_use]
    pub fn iq_counts(&self, id: &str) -> BTreeMap<String, u64> {
        self.world
            .companion(id)
            .map(|companion| companion.iq_counts())
            .unwrap_or_default()
    }

    /// Returns the number of stanzas that wait for an ack of a device (`number:device`).
    #[must_use]
    pub fn waiting(&self, id: &str) -> usize {
        self.world
            .companion(id)
            .map_or(0, |companion| companion.mailbox.lock().waiting().count())
    }

    /// Returns the newest stanzas on the wire, oldest first: at most 500, and fewer if the stanzas
    /// are large.
    #[must_use]
    pub fn wire(&self) -> Vec<WireStanza> {
        let (kept, _) = self.world.wire.follow();
        kept.iter().map(|kept| kept.read()).collect()
    }
}
