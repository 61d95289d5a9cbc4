//! A phone sends: to the other phone inside, and encrypted to each companion concerned.

use std::sync::Arc;

use wacore::messages::MessageUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::account::Kept;
use super::receive::{self, Delivery, Parts};
use super::signal::Bundle;
use super::{Account, Origin};
use crate::companion::Companion;
use crate::group::Group;
use crate::offline::Class;
use crate::world::World;

/// Sends a message to one person (or to the own account).
pub(crate) fn direct(
    world: &Arc<World>,
    from: &Arc<Account>,
    to: &Arc<Account>,
    message: wa::Message,
    id: &str,
) {
    let message = Arc::new(message);
    keep(from, id, &to.number, false, &message);
    let own_copy = device_sent(&message, &to.jid(from.lid_migrated).to_string());
    let timestamp = world.now();

    let shown_here = Delivery {
        id: id.to_owned(),
        origin: origin(from, to.lid_migrated, None),
        timestamp,
        parts: Parts::Plain(if from.number == to.number {
            Arc::clone(&message)
        } else {
            Arc::new(own_copy.clone())
        }),
    };
    receive::deliver(world, from, shown_here.clone());

    let own_plaintext = MessageUtils::encode_and_pad(&own_copy);
    for companion in from.companions() {
        transmit(
            world,
            from,
            &companion,
            &Envelope::direct(from, to, id, timestamp),
            &[Part::Pairwise(&own_plaintext)],
        );
    }
    if from.number == to.number {
        return;
    }
    receive::deliver(
        world,
        to,
        Delivery {
            parts: Parts::Plain(Arc::clone(&message)),
            ..shown_here
        },
    );
    let plaintext = MessageUtils::encode_and_pad(&message);
    for companion in to.companions() {
        transmit(
            world,
            from,
            &companion,
            &Envelope::direct(from, to, id, timestamp),
            &[Part::Pairwise(&plaintext)],
        );
    }
}

/// Sends a message to a group that the phone is in.
pub(crate) fn group(
    world: &Arc<World>,
    from: &Arc<Account>,
    group: &Arc<Group>,
    message: &wa::Message,
    id: &str,
) {
    let message = Arc::new(message.clone());
    keep(from, id, group.id(), true, &message);
    let timestamp = world.now();
    let mut own = origin(from, group.by_lid(), Some(group.id()));
    own.device = 0;
    let name = receive::sender_key(group.id(), &own);
    let (distribution, ciphertext) = {
        let mut signal = from.signal.lock();
        // Made before the ciphertext: a key hands out only what comes after it.
        let distribution = signal.distribution(&name);
        let ciphertext = signal.group_encrypt(&name, &MessageUtils::encode_and_pad(&message));
        (distribution, ciphertext)
    };
    let (Ok(distribution), Ok(ciphertext)) = (distribution, ciphertext) else {
        tracing::warn!(
            phone = from.number,
            "the sender key is unusable, the group message was not sent"
        );
        return;
    };
    let distribution =
        MessageUtils::encode_and_pad(&distribution_message(group.id(), distribution));

    for member in group.members() {
        let Some(account) = world.account_by_number(&member) else {
            continue;
        };
        let delivery = Delivery {
            id: id.to_owned(),
            origin: own.clone(),
            timestamp,
            parts: Parts::Plain(Arc::clone(&message)),
        };
        receive::deliver(world, &account, delivery);
        for companion in account.companions() {
            let envelope = Envelope::group(from, group, id, timestamp);
            let mark = format!("{} {}", group.id(), companion.name);
            if from.sent.lock().distributed.insert(mark) {
                let parts = [Part::Pairwise(&distribution), Part::SenderKey(&ciphertext)];
                transmit(world, from, &companion, &envelope, &parts);
            } else {
                transmit(
                    world,
                    from,
                    &companion,
                    &envelope,
                    &[Part::SenderKey(&ciphertext)],
                );
            }
        }
    }
}

