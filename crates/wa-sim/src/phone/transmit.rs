//! The last step of sending: encrypts a plaintext and queues the stanza for one companion.

use std::sync::Arc;

use wacore::send::{media_type_from_message, stanza_type_from_message};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use crate::stanza::{group, keys};
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::Companion;
use crate::world::group::Group;
use crate::world::offline::Class;

/// An `<enc>` of a message.
pub(super) enum Part<'a> {
    /// A padded plaintext, to encrypt for this companion alone.
    Pairwise(&'a [u8]),
    /// A ciphertext under the sender key.
    SenderKey(&'a [u8]),
}

/// The attributes of a message stanza.
pub(super) struct Envelope<'a> {
    from: &'a Account,
    to: Option<&'a Account>,
    group: Option<&'a Group>,
    /// The broadcast list of the message.
    list: Option<&'a str>,
    id: &'a str,
    timestamp: u64,
    /// `text`, `media` and so on.
    kind: &'static str,
    media_type: Option<&'static str>,
    /// The effect on an earlier message.
    edit: Option<&'static str>,
    pub(super) is_peer: bool,
    /// The retry count; 0 for the first attempt.
    pub(super) count: u8,
}

impl<'a> Envelope<'a> {
    pub(super) fn direct(from: &'a Account, to: &'a Account, id: &'a str, timestamp: u64) -> Self {
        Self {
            from,
            to: Some(to),
            group: None,
            list: None,
            id,
            timestamp,
            kind: "text",
            media_type: None,
            edit: None,
            is_peer: false,
            count: 0,
        }
    }

    pub(super) fn group(from: &'a Account, group: &'a Group, id: &'a str, timestamp: u64) -> Self {
        Self {
            from,
            to: None,
            group: Some(group),
            list: None,
            id,
            timestamp,
            kind: "text",
            media_type: None,
            edit: None,
            is_peer: false,
            count: 0,
        }
    }

    /// Sets the attributes about the kind of the message, as real senders do.
    pub(super) fn around(mut self, message: &wa::Message) -> Self {
        self.kind = stanza_type_from_message(message);
        self.media_type = media_type_from_message(message);
        self.edit = edit(message);
        self
    }

    pub(super) fn listed(mut self, list: &'a str) -> Self {
        self.list = Some(list);
        self
    }

    fn node(&self, reader: &Account, encs: Vec<Node>) -> Node {
        let message = NodeBuilder::new("message")
            .attr("id", self.id)
            .attr("t", self.timestamp)
            .attr("type", self.kind)
            .attr("notify", self.from.name.as_str());
        let message = match self.edit {
            Some(edit) => message.attr("edit", edit),
            None => message,
        };
        let lid = reader.lid_migrated;
        let message = match (self.group, self.list, self.to) {
            (Some(group), ..) => group::address(group, message, self.from, 0),
            (None, Some(list), _) => {
                let message = message
                    .attr("from", format!("{list}@broadcast"))
                    .attr("participant", self.from.jid(lid));
                if lid {
                    message.attr("participant_pn", self.from.jid(false))
                } else {
                    message
                }
            }
            (None, None, to) => {
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

/// Returns the attribute `edit` of the stanza: 1 for an edit, 7 for a deletion by the author
/// (`EditAttribute` in wacore).
fn edit(message: &wa::Message) -> Option<&'static str> {
    if message.edited_message.is_set() {
        return Some("1");
    }
    let kind = message.protocol_message.as_option()?.r#type?;
    (kind == ProtocolType::Revoke).then_some("7")
}

/// Encrypts for one companion and queues the stanza.
///
/// A companion without uploaded prekeys (linked a moment ago) gets the message after the upload.
pub(super) fn transmit(
    world: &Arc<World>,
    from: &Arc<Account>,
    companion: &Arc<Companion>,
    envelope: &Envelope<'_>,
    parts: &[Part<'_>],
) {
    let Some(reader) = world.account_by_number(&companion.number) else {
        return;
    };
    // The lock is held until the stanza is queued, so that two messages keep their order.
    let mut signal = from.signal.lock();
    let address = companion.address();
    if !signal.has_session(&address) {
        let Some(bundle) = keys::take_bundle(companion) else {
            if !envelope.is_peer {
                companion.postpone(&from.number, envelope.id);
            }
            return;
        };
        if let Err(error) = signal.open_session(&address, &bundle) {
            tracing::warn!(device = companion.name, %error, "prekeys of the device cannot be used");
            return;
        }
    }
    let mut encs = Vec::with_capacity(parts.len());
    for part in parts {
        let (kind, mut ciphertext) = match part {
            Part::Pairwise(plaintext) => match signal.encrypt(&address, plaintext) {
                Ok(encrypted) => encrypted,
                Err(error) => {
                    tracing::warn!(device = companion.name, %error, "message cannot be encrypted for the device");
                    return;
                }
            },
            Part::SenderKey(ciphertext) => ("skmsg", ciphertext.to_vec()),
        };
        // The fault does not apply to keys that a client needs to become ready.
        if !envelope.is_peer && world.faults.take_garble() {
            garble(&mut ciphertext);
        }
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        let enc = match envelope.media_type {
            Some(media_type) => enc.attr("mediatype", media_type),
            None => enc,
        };
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

/// Changes the last byte, a part of the MAC (or signature): the message still parses, but the
/// verification fails.
fn garble(ciphertext: &mut [u8]) {
    if let Some(last) = ciphertext.last_mut() {
        *last ^= 0x55;
    }
}
