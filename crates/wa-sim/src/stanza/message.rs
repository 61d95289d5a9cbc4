//! `<message>` from a companion: acknowledge it, then pass each ciphertext to the device it is for.

use std::collections::HashMap;
use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node, NodeRef};

use super::{Linked, attr};
use crate::companion::Companion;
use crate::event::SimEvent;
use crate::fault::Verdict;
use crate::group::Group;
use crate::offline::Class;
use crate::phone::receive::{self, Delivery, Enc, Parts};
use crate::phone::{Account, Origin};

/// The server's answer where it knows no such recipient.
const UNKNOWN_RECIPIENT: u16 = 404;
/// The server's answer to a stanza that is not well-formed.
const BAD_STANZA: u16 = 479;

/// Handles a message stanza.
pub(crate) fn from_companion(session: &Linked, node: &NodeRef<'_>) {
    let Some(id) = attr(node, "id").filter(|id| !id.is_empty()) else {
        return;
    };
    let Some(to) = node
        .get_attr("to")
        .and_then(wacore_binary::node::ValueRef::to_jid)
    else {
        acknowledge(session, node, &id, Some(BAD_STANZA));
        return;
    };
    session.world.emit(|| SimEvent::Stanza {
        id: id.clone(),
        from: session.companion.name.clone(),
        to: session.world.chat_name(&to.to_non_ad().to_string()),
    });
    if session.world.faults.dedupe() && session.companion.has_taken(&id) && !is_asked_for(node) {
        acknowledge(session, node, &id, None);
        return;
    }
    let Some(route) = Route::of(session, node, &to) else {
        acknowledge(session, node, &id, Some(UNKNOWN_RECIPIENT));
        return;
    };
    let verdict = session.world.faults.verdict();
    if let Verdict::Nack(code) = verdict {
        // It was not taken: sent again it is no repeat.
        acknowledge(session, node, &id, Some(code));
        return;
    }
    session.companion.take_id(&id);
    match verdict {
        Verdict::Nack(_) | Verdict::Silent => {}
        Verdict::Ack(delay) if delay.is_zero() => acknowledge(session, node, &id, None),
        Verdict::Ack(delay) => {
            let (link, ack) = (session.link.clone(), ack_node(session, node, &id, None));
            let (world, device, id) = (
                Arc::clone(&session.world),
                session.companion.name.clone(),
                id.clone(),
            );
            session.world.spawn(async move {
                world.pause(delay).await;
                world.emit(|| SimEvent::Acked {
                    id,
                    device,
                    error: None,
                });
                link.send(&ack);
            });
        }
    }
    session.account.touch();
    route.pass_on(session, node, &id);
}

fn acknowledge(session: &Linked, node: &NodeRef<'_>, id: &str, error: Option<u16>) {
    session.world.emit(|| SimEvent::Acked {
        id: id.to_owned(),
        device: session.companion.name.clone(),
        error,
    });
    session.link.send(&ack_node(session, node, id, error));
}

/// The ack has no `phash`: a client compares it only where there is one, and re-reads device lists if it differs.
fn ack_node(session: &Linked, node: &NodeRef<'_>, id: &str, error: Option<u16>) -> Node {
    let ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", id)
        .attr("t", session.world.now());
    let ack = match node.get_attr("to") {
        Some(to) => ack.attr("from", to.to_node_value()),
        None => ack,
    };
    match error {
        Some(code) => ack.attr("error", code).build(),
        None => ack.build(),
    }
}

/// Where a message goes.
enum Route {
    /// A person; the account that the chat is with.
    Direct(Arc<Account>),
    Group(Arc<Group>),
    /// Status and lists: accepted, shown nowhere.
    Nowhere,
}

impl Route {
    fn of(session: &Linked, node: &NodeRef<'_>, to: &Jid) -> Option<Self> {
        if to.is_group() {
            let group = session.world.group(&to.user)?;
            return group
                .has_member(&session.account.number)
                .then_some(Self::Group(group));
        }
        if to.is_status_broadcast() || to.is_broadcast_list() || to.is_newsletter() {
            return Some(Self::Nowhere);
        }
        // A resend to an own device names the chat in `recipient`.
        let chat = node
            .get_attr("recipient")
            .and_then(wacore_binary::node::ValueRef::to_jid);
        session
            .world
            .account(chat.as_ref().unwrap_or(to))
            .map(Self::Direct)
    }

    fn pass_on(&self, session: &Linked, node: &NodeRef<'_>, id: &str) {
        let mut parcels = addressed(session, node);
        match self {
            Self::Nowhere => {}
            Self::Direct(chat) => {
                for (target, encs) in &parcels {
                    pass_to_device(session, node, id, target, encs, &Place::Direct(chat));
                }
            }
            Self::Group(group) => {
                let shared: Vec<_> = if node.get_attr("participant").is_some() {
                    Vec::new()
                } else {
                    own_encs(node)
                };
                if shared.is_empty() {
                    for (target, encs) in &parcels {
                        pass_to_device(session, node, id, target, encs, &Place::Group(group));
                    }
                    return;
                }
                for member in group.members() {
                    let Some(account) = session.world.account_by_number(&member) else {
                        continue;
                    };
                    let devices = account
                        .companions()
                        .into_iter()
                        .map(|companion| companion.device);
                    for device in std::iter::once(0).chain(devices) {
                        let target = (member.clone(), device);
                        if member == session.account.number && device == session.companion.device {
                            continue;
                        }
                        let mut encs = parcels.remove(&target).unwrap_or_default();
                        encs.extend(shared.iter().copied());
                        pass_to_device(session, node, id, &target, &encs, &Place::Group(group));
                    }
                }
            }
        }
    }
}

