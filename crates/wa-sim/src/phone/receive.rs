//! Receives a message on a phone: decrypts the message, shows the message once, and sends receipts.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;
use wacore::messages::MessageUtils;
use wacore_libsignal::protocol::{ProtocolAddress, SenderKeyName, SignalProtocolError};
use waproto::whatsapp as wa;

use super::{asking, content, habits};
use crate::world::World;
use crate::world::account::Account;
use crate::world::delivery::{Delivery, Enc, Origin, Parts};
use crate::world::event::SimEvent;
use crate::world::inbox::InboxMessage;

/// Switches the phone on or off. A phone switched on handles the queued messages in order.
pub(crate) fn set_online(world: &Arc<World>, account: &Arc<Account>, online: bool) {
    let waited = {
        let mut held = account.held.lock();
        held.offline = !online;
        account.touch();
        if online {
            std::mem::take(&mut held.queue)
        } else {
            VecDeque::new()
        }
    };
    for delivery in waited {
        process(world, account, &delivery);
    }
}

/// Delivers a message to the phone, or queues the message if the phone is off.
pub(crate) fn deliver(world: &Arc<World>, account: &Arc<Account>, delivery: Delivery) {
    {
        let mut held = account.held.lock();
        if held.offline {
            held.queue.push_back(delivery);
            drop(held);
            account.touch();
            return;
        }
    }
    process(world, account, &delivery);
}

fn process(world: &Arc<World>, account: &Arc<Account>, delivery: &Delivery) {
    account.touch();
    match &delivery.parts {
        Parts::Plain(message) => show(world, account, delivery, message),
        Parts::Encrypted(encs) => {
            if asking::may_fail(account, &delivery.id) && world.faults.take_undecryptable() {
                asking::ask(world, account, delivery);
                return;
            }
            match decrypt(account, delivery, encs) {
                Ok(messages) => {
                    asking::answered(account, &delivery.id);
                    for message in messages {
                        show(world, account, delivery, &message);
                    }
                }
                // The message key was already used. Usually the same ciphertext arrived again: the
                // message is in the inbox, and the phone sends the receipts again. Otherwise a
                // different ciphertext has used the key, and the message is lost.
                Err(SignalProtocolError::DuplicatedMessage(..)) => {
                    if !account.inbox.lock().shows(&delivery.id) {
                        world.emit(|| SimEvent::KeyReused {
                            phone: account.number.clone(),
                            id: delivery.id.clone(),
                        });
                    }
                    repeated(world, account, delivery);
                }
                Err(error) => {
                    tracing::debug!(phone = account.number, message = delivery.id, %error, "message cannot be decrypted; requesting a resend");
                    asking::ask(world, account, delivery);
                }
            }
        }
    }
}

fn decrypt(
    account: &Account,
    delivery: &Delivery,
    encs: &[Enc],
) -> Result<Vec<wa::Message>, SignalProtocolError> {
    let peer = ProtocolAddress::new(
        &delivery.origin.number,
        u32::from(delivery.origin.device).into(),
    );
    let sender = delivery
        .origin
        .group
        .as_deref()
        .map(|group| sender_key(group, &delivery.origin));
    let mut messages = Vec::with_capacity(encs.len());
    let mut signal = account.signal.lock();
    for enc in encs {
        let plaintext = match (enc.kind.as_str(), &sender) {
            ("skmsg", Some(sender)) => signal.group_decrypt(sender, &enc.ciphertext)?,
            (kind, _) => signal.decrypt(&peer, kind, &enc.ciphertext)?,
        };
        let message = MessageUtils::unpad_message_ref(&plaintext, enc.version)
            .ok()
            .and_then(|plaintext| waproto::codec::message_decode(plaintext).ok())
            .ok_or(SignalProtocolError::InvalidProtobufEncoding)?;
        if let Some(key) = message.sender_key_distribution_message.as_option()
            && let (Some(group), Some(distribution)) =
                (&key.group_id, &key.axolotl_sender_key_distribution_message)
        {
            let name = sender_key(group.trim_end_matches("@g.us"), &delivery.origin);
            signal.learn_sender_key(&name, distribution)?;
        }
        messages.push(message);
    }
    Ok(messages)
}

fn show(world: &Arc<World>, account: &Arc<Account>, delivery: &Delivery, message: &wa::Message) {
    let origin = &delivery.origin;
    let from_me = origin.number == account.number;
    let (chat, message) = match message.device_sent_message.as_option() {
        Some(sent) if from_me => {
            let chat = world.chat_name(sent.destination_jid.as_deref().unwrap_or_default());
            (chat, sent.message.as_option().unwrap_or(message))
        }
        _ => (
            origin
                .group
                .clone()
                .unwrap_or_else(|| origin.number.clone()),
            message,
        ),
    };
    let Some(mut shown) = content::describe(message) else {
        return;
    };
    if let Some(download) = &shown.download {
        world
            .checked
            .describe(&world.media, download, &mut shown.fields);
    }
    if let Some(quoted) = &shown.quoted {
        let author = quoted.author.as_deref().map(|jid| world.chat_name(jid));
        shown.fields.insert(
            "quoted".to_owned(),
            json!({ "id": quoted.id, "from": author, "kind": quoted.kind, "text": quoted.text }),
        );
    }
    let kind = shown.kind.clone();
    let number = account.inbox.lock().show(InboxMessage {
        id: delivery.id.clone(),
        chat: chat.clone(),
        from: origin.number.clone(),
        from_me,
        kind: shown.kind,
        text: shown.text,
        timestamp: delivery.timestamp,
        fields: shown.fields,
        download: shown.download,
    });
    let is_new = number.is_some();
    if let Some(number) = number {
        account.shown.send_replace(number);
        world.emit(|| SimEvent::PhoneMessage {
            phone: account.number.clone(),
            id: delivery.id.clone(),
            chat: chat.clone(),
            from: origin.number.clone(),
            kind,
        });
    } else {
        world.emit(|| SimEvent::Duplicate {
            phone: account.number.clone(),
            id: delivery.id.clone(),
        });
    }
    if !from_me {
        habits::acknowledge(world, account, &chat, origin, &delivery.id, is_new);
    }
}

fn repeated(world: &Arc<World>, account: &Arc<Account>, delivery: &Delivery) {
    account.inbox.lock().repeat();
    world.emit(|| SimEvent::Duplicate {
        phone: account.number.clone(),
        id: delivery.id.clone(),
    });
    if delivery.origin.number != account.number {
        let chat = delivery
            .origin
            .group
            .as_deref()
            .unwrap_or(&delivery.origin.number)
            .to_owned();
        habits::acknowledge(world, account, &chat, &delivery.origin, &delivery.id, false);
    }
}

/// Returns the name of a sender key in the phones' stores.
pub(crate) fn sender_key(group: &str, origin: &Origin) -> SenderKeyName {
    SenderKeyName::from_parts(group, &format!("{}:{}", origin.number, origin.device))
}
