//! Presence and chat states. The server forwards both to connected companions and never queues
//! them.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::linked::Linked;
use crate::node::attr;
use crate::world::event::SimEvent;

/// Answers a `<presence>` subscription with the current activity of the phone. The simulator does
/// not store the presence of a companion.
pub(crate) fn presence(session: &Linked, node: &NodeRef<'_>) {
    if attr(node, "type").as_deref() != Some("subscribe") {
        return;
    }
    let Some(to) = node
        .get_attr("to")
        .and_then(wacore_binary::node::ValueRef::to_jid)
    else {
        return;
    };
    let Some(account) = session.world.account(&to) else {
        return;
    };
    let state = if account.is_online() {
        "available"
    } else {
        "unavailable"
    };
    session.link.send(
        &NodeBuilder::new("presence")
            .attr("from", to.to_non_ad())
            .attr("type", state)
            .build(),
    );
}

/// Forwards `<chatstate>` (typing, paused) to the companions of the other side.
pub(crate) fn chat_state(session: &Linked, node: &NodeRef<'_>) {
    let (Some(to), Some(state)) = (
        node.get_attr("to")
            .and_then(wacore_binary::node::ValueRef::to_jid),
        node.children().and_then(<[_]>::first),
    ) else {
        return;
    };
    session.world.emit(|| SimEvent::ChatState {
        device: session.companion.name.clone(),
        chat: session.world.chat_name(&to.to_string()),
        state: state.tag.to_string(),
    });
    let Some(peer) = session.world.account(&to) else {
        return;
    };
    if peer.number == session.account.number {
        return;
    }
    let shown = NodeBuilder::new("chatstate")
        .attr("from", session.account.jid(peer.lid_migrated))
        .children([state.to_owned()])
        .build();
    for companion in peer.companions() {
        companion.mailbox.lock().put_volatile(&shown);
    }
}