/// Whose chat a message belongs to, seen from its sender.
enum Place<'a> {
    Direct(&'a Arc<Account>),
    Group(&'a Arc<Group>),
}

type Target = (String, u16);

/// Whether it is sent again to a device that could not read it, which says so: no server may take that for a repeat.
fn is_asked_for(node: &NodeRef<'_>) -> bool {
    let participants = node.get_optional_child("participants");
    let each = participants.and_then(NodeRef::children).unwrap_or_default();
    let encs = each.iter().chain([node]).flat_map(own_encs);
    encs.into_iter().any(|enc| enc.get_attr("count").is_some())
}

/// The ciphertexts that are for one device each: `<participants>`, or an `<enc>` on the stanza itself where the stanza
/// is for a single device (a resend, or a message to the own phone).
fn addressed<'a, 'n>(
    session: &Linked,
    node: &'n NodeRef<'a>,
) -> HashMap<Target, Vec<&'n NodeRef<'a>>> {
    let mut parcels: HashMap<Target, Vec<&NodeRef<'_>>> = HashMap::new();
    let target = |jid: &Jid| Some((session.world.account(jid)?.number.clone(), jid.device));
    if let Some(participants) = node.get_optional_child("participants") {
        for to in participants.children().unwrap_or_default() {
            if let Some(target) = to
                .get_attr("jid")
                .and_then(wacore_binary::node::ValueRef::to_jid)
                .and_then(|jid| target(&jid))
            {
                parcels.entry(target).or_default().extend(own_encs(to));
            }
        }
    }
    let single = node
        .get_attr("participant")
        .or_else(|| node.get_attr("to"))
        .and_then(wacore_binary::node::ValueRef::to_jid);
    if let Some(target) = single.and_then(|jid| target(&jid)) {
        let encs = own_encs(node);
        if !encs.is_empty() {
            parcels.entry(target).or_default().extend(encs);
        }
    }
    parcels
}

fn own_encs<'a, 'n>(node: &'n NodeRef<'a>) -> Vec<&'n NodeRef<'a>> {
    node.children()
        .unwrap_or_default()
        .iter()
        .filter(|child| child.tag.as_ref() == "enc")
        .collect()
}

fn pass_to_device(
    session: &Linked,
    node: &NodeRef<'_>,
    id: &str,
    (number, device): &Target,
    encs: &[&NodeRef<'_>],
    place: &Place<'_>,
) {
    let Some(account) = session.world.account_by_number(number) else {
        return;
    };
    if *device == 0 {
        pass_to_phone(session, node, id, &account, encs, place);
    } else if let Some(companion) = account.companion(*device) {
        let stanza = forwarded(session, node, id, &account, encs, place);
        companion.deliver(Class::Message, id, "", &stanza);
        account.touch();
    }
}

fn pass_to_phone(
    session: &Linked,
    node: &NodeRef<'_>,
    id: &str,
    account: &Arc<Account>,
    encs: &[&NodeRef<'_>],
    place: &Place<'_>,
) {
    let encs = encs
        .iter()
        .map(|enc| Enc {
            kind: attr(enc, "type").unwrap_or_default(),
            version: attr(enc, "v")
                .and_then(|version| version.parse().ok())
                .unwrap_or(2),
            ciphertext: enc.content_bytes().unwrap_or_default().to_vec(),
        })
        .collect();
    let (by_lid, group) = match place {
        // Receipts answer under the name by which the sender wrote to us.
        Place::Direct(_) => (
            node.get_attr("to")
                .and_then(wacore_binary::node::ValueRef::to_jid)
                .is_some_and(|to| to.is_lid()),
            None,
        ),
        Place::Group(group) => (group.by_lid(), Some(group.id().to_owned())),
    };
    let origin = Origin {
        number: session.account.number.clone(),
        device: session.companion.device,
        by_lid,
        group,
    };
    let delivery = Delivery {
        id: id.to_owned(),
        origin,
        timestamp: session.world.now(),
        parts: Parts::Encrypted(encs),
    };
    receive::deliver(&session.world, account, delivery);
}

/// The stanza as another companion gets it, under the names its account uses.
fn forwarded(
    session: &Linked,
    node: &NodeRef<'_>,
    id: &str,
    reader: &Account,
    encs: &[&NodeRef<'_>],
    place: &Place<'_>,
) -> Node {
    let sender: &Companion = &session.companion;
    let mut message = NodeBuilder::new("message")
        .attr("id", id)
        .attr("t", session.world.now())
        .attr(
            "type",
            attr(node, "type").unwrap_or_else(|| "text".to_owned()),
        )
        .attr("notify", session.account.name.as_str());
    for name in ["edit", "category"] {
        if let Some(value) = attr(node, name) {
            message = message.attr(name, value);
        }
    }
    let lid = reader.lid_migrated;
    message = match place {
        Place::Group(group) => group.address(message, &session.account, sender.device),
        Place::Direct(chat) => {
            let message = message.attr("from", sender.jid(lid));
            if reader.number == session.account.number {
                let message = message.attr("recipient", chat.jid(lid));
                if lid {
                    message.attr("peer_recipient_pn", chat.jid(false))
                } else {
                    message
                }
            } else if lid {
                message.attr("sender_pn", session.account.jid(false))
            } else {
                message
            }
        }
    };
    let mut children: Vec<_> = encs.iter().map(|enc| NodeRef::to_owned(enc)).collect();
    // Without it the reader cannot check a companion that opens a session.
    for child in node.children().unwrap_or_default() {
        if matches!(child.tag.as_ref(), "device-identity" | "reporting" | "meta") {
            children.push(NodeRef::to_owned(child));
        }
    }
    message.children(children).build()
}