/// Sends one companion something that is no message to show, such as keys.
pub(crate) fn peer(
    world: &Arc<World>,
    from: &Arc<Account>,
    companion: &Arc<Companion>,
    message: &wa::Message,
) {
    let id = from.next_id();
    let mut envelope = Envelope::direct(from, from, &id, world.now());
    envelope.is_peer = true;
    transmit(
        world,
        from,
        companion,
        &envelope,
        &[Part::Pairwise(&MessageUtils::encode_and_pad(message))],
    );
}

/// Encrypts a kept message anew for a companion that could not read it.
///
/// The session starts over: from the keys in the request where it has some, else from a fresh bundle. In a group the
/// message itself goes pairwise, with the sender key inside.
pub(crate) fn resend(
    world: &Arc<World>,
    from: &Arc<Account>,
    companion: &Arc<Companion>,
    id: &str,
    count: u8,
    keys: Option<Bundle>,
) {
    let Some(kept) = from.sent.lock().find(id) else {
        tracing::debug!(
            phone = from.number,
            message = id,
            "asked again for a message that is no longer kept"
        );
        return;
    };
    {
        let mut signal = from.signal.lock();
        signal.forget_session(&companion.address());
        if let Some(keys) = keys
            && let Err(error) = signal.open_session(&companion.address(), &keys)
        {
            tracing::debug!(phone = from.number, %error, "the keys of a retry receipt are unusable");
        }
    }
    let (group, to) = if kept.is_group {
        (world.group(&kept.chat), None)
    } else {
        (None, world.account_by_number(&kept.chat))
    };
    let mut envelope = match (&group, &to) {
        (Some(group), _) => Envelope::group(from, group, id, world.now()),
        (None, Some(to)) => Envelope::direct(from, to, id, world.now()),
        (None, None) => return,
    };
    envelope.count = count;
    let message = if kept.is_group {
        let own = Origin {
            device: 0,
            ..origin(from, true, Some(&kept.chat))
        };
        let Ok(distribution) = from
            .signal
            .lock()
            .distribution(&receive::sender_key(&kept.chat, &own))
        else {
            return;
        };
        let mut message = (*kept.message).clone();
        message.sender_key_distribution_message =
            distribution_message(&kept.chat, distribution).sender_key_distribution_message;
        message
    } else if companion.number == from.number {
        let to = to.as_ref().map(|to| to.jid(from.lid_migrated).to_string());
        device_sent(&kept.message, &to.unwrap_or_default())
    } else {
        (*kept.message).clone()
    };
    transmit(
        world,
        from,
        companion,
        &envelope,
        &[Part::Pairwise(&MessageUtils::encode_and_pad(&message))],
    );
}

enum Part<'a> {
    /// A padded plaintext, encrypted for this companion alone.
    Pairwise(&'a [u8]),
    /// A ciphertext under the sender key.
    SenderKey(&'a [u8]),
}

/// The outside of a message stanza.
struct Envelope<'a> {
    from: &'a Account,
    to: Option<&'a Account>,
    group: Option<&'a Group>,
    id: &'a str,
    timestamp: u64,
    is_peer: bool,
    /// Which retry this is; 0 for the first try.
    count: u8,
}

impl<'a> Envelope<'a> {
    fn direct(from: &'a Account, to: &'a Account, id: &'a str, timestamp: u64) -> Self {
        Self {
            from,
            to: Some(to),
            group: None,
            id,
            timestamp,
            is_peer: false,
            count: 0,
        }
    }

    fn group(from: &'a Account, group: &'a Group, id: &'a str, timestamp: u64) -> Self {
        Self {
            from,
            to: None,
            group: Some(group),
            id,
            timestamp,
            is_peer: false,
            count: 0,
        }
    }

