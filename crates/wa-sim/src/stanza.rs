//! Dispatches each stanza of a logged-in companion to the handler of its tag.

pub(crate) mod message;
pub(crate) mod presence;
pub(crate) mod receipt;
mod reupload;

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{NodeRef, OwnedNodeRef};

use crate::companion::Companion;
use crate::conn::Link;
use crate::event::SimEvent;
use crate::handshake::Pattern;
use crate::iq;
use crate::offline::Class;
use crate::phone::Account;
use crate::world::World;

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

    pub(crate) fn handle(&self, node: &OwnedNodeRef) {
        let node = node.get();
        match node.tag.as_ref() {
            "iq" => iq::answer(self, node),
            "message" => message::from_companion(self, node),
            "receipt" => receipt::from_companion(self, node),
            "ack" => self.take_ack(node),
            "presence" => presence::presence(self, node),
            "chatstate" => presence::chat_state(self, node),
            // `ib` carries telemetry, and requests for the next offline batch. The simulator needs
            // neither: every queued stanza is pushed without a request.
            "ib" => {}
            tag => tracing::debug!(device = self.companion.name, tag, "stanza has no handler"),
        }
    }

    pub(crate) fn end(&self) {
        if self.companion.mailbox.lock().detach(&self.link) {
            self.world.emit(|| SimEvent::Disconnected {
                device: self.companion.name.clone(),
            });
        }
    }

    fn take_ack(&self, node: &NodeRef<'_>) {
        let (Some(class), Some(id)) = (
            attr(node, "class").as_deref().and_then(Class::from_wire),
            attr(node, "id"),
        ) else {
            return;
        };
        // Several receipts can share an id. The ack repeats their type and participant, so the pair
        // identifies the receipt.
        let detail = (class == Class::Receipt).then(|| {
            receipt::detail(
                &attr(node, "type").unwrap_or_default(),
                &attr(node, "participant").unwrap_or_default(),
            )
        });
        let was_waiting = self
            .companion
            .mailbox
            .lock()
            .take(class, &id, detail.as_deref());
        if was_waiting {
            self.account.touch();
            if class == Class::Message {
                self.world.emit(|| SimEvent::Taken {
                    device: self.companion.name.clone(),
                    id: id.clone(),
                });
            }
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

/// Returns an attribute as text.
pub(crate) fn attr(node: &NodeRef<'_>, name: &str) -> Option<String> {
    node.get_attr(name).map(|value| value.as_str().into_owned())
}
