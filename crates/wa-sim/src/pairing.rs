//! Links companions: the QR codes, the phone's signature, and the unlinking.
//!
//! An unpaired client gets six refs and shows a QR code for each: the first for 60 s, the others
//! for 20 s each. A phone that scans a code signs the companion's identity key. An HMAC protects
//! the signed identity. The key of the HMAC is a secret in the QR code, so the server cannot
//! substitute an identity key.

pub(crate) mod link_code;
mod unlink;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wacore::pair::PairUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, OwnedNodeRef, SERVER_JID};
use wacore_libsignal::crypto::CryptographicMac;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use crate::companion::{Companion, DeviceInfo, Fixed};
use crate::conn::Link;
use crate::event::SimEvent;
use crate::iq::Answer;
use crate::phone::Account;
use crate::stanza::attr;
use crate::world::World;

use unlink::announce_device;
pub(crate) use unlink::unlink;
pub use waiting::WaitingClient;

/// The number of refs for an unpaired client.
const REFS: usize = 6;
/// The lifetime of all refs together: 60 s for the first, 20 s for each other ref.
const REFS_LIFETIME: Duration = Duration::from_secs(60 + 5 * 20);
/// The time limit for a companion's answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// The prefix of the data under the account's signature of a companion
/// (`WAWebAdvSignatureConstants`).
const ACCOUNT_SIGNATURE: [u8; 2] = [6, 0];

/// The reason why a code did not link a companion.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanError {
    /// The text is not a WhatsApp QR code.
    #[error("this is not a WhatsApp QR code ({0}); pass the code's whole text")]
    Unreadable(String),
    /// No client shows this code.
    #[error("no client shows this code (any more); scan the newest code")]
    UnknownCode,
    /// The client's codes have expired.
    #[error("this code has expired; scan a new code")]
    Expired,
    /// The eight characters differ from the code of the client.
    #[error("the code is wrong; enter the eight characters that the client shows")]
    WrongCode,
    /// No client requested a code for this number.
    #[error("no client requested a code for the number {0}; request a code first")]
    NoCodeRequested(String),
    /// The client did not answer, or the client's signature was wrong.
    #[error("the client did not complete the link: {0}")]
    Refused(String),
}

/// Clients that wait for a link.
#[derive(Default)]
pub(crate) struct Pairings {
    by_ref: HashMap<String, Arc<Unpaired>>,
    by_number: HashMap<String, Arc<link_code::Request>>,
}

/// A connection without an account.
pub(crate) struct Unpaired {
    world: Arc<World>,
    link: Link,
    noise_key: [u8; 32],
    platform: String,
    started: Instant,
    refs: Vec<String>,
    pending: Mutex<Option<Pending>>,
}

/// A link without the companion's signature so far.
struct Pending {
    question: String,
    account: Arc<Account>,
    device: u16,
    identity: [u8; 32],
    platform: String,
    done: oneshot::Sender<Result<DeviceInfo, ScanError>>,
}

impl Unpaired {
    /// Sends the refs to the client.
    pub(crate) fn begin(
        world: &Arc<World>,
        link: Link,
        noise_key: [u8; 32],
        payload: &wa::ClientPayload,
    ) -> Arc<Self> {
        let refs: Vec<_> = (0..REFS)
            .map(|index| format!("2@{}{index}", world.next_id()))
            .collect();
        let unpaired = Arc::new(Self {
            world: Arc::clone(world),
            link,
            noise_key,
            platform: platform(payload),
            started: Instant::now(),
            refs,
            pending: Mutex::default(),
        });
        let mut pairings = world.pairings.lock();
        for code in &unpaired.refs {
            pairings.by_ref.insert(code.clone(), Arc::clone(&unpaired));
        }
        drop(pairings);
        tell(world);
        let refs = unpaired
            .refs
            .iter()
            .map(|code| NodeBuilder::new("ref").bytes(code.as_bytes()).build());
        let pair_device = NodeBuilder::new("pair-device")
            .children(refs.collect::<Vec<_>>())
            .build();
        unpaired.link.send(&question(&world.next_id(), pair_device));
        unpaired
    }