    fn node(&self, reader: &Account, encs: Vec<Node>) -> Node {
        let message = NodeBuilder::new("message")
            .attr("id", self.id)
            .attr("t", self.timestamp)
            .attr("type", "text")
            .attr("notify", self.from.name.as_str());
        let message = match (self.group, self.to) {
            (Some(group), _) => group.address(message, self.from, 0),
            (None, to) => {
                let lid = reader.lid_migrated;
                let message = message.attr("from", self.from.jid(lid));
                if self.is_peer {
                    message.attr("category", "peer")
                } else if reader.number == self.from.number {
                    let to = to.unwrap_or(reader);
                    let message = message.attr("recipient", to.jid(lid));
                    if lid {
                        message.attr("peer_recipient_pn", to.jid(false))
                    } else {
                        message
                    }
                } else if lid {
                    message.attr("sender_pn", self.from.jid(false))
                } else {
                    message
                }
            }
        };
        message.children(encs).build()
    }
}

fn transmit(
    world: &Arc<World>,
    from: &Arc<Account>,
    companion: &Arc<Companion>,
    envelope: &Envelope<'_>,
    parts: &[Part<'_>],
) {
    let Some(reader) = world.account_by_number(&companion.number) else {
        return;
    };
    // Held until the stanza is queued, so that two messages keep their order.
    let mut signal = from.signal.lock();
    let address = companion.address();
    if !signal.has_session(&address) {
        let Some(bundle) = companion.bundle() else {
            tracing::debug!(
                device = companion.name,
                "has uploaded no prekeys yet, nothing can be sent to it"
            );
            return;
        };
        if let Err(error) = signal.open_session(&address, &bundle) {
            tracing::warn!(device = companion.name, %error, "its prekeys are unusable");
            return;
        }
    }
    let mut encs = Vec::with_capacity(parts.len());
    for part in parts {
        let (kind, mut ciphertext) = match part {
            Part::Pairwise(plaintext) => match signal.encrypt(&address, plaintext) {
                Ok(encrypted) => encrypted,
                Err(error) => {
                    tracing::warn!(device = companion.name, %error, "cannot encrypt for it");
                    return;
                }
            },
            Part::SenderKey(ciphertext) => ("skmsg", ciphertext.to_vec()),
        };
        // Keys that a client needs to become ready stay whole.
        if !envelope.is_peer && world.faults.take_garble() {
            garble(&mut ciphertext);
        }
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        let enc = if envelope.count > 0 {
            enc.attr("count", envelope.count)
        } else {
            enc
        };
        encs.push(enc.bytes(ciphertext).build());
    }
    companion.deliver(
        Class::Message,
        envelope.id,
        "",
        &envelope.node(&reader, encs),
    );
    drop(signal);
    from.touch();
    reader.touch();
}

/// The last bytes are the MAC (or signature): the message still parses and fails to verify.
fn garble(ciphertext: &mut [u8]) {
    if let Some(last) = ciphertext.last_mut() {
        *last ^= 0x55;
    }
}

fn keep(from: &Account, id: &str, chat: &str, is_group: bool, message: &Arc<wa::Message>) {
    from.sent.lock().keep(Kept {
        id: id.to_owned(),
        chat: chat.to_owned(),
        is_group,
        message: Arc::clone(message),
    });
}

fn origin(from: &Account, by_lid: bool, group: Option<&str>) -> Origin {
    Origin {
        number: from.number.clone(),
        device: 0,
        by_lid,
        group: group.map(str::to_owned),
    }
}

fn device_sent(message: &wa::Message, destination: &str) -> wa::Message {
    wa::Message {
        device_sent_message: MessageField::some(wa::message::DeviceSentMessage {
            destination_jid: Some(destination.to_owned()),
            message: MessageField::some(message.clone()),
            phash: None,
        }),
        ..Default::default()
    }
}

fn distribution_message(group: &str, distribution: Vec<u8>) -> wa::Message {
    wa::Message {
        sender_key_distribution_message: MessageField::some(
            wa::message::SenderKeyDistributionMessage {
                group_id: Some(format!("{group}@g.us")),
                axolotl_sender_key_distribution_message: Some(distribution),
            },
        ),
        ..Default::default()
    }
}
