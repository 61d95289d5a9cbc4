//! Dispatches the `<iq>` requests of a companion by namespace; each family of namespaces has a
//! file.
//!
//! An unknown request is answered with error 501, because the client would otherwise wait until its
//! timeout.

pub(crate) mod answer;
mod appstate;
pub(crate) mod groups;
mod media;
mod prekeys;
mod settings;
pub(crate) mod usync;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{NodeRef, SERVER_JID};

use crate::node::attr;
use crate::pairing::unlink::unlink;
use crate::stanza::linked::Linked;
use crate::world::event::SimEvent;

use answer::Answer;

/// Answers one request. A client's reply to a request of the server is ignored.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>) {
    let kind = attr(node, "type").unwrap_or_default();
    if !matches!(kind.as_str(), "get" | "set") {
        return;
    }
    let namespace = attr(node, "xmlns").unwrap_or_default();
    let child = node.children().and_then(<[_]>::first);
    let tag = child.map(|child| child.tag.as_ref()).unwrap_or_default();
    count(session, &namespace, &kind, tag);

    let reply = match (namespace.as_str(), kind.as_str(), tag) {
        ("w:p" | "urn:xmpp:ping", _, _) | ("md", "set", "remove-companion-device") => {
            Answer::empty()
        }
        ("encrypt", _, _) => prekeys::answer(session, node, &kind, tag),
        ("usync", _, _) => usync::answer(session, node),
        ("w:sync:app:state", _, _) => appstate::answer(session, node),
        ("w:m", "set", "media_conn") => media::connection(session),
        ("w:g2", _, _) => groups::answer(session, node, &kind, tag),
        _ => settings::answer(&namespace, &kind, tag),
    };
    session.link.send(&reply.to_node(node));

    // The following stanzas must come after the answer on the wire.
    match (namespace.as_str(), kind.as_str(), tag) {
        ("encrypt", "set", "registration") => prekeys::uploaded(session),
        ("passive", "set", "active") => activate(session),
        ("passive", "set", "passive") => session.companion.mailbox.lock().deactivate(),
        ("md", "set", "remove-companion-device") => {
            unlink(&session.world, &session.companion);
        }
        _ => {}
    }
}

fn count(session: &Linked, namespace: &str, kind: &str, tag: &str) {
    let kind = format!("{namespace}/{kind}/{tag}");
    session.companion.count_iq(&kind);
    session.world.emit(|| SimEvent::Iq {
        device: session.companion.name.clone(),
        kind,
    });
}

/// Sends the queued stanzas, then `<offline>` with their count. Without `<offline>`, the client
/// waits for one minute.
fn activate(session: &Linked) {
    let mut mailbox = session.companion.mailbox.lock();
    let count = mailbox.activate();
    session.link.send(
        &NodeBuilder::new("ib")
            .attr("from", SERVER_JID)
            .children([NodeBuilder::new("offline").attr("count", count).build()])
            .build(),
    );
}
