//! Links companions: the QR codes, the phone's signature, and the unlinking.
//!
//! An unpaired client gets six refs and shows a QR code for each: the first for 60 s, the others
//! for 20 s each. A phone that scans a code signs the companion's identity key. An HMAC protects
//! the signed identity. The key of the HMAC is a secret in the QR code, so the server cannot
//! substitute an identity key.

pub(crate) mod link_code;
mod offer;
pub(crate) mod unlink;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wacore::pair::PairUtils;
use wacore_binary::OwnedNodeRef;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use crate::iq::answer::Answer;
use crate::node::attr;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::DeviceInfo;
use crate::world::link::Link;
use crate::world::pairings::{REFS, ScanError, Unpaired};

/// Sends the refs to an unpaired client.
pub(crate) fn begin(
    world: &World,
    link: Link,
    noise_key: [u8; 32],
    payload: &wa::ClientPayload,
) -> Arc<Unpaired> {
    let refs: Vec<_> = (0..REFS)
        .map(|index| format!("2@{}{index}", world.next_id()))
        .collect();
    let unpaired = Arc::new(Unpaired::new(link, noise_key, platform(payload), refs));
    world.pairings.lock().add(&unpaired);
    world.emit_waiting();
    let refs = unpaired
        .refs
        .iter()
        .map(|code| NodeBuilder::new("ref").bytes(code.as_bytes()).build());
    let pair_device = NodeBuilder::new("pair-device")
        .children(refs.collect::<Vec<_>>())
        .build();
    let question = offer::question(&world.next_id(), pair_device);
    unpaired.link.send(&question);
    unpaired
}

/// Handles a stanza of an unpaired client.
pub(crate) fn handle(world: &World, unpaired: &Arc<Unpaired>, node: &OwnedNodeRef) {
    let node = node.get();
    if node.tag.as_ref() != "iq" {
        return;
    }
    if let Some("result" | "error") = attr(node, "type").as_deref() {
        offer::answered(world, unpaired, node);
    } else {
        let answer = match node.get_optional_child("link_code_companion_reg") {
            Some(request) => link_code::answer(world, unpaired, request),
            None if attr(node, "xmlns").as_deref() == Some("w:p") => Answer::empty(),
            None => Answer::UNKNOWN,
        };
        unpaired.link.send(&answer.to_node(node));
        link_code::continue_after(world, unpaired, node);
    }
}

/// Removes the refs of a closed connection.
pub(crate) fn end(world: &World, unpaired: &Arc<Unpaired>) {
    world.pairings.lock().remove(unpaired);
    world.emit_waiting();
    if let Some(pending) = unpaired.pending.lock().take() {
        let _ = pending.done.send(Err(ScanError::Refused(
            "the client closed the connection".to_owned(),
        )));
    }
}

/// Links a companion to a phone by QR code.
pub(crate) async fn scan(
    world: &Arc<World>,
    account: &Arc<Account>,
    qr: &str,
) -> Result<DeviceInfo, ScanError> {
    let qr = qr.trim();
    let (code, noise_key, identity) =
        PairUtils::parse_qr_code(qr).map_err(|error| ScanError::Unreadable(error.to_string()))?;
    // `parse_qr_code` drops the secret, the fourth field.
    let secret = qr
        .split(',')
        .nth(3)
        .and_then(|secret| STANDARD.decode(secret).ok())
        .filter(|secret| secret.len() == 32)
        .ok_or_else(|| {
            ScanError::Unreadable("the fourth field is not a 32-byte secret".to_owned())
        })?;
    let unpaired = world
        .pairings
        .lock()
        .find(&code)
        .ok_or(ScanError::UnknownCode)?;
    if unpaired.is_expired() {
        return Err(ScanError::Expired);
    }
    if unpaired.noise_key != noise_key {
        return Err(ScanError::UnknownCode);
    }
    let answer = offer::offer(
        world,
        &unpaired,
        account,
        identity,
        &secret,
        unpaired.platform.clone(),
    );
    offer::wait(answer).await
}

/// Returns the client's platform, from the registration or from the user agent.
fn platform(payload: &wa::ClientPayload) -> String {
    payload
        .device_pairing_data
        .as_option()
        .and_then(|data| {
            wa::DeviceProps::decode_from_slice(data.device_props.as_deref()?)
                .ok()?
                .os
        })
        .or_else(|| payload.user_agent.as_option()?.device.clone())
        .filter(|platform| !platform.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