    pub(crate) fn handle(self: &Arc<Self>, node: &OwnedNodeRef) {
        let node = node.get();
        if node.tag.as_ref() != "iq" {
            return;
        }
        if let Some("result" | "error") = attr(node, "type").as_deref() {
            self.answered(node);
        } else {
            let answer = match node.get_optional_child("link_code_companion_reg") {
                Some(request) => link_code::answer(self, request),
                None if attr(node, "xmlns").as_deref() == Some("w:p") => Answer::empty(),
                None => Answer::UNKNOWN,
            };
            self.link.send(&answer.to_node(node));
            link_code::continue_after(self, node);
        }
    }

    /// Removes the refs of a closed connection.
    pub(crate) fn end(self: &Arc<Self>) {
        let mut pairings = self.world.pairings.lock();
        for code in &self.refs {
            pairings.by_ref.remove(code);
        }
        pairings
            .by_number
            .retain(|_, request| !request.is_from(self));
        drop(pairings);
        tell(&self.world);
        if let Some(pending) = self.pending.lock().take() {
            let _ = pending.done.send(Err(ScanError::Refused(
                "the client closed the connection".to_owned(),
            )));
        }
    }

    /// Signs the companion and sends the signature, for the companion to sign too.
    fn offer(
        &self,
        account: &Arc<Account>,
        identity: [u8; 32],
        secret: &[u8],
        platform: String,
    ) -> oneshot::Receiver<Result<DeviceInfo, ScanError>> {
        let device = account.next_device();
        let question_id = self.world.next_id();
        let (done, receiver) = oneshot::channel();
        *self.pending.lock() = Some(Pending {
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
                        self.world.now(),
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
        self.link.send(&question(&question_id, pair_success));
        receiver
    }

    fn answered(&self, node: &NodeRef<'_>) {
        let is_pending = self
            .pending
            .lock()
            .as_ref()
            .map(|pending| pending.question.clone())
            == attr(node, "id");
        let Some(pending) = is_pending.then(|| self.pending.lock().take()).flatten() else {
            return;
        };
        let outcome = match node.get_optional_child("error") {
            Some(error) => Err(ScanError::Refused(attr(error, "text").unwrap_or_default())),
            None => self.complete(&pending, node),
        };
        let _ = pending.done.send(outcome);
    }

    fn complete(&self, pending: &Pending, node: &NodeRef<'_>) -> Result<DeviceInfo, ScanError> {
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
            noise_key: self.noise_key,
            identity: pending.identity,
            device_identity: signed.to_vec(),
            key_index: u32::from(pending.device),
            platform: pending.platform.clone(),
            linked_at: self.world.now(),
        };
        let account = &pending.account;
        let companion = Arc::new(Companion::new(
            &account.number,
            &account.lid,
            pending.device,
            fixed,
        ));
        account.add_companion(Arc::clone(&companion));
        announce_device(&self.world, account, &companion, "add");
        self.world.emit(|| SimEvent::Paired {
            device: companion.name.clone(),
        });
        // The client must reconnect and log in.
        self.link
            .send(&NodeBuilder::new("stream:error").attr("code", "515").build());
        self.link.close();
        Ok(companion.info())
    }
}

/// Emits the new number of waiting clients.
fn tell(world: &World) {
    world.emit(|| SimEvent::Waiting {
        count: world.pairings.lock().count(),
    });
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
        .by_ref
        .get(&code)
        .cloned()
        .ok_or(ScanError::UnknownCode)?;
    if unpaired.started.elapsed() > REFS_LIFETIME {
        return Err(ScanError::Expired);
    }
    if unpaired.noise_key != noise_key {
        return Err(ScanError::UnknownCode);
    }
    let answer = unpaired.offer(account, identity, &secret, unpaired.platform.clone());
    wait(answer).await
}

async fn wait(
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

fn question(id: &str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("id", id)
        .attr("type", "set")
        .attr("xmlns", "md")
        .children([child])
        .build()
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
