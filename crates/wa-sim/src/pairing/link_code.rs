//! Links a companion by eight characters: the client shows the code, and the owner types it on the
//! phone.
//!
//! 1. `companion_hello`: the client's ephemeral key, encrypted with a key derived from the code.
//! 2. `primary_hello`: the phone's ephemeral key, encrypted in the same way.
//! 3. `companion_finish`: the companion's identity key and a random value, encrypted with a key
//!    derived from the shared secret of the ephemeral keys.
//!
//! Both sides derive the secret of the link from the two shared secrets and the random value. A QR
//! code carries the same kind of secret.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{NodeRef, SERVER_JID};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use super::offer::{self, ANSWER_DEADLINE};
use crate::iq::answer::Answer;
use crate::node::attr;
use crate::world::World;
use crate::world::account::Account;
use crate::world::companion::DeviceInfo;
use crate::world::pairings::{Entered, Request, ScanError, Unpaired};

/// Answers `companion_hello` and `companion_finish`.
pub(crate) fn answer(world: &World, unpaired: &Arc<Unpaired>, request: &NodeRef<'_>) -> Answer {
    match attr(request, "stage").as_deref() {
        Some("companion_hello") => hello(world, unpaired, request),
        Some("companion_finish") => {
            let known = request_by_ref(world, unpaired, request);
            if known.is_some() {
                Answer::empty()
            } else {
                Answer::NOT_FOUND
            }
        }
        _ => Answer::BAD_REQUEST,
    }
}

/// Continues the link after the answer to `companion_finish`, as after a scan.
pub(crate) fn continue_after(world: &World, unpaired: &Arc<Unpaired>, node: &NodeRef<'_>) {
    let Some(finish) = node.get_optional_child("link_code_companion_reg") else {
        return;
    };
    if attr(finish, "stage").as_deref() != Some("companion_finish") {
        return;
    }
    let Some(request) = request_by_ref(world, unpaired, finish) else {
        return;
    };
    let Some(entered) = request.entered.lock().take() else {
        return;
    };
    let Entered {
        account,
        ephemeral,
        companion_ephemeral,
        outcome,
        done,
    } = entered;
    match open_bundle(&account, &ephemeral, &companion_ephemeral, finish) {
        Some((identity, secret)) => {
            let _ = outcome.send(Ok(()));
            let platform = request.platform.clone();
            let offered = offer::offer(world, unpaired, &account, identity, &secret, platform);
            let _ = done.send(offered);
        }
        // The exchange reveals a wrong code only here: the keys do not match.
        None => {
            let _ = outcome.send(Err(ScanError::WrongCode));
        }
    }
}

/// Links a companion to a phone by the code that the owner types.
pub(crate) async fn enter(
    world: &Arc<World>,
    account: &Arc<Account>,
    code: &str,
) -> Result<DeviceInfo, ScanError> {
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    let request = world
        .pairings
        .lock()
        .request(&account.number)
        .ok_or_else(|| ScanError::NoCodeRequested(account.number.clone()))?;
    if request.age() > PairCodeUtils::code_validity() {
        return Err(ScanError::Expired);
    }
    let ephemeral = KeyPair::generate(account.signal.lock().rng());
    let own: [u8; 32] = ephemeral
        .public_key
        .public_key_bytes()
        .try_into()
        .map_err(|_| ScanError::WrongCode)?;
    let wrapped = request.wrapped_ephemeral.clone();
    // Each call derives a key with 131,072 rounds, too slow for a thread that serves connections.
    let derived = tokio::task::spawn_blocking(move || {
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped, &code).ok()?;
        Some((companion, PairCodeUtils::encrypt_ephemeral_pub(&own, &code)))
    });
    let (companion_ephemeral, wrapped) =
        derived.await.ok().flatten().ok_or(ScanError::WrongCode)?;

    let (outcome, verdict) = oneshot::channel();
    let (done, offered) = oneshot::channel();
    let identity = account.signal.lock().identity();
    *request.entered.lock() = Some(Entered {
        account: Arc::clone(account),
        ephemeral,
        companion_ephemeral,
        outcome,
        done,
    });
    let hello = NodeBuilder::new("link_code_companion_reg")
        .attr("stage", "primary_hello")
        .children([
            NodeBuilder::new("link_code_pairing_wrapped_primary_ephemeral_pub")
                .bytes(wrapped)
                .build(),
            NodeBuilder::new("primary_identity_pub")
                .bytes(identity)
                .build(),
            NodeBuilder::new("link_code_pairing_ref")
                .bytes(request.code_ref.clone())
                .build(),
        ])
        .build();
    request.unpaired.link.send(
        &NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", world.next_id())
            .attr("type", "link_code_companion_reg")
            .attr("t", world.now())
            .children([hello])
            .build(),
    );
    match tokio::time::timeout(ANSWER_DEADLINE, verdict).await {
        Ok(Ok(verdict)) => verdict?,
        Ok(Err(_)) => {
            return Err(ScanError::Refused(
                "the client closed the connection".to_owned(),
            ));
        }
        Err(_) => return Err(ScanError::WrongCode),
    }
    let answer = offered
        .await
        .map_err(|_| ScanError::Refused("the client closed the connection".to_owned()))?;
    offer::wait(answer).await
}

