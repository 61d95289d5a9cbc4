//! The Signal state of a virtual phone: identity, sessions and sender keys, in memory.
//!
//! The functions of the library are asynchronous because a store can be asynchronous. The stores
//! here never wait, so each future is polled once and is then complete. A phone can therefore use
//! its keys under a plain lock and in the order of arrival.

mod stores;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use futures::FutureExt as _;
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::error::Result as SignalResult;
use wacore_libsignal::protocol::{
    CiphertextMessage, CiphertextMessageType, GenericSignedPreKey as _, IdentityKey,
    IdentityKeyPair, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage,
    ProtocolAddress, PublicKey, SenderKeyDistributionMessage, SenderKeyName, SenderKeyRecord,
    SessionRecord, SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord,
    Timestamp, UsePQRatchet, create_sender_key_distribution_message, group_decrypt, group_encrypt,
    message_decrypt, message_encrypt, process_prekey_bundle,
    process_sender_key_distribution_message,
};

use crate::seed::Seed;
use stores::{Identities, PreKeys, SenderKeys, Sessions, SignedKeys};

/// The keys to open a session with a device. An id has 3 bytes on the wire, and the keys have no
/// type byte.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) registration_id: u32,
    pub(crate) identity: [u8; 32],
    pub(crate) signed: SignedKey,
    /// `None` if the companion has no one-time prekeys left.
    pub(crate) one_time: Option<(u32, [u8; 32])>,
}

/// A signed prekey. The identity key signs the 33-byte form of the key.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct SignedKey {
    pub(crate) id: u32,
    pub(crate) public: [u8; 32],
    #[serde(with = "crate::base64::serde_bytes")]
    pub(crate) signature: Vec<u8>,
}

/// The Signal state of one phone.
pub(crate) struct Signal {
    identities: Identities,
    sessions: Sessions,
    prekeys: PreKeys,
    signed_key: SignedKeys,
    sender_keys: SenderKeys,
    next_prekey: u32,
    rng: StdRng,
}

/// The part of the state in the snapshot.
#[derive(serde::Serialize, serde::Deserialize, Default)]
pub(crate) struct SavedSignal {
    sessions: BTreeMap<String, String>,
    sender_keys: BTreeMap<String, String>,
    prekeys: BTreeMap<u32, String>,
    next_prekey: u32,
}

impl Signal {
    /// Derives the phone's keys from the seed and the number. The random generator also depends on
    /// `run`, which differs at each start, so that random values do not repeat.
    pub(crate) fn new(seed: Seed, number: &str, run: u64) -> Self {
        let mut keys = seed.rng(&format!("identity {number}"));
        let pair = IdentityKeyPair::generate(&mut keys);
        let registration_id = keys.random_range(1..16_380);
        let signed = KeyPair::generate(&mut keys);
        let signature = pair
            .private_key()
            .calculate_signature(&signed.public_key.serialize(), &mut keys)
            .map(|signature| signature.to_vec())
            .unwrap_or_default();
        let id = SignedPreKeyId::from(1);
        Self {
            identities: Identities {
                pair,
                registration_id,
                known: HashMap::new(),
            },
            sessions: Sessions(HashMap::new()),
            prekeys: PreKeys(HashMap::new()),
            signed_key: SignedKeys {
                record: SignedPreKeyRecord::new(
                    id,
                    Timestamp::from_epoch_millis(0),
                    &signed,
                    &signature,
                ),
                public: SignedKey {
                    id: 1,
                    public: bytes32(&signed.public_key),
                    signature,
                },
            },
            sender_keys: SenderKeys(HashMap::new()),
            next_prekey: 1,
            rng: seed.rng(&format!("signal {number} {run}")),
        }
    }

    /// The identity key, 32 bytes.
    pub(crate) fn identity(&self) -> [u8; 32] {
        bytes32(self.identities.pair.public_key())
    }

    /// The identity key pair, for signatures of companions.
    pub(crate) fn identity_pair(&self) -> &IdentityKeyPair {
        &self.identities.pair
    }

