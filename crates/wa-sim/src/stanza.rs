//! Dispatches each stanza of a logged-in companion to the handler of its tag.

pub(crate) mod group;
pub(crate) mod keys;
pub(crate) mod linked;
mod message;
mod presence;
mod receipt;
mod reupload;

use wacore_binary::{NodeRef, OwnedNodeRef};

use crate::iq;
use crate::node::attr;
use crate::phone::receipt::detail;
use crate::world::event::SimEvent;
use crate::world::offline::Class;

use linked::Linked;

/// Handles a stanza of the companion.
pub(crate) fn handle(session: &Linked, node: &OwnedNodeRef) {
    let node = node.get();
    match node.tag.as_ref() {
        "iq" => iq::answer(session, node),
        "message" => message::from_companion(session, node),
        "receipt" => receipt::from_companion(session, node),
        "ack" => take_ack(session, node),
        "presence" => presence::presence(session, node),
        "chatstate" => presence::chat_state(session, node),
        // `ib` carries telemetry, and requests for the next offline batch. The simulator needs
        // neither: every queued stanza is pushed without a request.
        "ib" => {}
        tag => tracing::debug!(
            device = session.companion.name,
            tag,
            "stanza has no handler"
        ),
    }
}

fn take_ack(session: &Linked, node: &NodeRef<'_>) {
    let (Some(class), Some(id)) = (
        attr(node, "class").as_deref().and_then(Class::from_wire),
        attr(node, "id"),
    ) else {
        return;
    };
    // Several receipts can share an id. The ack repeats their type and participant, so the pair
    // identifies the receipt.
    let detail = (class == Class::Receipt).then(|| {
        detail(
            &attr(node, "type").unwrap_or_default(),
            &attr(node, "participant").unwrap_or_default(),
        )
    });
    let was_waiting = session
        .companion
        .mailbox
        .lock()
        .take(class, &id, detail.as_deref());
    if was_waiting {
        session.account.touch();
        if class == Class::Message {
            session.world.emit(|| SimEvent::Taken {
                device: session.companion.name.clone(),
                id: id.clone(),
            });
        }
    }
}
