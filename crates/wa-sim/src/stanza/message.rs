//! Handles `<message>` from a companion: acknowledges the stanza, then forwards each ciphertext to
//! the addressed device.

use std::collections::HashMap;
use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node, NodeRef};

use super::group;
use super::linked::Linked;
use crate::node::attr;
use crate::phone::receive;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::delivery::{Delivery, Enc, Origin, Parts};
use crate::world::event::SimEvent;
use crate::world::fault::Verdict;
use crate::world::group::Group;
use crate::world::offline::Class;

/// The error code of an ack to an unknown recipient.
const UNKNOWN_RECIPIENT: u16 = 404;
/// The error code of an ack to a malformed stanza.
const BAD_STANZA: u16 = 479;

/// Acknowledges a message stanza, applies the faults, and forwards the message.
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
        // The server did not accept the message, so the same id sent again is not a repeat.
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

/// Returns the ack of a message, without the attribute `phash`. A client compares `phash` only if
/// the ack has the attribute, and fetches the device lists again after a difference.
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

/// The destination of a message.
enum Route {
    /// A chat with a person, given by the account of the person.
    Direct(Arc<Account>),
    Group(Arc<Group>),
    /// A status post, a broadcast list or a newsletter. The server accepts the message and delivers
    /// no copy.
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
        // If a message is resent to a device of the sender's own account, `recipient` names the
        // chat.
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
                    pass_to_device(session, node, id, target, encs, &ChatRef::Direct(chat));
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
                        pass_to_device(session, node, id, target, encs, &ChatRef::Group(group));
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
                        pass_to_device(session, node, id, &target, &encs, &ChatRef::Group(group));
                    }
                }
            }
        }
    }
}

/// The chat of a message, as the sender sees the chat.
enum ChatRef<'a> {
    Direct(&'a Arc<Account>),
    Group(&'a Arc<Group>),
}

type Target = (String, u16);

/// Returns whether the message is a resend after a retry receipt. Such a resend has the attribute
/// `count` on an `<enc>`, and the server must not treat the resend as a repeat.
fn is_asked_for(node: &NodeRef<'_>) -> bool {
    let participants = node.get_optional_child("participants");
    let each = participants.and_then(NodeRef::children).unwrap_or_default();
    let encs = each.iter().chain([node]).flat_map(own_encs);
    encs.into_iter().any(|enc| enc.get_attr("count").is_some())
}

/// Returns the ciphertexts for each single device: from `<participants>`, or from an `<enc>` on the
/// stanza itself if the stanza is for one device (a resend, or a message to the own phone).
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
    place: &ChatRef<'_>,
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
    place: &ChatRef<'_>,
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
        // The receipt names the reader as the sender addressed the reader: by LID or by phone
        // number.
        ChatRef::Direct(_) => (
            node.get_attr("to")
                .and_then(wacore_binary::node::ValueRef::to_jid)
                .is_some_and(|to| to.is_lid()),
            None,
        ),
        ChatRef::Group(group) => (group.by_lid(), Some(group.id().to_owned())),
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

/// Returns the stanza for another companion. The addresses are the LIDs or phone numbers used by
/// the account of the reader.
fn forwarded(
    session: &Linked,
    node: &NodeRef<'_>,
    id: &str,
    reader: &Account,
    encs: &[&NodeRef<'_>],
    place: &ChatRef<'_>,
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
        ChatRef::Group(group) => group::address(group, message, &session.account, sender.device),
        ChatRef::Direct(chat) => {
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
    // `device-identity` lets the reader verify a companion that opens a new session.
    for child in node.children().unwrap_or_default() {
        if matches!(child.tag.as_ref(), "device-identity" | "reporting" | "meta") {
            children.push(NodeRef::to_owned(child));
        }
    }
    message.children(children).build()
}
