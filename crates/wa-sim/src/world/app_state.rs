//! The app state ("syncd") of an account: the key, and encrypted patches under the key.
//!
//! The simulator creates one patch: the push name, in the collection `critical_block`.

use std::collections::BTreeMap;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use wacore::appstate::encode::encode_record;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::keys::expand_app_state_keys;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use crate::seed::Seed;

/// The collection with the push name.
const CRITICAL_BLOCK: &str = "critical_block";

/// The app state of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppState {
    #[serde(with = "crate::base64::serde_bytes")]
    pub(crate) key_id: Vec<u8>,
    #[serde(with = "crate::base64::serde_bytes")]
    pub(crate) key: Vec<u8>,
    pub(crate) collections: BTreeMap<String, Vec<Patch>>,
}

/// An encoded patch. The version of a patch is its position in the collection, counted from 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Patch(#[serde(with = "crate::base64::serde_bytes")] pub(crate) Vec<u8>);

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
