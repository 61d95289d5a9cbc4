//! The last step of a link, for both kinds of codes: the phone signs the companion's identity key,
//! then the companion signs too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, SERVER_JID};
use wacore_libsignal::crypto::CryptographicMac;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use super::unlink::announce_device;
use crate::node::attr;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::{Companion, DeviceInfo, Fixed};
use crate::world::event::SimEvent;
use crate::world::pairings::{Pending, ScanError, Unpaired};

/// The time limit for a companion's answer.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// The prefix of the data under the account's signature of a companion
/// (`WAWebAdvSignatureConstants`).
const ACCOUNT_SIGNATURE: [u8; 2] = [6, 0];

/// Signs the companion and sends the signature, for the companion to sign too.
pub(crate) fn offer(
    world: &World,
    unpaired: &Unpaired,
    account: &Arc<Account>,
    identity: [u8; 32],
    secret: &[u8],
    platform: String,
) -> oneshot::Receiver<Result<DeviceInfo, ScanError>> {
    let device = account.next_device();
    let question_id = world.next_id();
    let (done, receiver) = oneshot::channel();
    *unpaired.pending.lock() = Some(Pending {
        question: question_id.clone(),
        account: Arc::clone(account),
        device,
        identity,
        platform,
        done,
    });
    let client_props = wa::ClientPairingProps {
        is_chat_db_lid_migrated: Some(account.lid_migrated),
        ..Default::default()
    };
    let pair_success = NodeBuilder::new("pair-success")
        .children([
            NodeBuilder::new("device-identity")
                .bytes(signed_identity(
                    account,
                    world.now(),
                    device,
                    &identity,
                    secret,
                ))
                .build(),
            NodeBuilder::new("platform").attr("name", "android").build(),
            NodeBuilder::new("device")
                .attr("jid", Jid::pn_device(account.number.as_str(), device))
                .attr("lid", Jid::lid_device(account.lid.as_str(), device))
                .build(),
            NodeBuilder::new("client-props")
                .bytes(client_props.encode_to_vec())
                .build(),
        ])
        .build();
    unpaired.link.send(&question(&question_id, pair_success));
    receiver
}

/// Handles the answer of the companion to [`offer`].
pub(crate) fn answered(world: &World, unpaired: &Unpaired, node: &NodeRef<'_>) {
    let is_pending = unpaired
        .pending
        .lock()
        .as_ref()
        .map(|pending| pending.question.clone())
        == attr(node, "id");
    let Some(pending) = is_pending.then(|| unpaired.pending.lock().take()).flatten() else {
        return;
    };
    let outcome = match node.get_optional_child("error") {
        Some(error) => Err(ScanError::Refused(attr(error, "text").unwrap_or_default())),
        None => complete(world, unpaired, &pending, node),
    };
    let _ = pending.done.send(outcome);
}

fn complete(
    world: &World,
    unpaired: &Unpaired,
    pending: &Pending,
    node: &NodeRef<'_>,
) -> Result<DeviceInfo, ScanError> {
    let signed = node
        .get_optional_child("pair-device-sign")
        .and_then(|sign| sign.get_optional_child("device-identity"))
        .and_then(NodeRef::content_bytes)
        .ok_or_else(|| {
            ScanError::Refused("the client's answer has no device-identity".to_owned())
        })?;
    let account_key = pending.account.signal.lock().identity();
    if validate_adv_with_identity_key(signed, &pending.identity, Some(&account_key))
        != AdvValidation::Valid
    {
        return Err(ScanError::Refused(
            "the client's signature is invalid".to_owned(),
        ));
    }
    let fixed = Fixed {
        noise_key: unpaired.noise_key,
        identity: pending.identity,
        device_identity: signed.to_vec(),
        key_index: u32::from(pending.device),
        platform: pending.platform.clone(),
        linked_at: world.now(),
    };
    let account = &pending.account;
    let companion = Arc::new(Companion::new(
        &account.number,
        &account.lid,
        pending.device,
        fixed,
    ));
    account.add_companion(Arc::clone(&companion));
    announce_device(world, account, &companion, "add");
    world.emit(|| SimEvent::Paired {
        device: companion.name.clone(),
    });
    // The client must reconnect and log in.
    unpaired
        .link
        .send(&NodeBuilder::new("stream:error").attr("code", "515").build());
    unpaired.link.close();
    Ok(companion.info())
}

/// Waits for the result of [`offer`].
pub(crate) async fn wait(
    answer: oneshot::Receiver<Result<DeviceInfo, ScanError>>,
) -> Result<DeviceInfo, ScanError> {
    match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(ScanError::Refused(
            "another code linked the client".to_owned(),
        )),
        Err(_) => Err(ScanError::Refused(format!(
            "no answer within {ANSWER_DEADLINE:?}"
        ))),
    }
}

/// Returns the account's signature of a companion, with the HMAC under the secret of the QR code.
fn signed_identity(
    account: &Account,
    now: u64,
    device: u16,
    identity: &[u8; 32],
    secret: &[u8],
) -> Vec<u8> {
    let details = wa::ADVDeviceIdentity {
        raw_id: Some(account.raw_id),
        timestamp: Some(now),
        key_index: Some(u32::from(device)),
        ..Default::default()
    }
    .encode_to_vec();
    let mut signal = account.signal.lock();
    let signed = waproto::codec::adv_signed_device_identity_to_vec(&wa::ADVSignedDeviceIdentity {
        account_signature: Some(
            signal.sign(&[&ACCOUNT_SIGNATURE[..], &details, identity].concat()),
        ),
        account_signature_key: Some(signal.identity().to_vec()),
        details: Some(details),
        device_signature: None,
    });
    drop(signal);
    wa::ADVSignedDeviceIdentityHMAC {
        hmac: Some(hmac(secret, &signed)),
        details: Some(signed),
        account_type: None,
    }
    .encode_to_vec()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // The only error is an unknown algorithm name.
    CryptographicMac::new("HmacSha256", key)
        .map(|mut mac| {
            mac.update(message);
            mac.finalize()
        })
        .unwrap_or_default()
}

/// Builds a request of the server to an unpaired client.
pub(crate) fn question(id: &str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("id", id)
        .attr("type", "set")
        .attr("xmlns", "md")
        .children([child])
        .build()
}
