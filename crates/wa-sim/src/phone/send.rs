//! Sends a message of a phone: without encryption to the other virtual phone, and encrypted to each
//! companion of the sender and the receivers.

use std::sync::Arc;

use wacore::messages::MessageUtils;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::receive;
use super::transmit::{Envelope, Part, transmit};
use crate::world::World;
use crate::world::account::{Account, SentMessage};
use crate::world::companion::Companion;
use crate::world::delivery::{Delivery, Origin, Parts};
use crate::world::group::Group;
use crate::world::signal::Bundle;

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
            &Envelope::direct(from, to, id, timestamp).around(&message),
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
            &Envelope::direct(from, to, id, timestamp).around(&message),
            &[Part::Pairwise(&plaintext)],
        );
    }
}

/// Sends the message of a broadcast list to one recipient.
pub(crate) fn listed(
    world: &Arc<World>,
    from: &Arc<Account>,
    to: &Arc<Account>,
    message: wa::Message,
    id: &str,
    list: &str,
) {
    let message = Arc::new(message);
    keep(from, id, &to.number, false, &message);
    let timestamp = world.now();
    let delivery = Delivery {
        id: id.to_owned(),
        origin: origin(from, to.lid_migrated, None),
        timestamp,
        parts: Parts::Plain(Arc::clone(&message)),
    };
    receive::deliver(world, to, delivery);
    let plaintext = MessageUtils::encode_and_pad(&message);
    for companion in to.companions() {
        let envelope = Envelope::direct(from, to, id, timestamp).around(&message);
        let parts = [Part::Pairwise(&plaintext)];
        transmit(world, from, &companion, &envelope.listed(list), &parts);
    }
}

/// Sends a message to a group of the phone.
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
        // The distribution must be created before the ciphertext, because the distributed key
        // decrypts only later ciphertexts.
        let distribution = signal.distribution(&name);
        let ciphertext = signal.group_encrypt(&name, &MessageUtils::encode_and_pad(&message));
        (distribution, ciphertext)
    };
    let (Ok(distribution), Ok(ciphertext)) = (distribution, ciphertext) else {
        tracing::warn!(
            phone = from.number,
            "group message not sent: the sender key cannot be used"
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
            let envelope = Envelope::group(from, group, id, timestamp).around(&message);
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

/// Replaces the phone's sender key of a group, so that a removed member cannot decrypt later
/// messages. Every remaining device gets the new key.
pub(crate) fn rotate_sender_key(account: &Account, group: &str) {
    let own = origin(account, true, Some(group));
    let name = receive::sender_key(group, &own);
    account.signal.lock().forget_sender_key(&name);
    let prefix = format!("{group} ");
    let mut sent = account.sent.lock();
    sent.distributed.retain(|mark| !mark.starts_with(&prefix));
    drop(sent);
    account.touch();
}

/// Sends a companion a message that is not shown, such as keys.
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

/// Encrypts a kept message again for a companion that could not decrypt the message.
///
/// The phone starts a new session: from the keys in the retry receipt, or else from a fresh bundle.
/// A group message is encrypted for the single companion, with the sender key inside.
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
            "resend requested for a message that is no longer stored"
        );
        return;
    };
    {
        let mut signal = from.signal.lock();
        signal.forget_session(&companion.address());
        if let Some(keys) = keys
            && let Err(error) = signal.open_session(&companion.address(), &keys)
        {
            tracing::debug!(phone = from.number, %error, "keys of a retry receipt cannot be used");
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
    envelope = envelope.around(&kept.message);
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

fn keep(from: &Account, id: &str, chat: &str, is_group: bool, message: &Arc<wa::Message>) {
    from.sent.lock().keep(SentMessage {
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