fn hello(world: &World, unpaired: &Arc<Unpaired>, request: &NodeRef<'_>) -> Answer {
    let number = attr(request, "jid")
        .map(|jid| world.chat_name(&jid))
        .unwrap_or_default();
    if world.account_by_number(&number).is_none() {
        return Answer::NOT_FOUND;
    }
    let Some(wrapped_ephemeral) =
        bytes(request, "link_code_pairing_wrapped_companion_ephemeral_pub")
    else {
        return Answer::BAD_REQUEST;
    };
    let code_ref: [u8; 32] = world.fork_rng().random();
    let platform =
        bytes(request, "companion_platform_display").and_then(|name| String::from_utf8(name).ok());
    let waiting = Request {
        unpaired: Arc::clone(unpaired),
        number,
        code_ref: code_ref.to_vec(),
        wrapped_ephemeral,
        platform: platform.unwrap_or_else(|| unpaired.platform.clone()),
        asked: Instant::now(),
        entered: Mutex::default(),
    };
    world.pairings.lock().add_request(waiting);
    world.emit_waiting();
    let code_ref = NodeBuilder::new("link_code_pairing_ref")
        .bytes(code_ref)
        .build();
    Answer::one(
        NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([code_ref])
            .build(),
    )
}

fn request_by_ref(
    world: &World,
    unpaired: &Arc<Unpaired>,
    node: &NodeRef<'_>,
) -> Option<Arc<Request>> {
    let code_ref = bytes(node, "link_code_pairing_ref")?;
    let number = attr(node, "jid").map(|jid| world.chat_name(&jid))?;
    let request = world.pairings.lock().request(&number)?;
    (request.is_from(unpaired) && request.code_ref == code_ref && request.number == number)
        .then_some(request)
}

/// Decrypts the companion's key bundle. Returns the companion's identity key and the secret of the
/// link.
fn open_bundle(
    account: &Account,
    ephemeral: &KeyPair,
    companion_ephemeral: &[u8; 32],
    finish: &NodeRef<'_>,
) -> Option<([u8; 32], [u8; 32])> {
    let sealed = bytes(finish, "link_code_pairing_wrapped_key_bundle")?;
    let (salt, rest) = sealed.split_at_checked(32)?;
    let (iv, ciphertext) = rest.split_at_checked(12)?;
    let companion_ephemeral = PublicKey::from_djb_public_key_bytes(companion_ephemeral).ok()?;
    let shared = ephemeral
        .private_key
        .calculate_agreement(&companion_ephemeral)
        .ok()?;
    let mut key = [0; 32];
    hkdf_sha256_into(
        &shared,
        Some(salt),
        b"link_code_pairing_key_bundle_encryption_key",
        &mut key,
    )
    .ok()?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, iv.try_into().ok()?, b"", ciphertext, &mut bundle).ok()?;

    let identity: [u8; 32] = bundle.get(..32)?.try_into().ok()?;
    let random = bundle.get(64..96)?;
    let companion_identity = PublicKey::from_djb_public_key_bytes(&identity).ok()?;
    let signal = account.signal.lock();
    let identity_shared = signal
        .identity_pair()
        .private_key()
        .calculate_agreement(&companion_identity)
        .ok()?;
    drop(signal);
    let mut secret = [0; 32];
    hkdf_sha256_into(
        &[&shared[..], &identity_shared, random].concat(),
        None,
        b"adv_secret",
        &mut secret,
    )
    .ok()?;
    Some((identity, secret))
}

fn bytes(node: &NodeRef<'_>, tag: &str) -> Option<Vec<u8>> {
    Some(node.get_optional_child(tag)?.content_bytes()?.to_vec())
}