    pub(crate) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Signs with the identity key.
    pub(crate) fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        self.identities
            .pair
            .private_key()
            .calculate_signature(message, &mut self.rng)
            .map(|signature| signature.to_vec())
            .unwrap_or_default()
    }

    /// Returns a bundle with a new one-time prekey for this caller.
    pub(crate) fn bundle(&mut self) -> Bundle {
        let id = self.next_prekey;
        // An id has three bytes on the wire.
        self.next_prekey = if id >= 0x00FF_FFFE { 1 } else { id + 1 };
        let key = KeyPair::generate(&mut self.rng);
        self.prekeys
            .0
            .insert(id, PreKeyRecord::new(id.into(), &key));
        Bundle {
            registration_id: self.identities.registration_id,
            identity: self.identity(),
            signed: self.signed_key.public.clone(),
            one_time: Some((id, bytes32(&key.public_key))),
        }
    }

    pub(crate) fn has_session(&self, peer: &ProtocolAddress) -> bool {
        self.sessions.0.contains_key(peer.as_str())
    }

    pub(crate) fn forget_session(&mut self, peer: &ProtocolAddress) {
        self.sessions.0.remove(peer.as_str());
    }

    /// Opens a session with `peer` from a bundle.
    pub(crate) fn open_session(
        &mut self,
        peer: &ProtocolAddress,
        bundle: &Bundle,
    ) -> SignalResult<()> {
        let one_time = match bundle.one_time {
            Some((id, key)) => Some((
                PreKeyId::from(id),
                PublicKey::from_djb_public_key_bytes(&key)?,
            )),
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration_id,
            peer.device_id(),
            one_time,
            SignedPreKeyId::from(bundle.signed.id),
            PublicKey::from_djb_public_key_bytes(&bundle.signed.public)?,
            bundle.signed.signature.clone(),
            IdentityKey::new(PublicKey::from_djb_public_key_bytes(&bundle.identity)?),
        )?;
        now(process_prekey_bundle(
            peer,
            &mut self.sessions,
            &mut self.identities,
            &bundle,
            &mut self.rng,
            UsePQRatchet::No,
        ))?;
        Ok(())
    }

    /// Encrypts in an open session. Returns the `type` on the wire (`msg` or `pkmsg`) and the
    /// ciphertext.
    pub(crate) fn encrypt(
        &mut self,
        peer: &ProtocolAddress,
        plaintext: &[u8],
    ) -> SignalResult<(&'static str, Vec<u8>)> {
        let message = now(message_encrypt(
            plaintext,
            peer,
            &mut self.sessions,
            &mut self.identities,
        ))?;
        let kind = match message.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        Ok((kind, message.serialize().to_vec()))
    }

    /// Decrypts `msg` or `pkmsg`, and deletes the used one-time prekey.
    pub(crate) fn decrypt(
        &mut self,
        peer: &ProtocolAddress,
        kind: &str,
        ciphertext: &[u8],
    ) -> SignalResult<Vec<u8>> {
        let message = if kind == "pkmsg" {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(ciphertext)?)
        } else {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(ciphertext)?)
        };
        let result = now(message_decrypt(
            &message,
            peer,
            &mut self.sessions,
            &mut self.identities,
            &mut self.prekeys,
            &self.signed_key,
            &mut self.rng,
            UsePQRatchet::No,
        ))?;
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.0.remove(&u32::from(id));
        }
        Ok(result.plaintext)
    }

    /// Returns the distribution message of the phone's sender key for a group. The first call
    /// creates the key.
    pub(crate) fn distribution(&mut self, name: &SenderKeyName) -> SignalResult<Vec<u8>> {
        let message = now(create_sender_key_distribution_message(
            name,
            &mut self.sender_keys,
            &mut self.rng,
        ))?;
        Ok(message.into_serialized().into_vec())
    }

    /// Deletes the phone's sender key for a group. The next use creates a new key.
    pub(crate) fn forget_sender_key(&mut self, name: &SenderKeyName) {
        self.sender_keys.0.remove(name.cache_key());
    }

    /// Stores a received sender key.
    pub(crate) fn learn_sender_key(
        &mut self,
        name: &SenderKeyName,
        distribution: &[u8],
    ) -> SignalResult<()> {
        let distribution = SenderKeyDistributionMessage::try_from(distribution)?;
        now(process_sender_key_distribution_message(
            name,
            &distribution,
            &mut self.sender_keys,
        ))
    }

    pub(crate) fn group_encrypt(
        &mut self,
        name: &SenderKeyName,
        plaintext: &[u8],
    ) -> SignalResult<Vec<u8>> {
        let message = now(group_encrypt(
            &mut self.sender_keys,
            name,
            plaintext,
            &mut self.rng,
        ))?;
        Ok(message.into_serialized().into_vec())
    }

    pub(crate) fn group_decrypt(
        &mut self,
        name: &SenderKeyName,
        ciphertext: &[u8],
    ) -> SignalResult<Vec<u8>> {
        now(group_decrypt(ciphertext, &mut self.sender_keys, name))
    }

    pub(crate) fn save(&self) -> SavedSignal {
        use crate::base64::encode;
        SavedSignal {
            sessions: self
                .sessions
                .0
                .iter()
                .filter_map(|(address, record)| {
                    Some((address.clone(), encode(&record.serialize().ok()?)))
                })
                .collect(),
            sender_keys: self
                .sender_keys
                .0
                .iter()
                .filter_map(|(name, record)| {
                    Some((name.clone(), encode(&record.serialize().ok()?)))
                })
                .collect(),
            prekeys: self
                .prekeys
                .0
                .iter()
                .filter_map(|(id, record)| Some((*id, encode(&record.serialize().ok()?))))
                .collect(),
            next_prekey: self.next_prekey,
        }
    }

    /// Restores the saved state. A record that cannot be parsed is dropped; the cost is a retry.
    pub(crate) fn restore(&mut self, saved: &SavedSignal) {
        use crate::base64::decode;
        self.next_prekey = saved.next_prekey.max(1);
        for (address, record) in &saved.sessions {
            if let Some(record) =
                decode(record).and_then(|bytes| SessionRecord::deserialize(&bytes).ok())
            {
                self.sessions.0.insert(address.clone(), record);
            }
        }
        for (name, record) in &saved.sender_keys {
            if let Some(record) =
                decode(record).and_then(|bytes| SenderKeyRecord::deserialize(&bytes).ok())
            {
                self.sender_keys.0.insert(name.clone(), record);
            }
        }
        for (id, record) in &saved.prekeys {
            if let Some(record) =
                decode(record).and_then(|bytes| PreKeyRecord::deserialize(&bytes).ok())
            {
                self.prekeys.0.insert(*id, record);
            }
        }
    }
}

/// Polls a future once. The future is complete after the poll, because every store below answers at
/// once.
fn now<T>(future: impl Future<Output = SignalResult<T>>) -> SignalResult<T> {
    future.now_or_never().unwrap_or_else(|| {
        Err(SignalProtocolError::InvalidArgument(
            "the store did not return at once".to_owned(),
        ))
    })
}

fn bytes32(key: &PublicKey) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(key.public_key_bytes());
    out
}
