//! App state ("syncd"): the phone shares a key with its companions and serves patches encrypted
//! under the key.
//!
//! The simulator creates one patch: the push name, in the collection `critical_block`. The patches
//! pushed by companions are stored and served to the other companions.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use wacore::appstate::encode::encode_record;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::keys::expand_app_state_keys;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::Answer;
use crate::companion::Companion;
use crate::phone::{Account, send};
use crate::seed::Seed;
use crate::stanza::{Linked, attr};
use crate::world::World;

/// The collection with the push name.
const CRITICAL_BLOCK: &str = "critical_block";

/// The app state of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppState {
    #[serde(with = "crate::snapshot::base64_bytes")]
    key_id: Vec<u8>,
    #[serde(with = "crate::snapshot::base64_bytes")]
    key: Vec<u8>,
    collections: BTreeMap<String, Vec<Patch>>,
}

/// An encoded patch. The version of a patch is its position in the collection, counted from 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Patch(#[serde(with = "crate::snapshot::base64_bytes")] Vec<u8>);

impl AppState {
    pub(crate) fn new(seed: Seed, number: &str, name: &str) -> Self {
        let mut rng = seed.rng(&format!("app state {number}"));
        // A real key id has two bytes for the device and four bytes for the epoch.
        let key_id = vec![0, 0, 0, 0, 0, 1];
        let mut key = vec![0; 32];
        rng.fill(&mut key[..]);
        let iv = rng.random();
        let patch = push_name_patch(&key_id, &key, iv, name);
        Self {
            key_id,
            key,
            collections: BTreeMap::from([(CRITICAL_BLOCK.to_owned(), vec![Patch(patch)])]),
        }
    }
}

fn push_name_patch(key_id: &[u8], key: &[u8], iv: [u8; 16], name: &str) -> Vec<u8> {
    let keys = expand_app_state_keys(key);
    let value = wa::SyncActionValue {
        push_name_setting: MessageField::some(wa::sync_action_value::PushNameSetting {
            name: Some(name.to_owned()),
        }),
        timestamp: Some(1_700_000_000_000),
        ..Default::default()
    };
    let set = wa::syncd_mutation::SyncdOperation::SET;
    let (mutation, _) = encode_record(
        set,
        b"[\"setting_pushName\"]",
        &value,
        &keys,
        key_id,
        &iv,
        1,
    );
    let mut state = HashState {
        version: 1,
        ..HashState::default()
    };
    // The first mutation of an index has no previous value to subtract from the hash.
    let _ = state.update_hash(std::slice::from_ref(&mutation), |_, _| Ok(None));
    let mut patch = wa::SyncdPatch {
        version: MessageField::some(wa::SyncdVersion { version: Some(1) }),
        mutations: vec![mutation],
        snapshot_mac: Some(state.generate_snapshot_mac(CRITICAL_BLOCK, &keys.snapshot_mac)),
        key_id: MessageField::some(wa::KeyId {
            id: Some(key_id.to_vec()),
        }),
        ..Default::default()
    };
    patch.patch_mac = Some(generate_patch_mac(
        &patch,
        CRITICAL_BLOCK,
        &keys.patch_mac,
        1,
    ));
    waproto::codec::syncd_patch_to_vec(&patch)
}

/// Sends the app state key from the phone to a companion, as a peer message.
pub(crate) fn share_key(world: &Arc<World>, account: &Arc<Account>, companion: &Arc<Companion>) {
    let state = account.app_state.lock().clone();
    let key = wa::message::AppStateSyncKey {
        key_id: MessageField::some(wa::message::AppStateSyncKeyId {
            key_id: Some(state.key_id),
        }),
        key_data: MessageField::some(wa::message::AppStateSyncKeyData {
            key_data: Some(state.key),
            fingerprint: MessageField::some(wa::message::AppStateSyncKeyFingerprint {
                raw_id: Some(account.raw_id),
                current_index: Some(0),
                device_indexes: vec![0],
            }),
            timestamp: i64::try_from(world.now()).ok(),
        }),
    };
    let message = wa::Message {
        protocol_message: MessageField::some(wa::message::ProtocolMessage {
            r#type: Some(ProtocolType::AppStateSyncKeyShare),
            app_state_sync_key_share: MessageField::some(wa::message::AppStateSyncKeyShare {
                keys: vec![key],
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    send::peer(world, account, companion, &message);
}

/// Serves each requested collection, and stores the patches in the request.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(sync) = node.get_optional_child("sync") else {
        return Answer::BAD_REQUEST;
    };
    let collections = sync
        .get_children_by_tag("collection")
        .filter_map(|collection| serve(session, collection));
    Answer::one(
        NodeBuilder::new("sync")
            .children(collections.collect::<Vec<_>>())
            .build(),
    )
}

fn serve(session: &Linked, asked: &NodeRef<'_>) -> Option<Node> {
    let name = attr(asked, "name")?;
    let known: usize = attr(asked, "version")
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    let mut state = session.account.app_state.lock();
    let patches = state.collections.entry(name.clone()).or_default();
    let pushed = asked
        .get_optional_child("patch")
        .and_then(NodeRef::content_bytes);
    let reply = NodeBuilder::new("collection").attr("name", name);
    if let Some(pushed) = pushed {
        if known != patches.len() {
            let error = NodeBuilder::new("error")
                .attr("code", 409)
                .attr("text", "conflict")
                .build();
            let missed = patch_nodes(patches, known);
            return Some(
                reply
                    .attr("type", "error")
                    .attr("version", patches.len())
                    .children([error, missed])
                    .build(),
            );
        }
        if let Ok(mut patch) = waproto::codec::syncd_patch_decode(pushed) {
            patch.version = MessageField::some(wa::SyncdVersion {
                version: Some(known as u64 + 1),
            });
            patches.push(Patch(waproto::codec::syncd_patch_to_vec(&patch)));
        }
        session.account.touch();
        return Some(
            reply
                .attr("type", "result")
                .attr("version", patches.len())
                .build(),
        );
    }
    let reply = reply.attr("type", "result").attr("version", patches.len());
    if known >= patches.len() {
        return Some(reply.build());
    }
    Some(reply.children([patch_nodes(patches, known)]).build())
}

fn patch_nodes(patches: &[Patch], known: usize) -> Node {
    let missed = patches
        .iter()
        .skip(known)
        .map(|patch| NodeBuilder::new("patch").bytes(patch.0.clone()).build());
    NodeBuilder::new("patches").children(missed).build()
}
