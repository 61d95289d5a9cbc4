//! Handles `<receipt>` from a companion: delivered, read, played and retry.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node, NodeRef};

use super::linked::Linked;
use super::{keys, reupload};
use crate::node::attr;
use crate::phone::receipt::detail;
use crate::phone::send;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::event::SimEvent;
use crate::world::offline::Class;

/// Handles a companion's receipt: sends the ack, removes the message from the companion's queue,
/// and forwards the receipt.
pub(crate) fn from_companion(session: &Linked, node: &NodeRef<'_>) {
    let (Some(id), Some(to)) = (
        attr(node, "id"),
        node.get_attr("to")
            .and_then(wacore_binary::node::ValueRef::to_jid),
    ) else {
        return;
    };
    let kind = attr(node, "type").unwrap_or_default();
    session.link.send(&ack(node, &id, &kind));

    let ids = all_ids(node, &id);
    if matches!(
        kind.as_str(),
        "" | "inactive" | "sender" | "peer_msg" | "hist_sync" | "read" | "played"
    ) {
        let mut mailbox = session.companion.mailbox.lock();
        for id in &ids {
            if mailbox.take(Class::Message, id, None) {
                session.world.emit(|| SimEvent::Taken {
                    device: session.companion.name.clone(),
                    id: id.clone(),
                });
            }
        }
        drop(mailbox);
        session.account.touch();
    }
    match kind.as_str() {
        "retry" => retry(session, node, &id, &to),
        "server-error" => reupload::asked(session, node, &id),
        // The companion confirms a call offer. The same receipt has already removed the offer from
        // the queue.
        "" if node.get_optional_child("offer").is_some() => {}
        // These receipts concern only the other devices of the reader.
        "sender" | "peer_msg" | "hist_sync" | "read-self" | "played-self" => {}
        _ => pass_on(session, node, &ids, &to, &kind),
    }
}

fn ack(node: &NodeRef<'_>, id: &str, kind: &str) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", id);
    if !kind.is_empty() {
        ack = ack.attr("type", kind);
    }
    for (from, to) in [("to", "from"), ("participant", "participant")] {
        if let Some(value) = node.get_attr(from) {
            ack = ack.attr(to, value.to_node_value());
        }
    }
    ack.build()
}

fn all_ids(node: &NodeRef<'_>, first: &str) -> Vec<String> {
    let mut ids = vec![first.to_owned()];
    if let Some(list) = node.get_optional_child("list") {
        ids.extend(
            list.get_children_by_tag("item")
                .filter_map(|item| attr(item, "id")),
        );
    }
    ids
}

fn pass_on(session: &Linked, node: &NodeRef<'_>, ids: &[String], to: &Jid, kind: &str) {
    let author = node
        .get_attr("participant")
        .and_then(wacore_binary::node::ValueRef::to_jid);
    let Some(account) = session.world.account(author.as_ref().unwrap_or(to)) else {
        return;
    };
    for id in ids {
        if account.number != session.account.number {
            let reader = &session.account.number;
            account.ticks.lock().note(id, reader, kind);
        }
        session.world.emit(|| SimEvent::Receipt {
            id: id.clone(),
            from: session.companion.name.clone(),
            to: account.number.clone(),
            kind: if kind.is_empty() {
                "delivered".to_owned()
            } else {
                kind.to_owned()
            },
        });
        for companion in account.companions() {
            if companion.name == session.companion.name {
                continue;
            }
            let receipt = NodeBuilder::new("receipt")
                .attr("id", id.as_str())
                .attr("t", session.world.now());
            let receipt = if kind.is_empty() {
                receipt
            } else {
                receipt.attr("type", kind)
            };
            let (receipt, participant) = under_name(session, receipt, &account, to);
            companion.deliver(
                Class::Receipt,
                id,
                &detail(kind, &participant),
                &receipt.build(),
            );
        }
    }
    account.touch();
}

/// Names the reader on a receipt by the address known to `account`. Returns the receipt, and the
/// address for the key of the queue.
fn under_name(
    session: &Linked,
    receipt: NodeBuilder,
    account: &Account,
    to: &Jid,
) -> (NodeBuilder, String) {
    if to.is_group()
        && let Some(group) = session.world.group(&to.user)
    {
        let participant = session.companion.jid(group.by_lid());
        let mark = participant.to_string();
        return (
            receipt
                .attr("from", group.jid())
                .attr("participant", participant),
            mark,
        );
    }
    (
        receipt.attr("from", session.companion.jid(account.lid_migrated)),
        String::new(),
    )
}

/// Handles a retry receipt: the companion could not decrypt a message, so the phone or companion
/// that sent the message must resend it.
fn retry(session: &Linked, node: &NodeRef<'_>, id: &str, to: &Jid) {
    let author = node
        .get_attr("participant")
        .and_then(wacore_binary::node::ValueRef::to_jid)
        .unwrap_or_else(|| to.clone());
    let Some(account) = session.world.account(&author) else {
        return;
    };
    let count = node
        .get_optional_child("retry")
        .and_then(|retry| attr(retry, "count"))
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    session.world.emit(|| SimEvent::Receipt {
        id: id.to_owned(),
        from: session.companion.name.clone(),
        to: format!("{}:{}", account.number, author.device),
        kind: "retry".to_owned(),
    });
    if author.device == 0 {
        let keys = keys::keys_of_retry(node, &session.companion);
        send::resend(
            &session.world,
            &account,
            &session.companion,
            id,
            count,
            keys,
        );
    } else if let Some(author) = account.companion(author.device) {
        forward_retry(session, node, id, to, &account, &author);
    }
}

fn forward_retry(
    session: &Linked,
    node: &NodeRef<'_>,
    id: &str,
    to: &Jid,
    account: &Account,
    author: &Arc<Companion>,
) {
    let receipt = NodeBuilder::new("receipt")
        .attr("id", id)
        .attr("t", session.world.now())
        .attr("type", "retry");
    let (mut receipt, participant) = under_name(session, receipt, account, to);
    if let Some(recipient) = node.get_attr("recipient") {
        receipt = receipt.attr("recipient", recipient.to_node_value());
    }
    let children: Vec<_> = node
        .children()
        .unwrap_or_default()
        .iter()
        .map(NodeRef::to_owned)
        .collect();
    author.deliver(
        Class::Receipt,
        id,
        &detail("retry", &participant),
        &receipt.children(children).build(),
    );
    account.touch();
}
