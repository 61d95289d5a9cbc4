//! The session of a logged-in companion on one connection.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;

use crate::handshake::Pattern;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::event::SimEvent;
use crate::world::link::Link;

/// A companion's session on one connection.
pub(crate) struct Linked {
    pub(crate) world: Arc<World>,
    pub(crate) account: Arc<Account>,
    pub(crate) companion: Arc<Companion>,
    pub(crate) link: Link,
}

impl Linked {
    /// Sends `<success>` to the companion. An older connection of the same device gets a stream
    /// error (`conflict`, type `replaced`).
    pub(crate) fn begin(
        world: &Arc<World>,
        account: Arc<Account>,
        companion: Arc<Companion>,
        link: Link,
        pattern: Pattern,
    ) -> Self {
        tracing::debug!(device = companion.name, ?pattern, "logged in");
        if let Some(older) = companion.mailbox.lock().attach(link.clone()) {
            replaced(&older);
        }
        link.send(
            &NodeBuilder::new("success")
                .attr("t", world.now())
                .attr("lid", companion.jid(true))
                .attr("location", "sim")
                .build(),
        );
        Self {
            world: Arc::clone(world),
            account,
            companion,
            link,
        }
    }

    /// Returns whether a fault discards every stanza from this companion.
    pub(crate) fn is_stalled(&self) -> bool {
        self.world.faults.is_stalled(&self.companion.name)
    }

    pub(crate) fn end(&self) {
        if self.companion.mailbox.lock().detach(&self.link) {
            self.world.emit(|| SimEvent::Disconnected {
                device: self.companion.name.clone(),
            });
        }
    }
}

/// Sends the stream error `conflict` (type `replaced`) on a connection, then closes the connection.
pub(crate) fn replaced(link: &Link) {
    let conflict = NodeBuilder::new("conflict").attr("type", "replaced");
    let error = NodeBuilder::new("stream:error").children([conflict.build()]);
    link.send(&error.build());
    link.close();
}
