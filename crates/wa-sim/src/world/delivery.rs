//! Messages on the way to a phone: the queue of a phone that is off, and the messages that the
//! phone could not decrypt.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waproto::whatsapp as wa;

/// The origin of a message: the sending device, and the form of the receipts for the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) number: String,
    pub(crate) device: u16,
    /// True if the sender used the reader's LID. Receipts then use the LID too.
    pub(crate) by_lid: bool,
    pub(crate) group: Option<String>,
}

/// A message for a phone, as forwarded by the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) origin: Origin,
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) parts: Parts,
}

/// Ciphertexts from a companion, or the plain message from another phone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Parts {
    Encrypted(Vec<Enc>),
    Plain(#[serde(with = "encoded_message")] Arc<wa::Message>),
}

/// An `<enc>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Enc {
    /// `msg`, `pkmsg` or `skmsg`.
    pub(crate) kind: String,
    /// The padding version, 2 or 3.
    pub(crate) version: u8,
    #[serde(with = "crate::base64::serde_bytes")]
    pub(crate) ciphertext: Vec<u8>,
}

/// The queue of a phone that is off, and the messages with pending retries.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) offline: bool,
    pub(crate) queue: VecDeque<Delivery>,
    #[serde(default)]
    pub(crate) asked: Open,
}

/// A message that the phone could not decrypt, with the state of the retries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RetryState {
    pub(crate) origin: Origin,
    /// The timestamp of the message, in seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) count: u8,
}

/// The messages without a readable copy so far, by id.
pub(crate) type Open = HashMap<String, RetryState>;

/// Serializes a message as base64 of the protobuf bytes, for serde's `with`.
mod encoded_message {
    use std::sync::Arc;

    use serde::{Deserializer, Serializer, de::Error as _};
    use waproto::whatsapp as wa;

    use crate::base64::serde_bytes;

    pub(super) fn serialize<S: Serializer>(
        message: &Arc<wa::Message>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&waproto::codec::message_to_vec(message), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<wa::Message>, D::Error> {
        let bytes = serde_bytes::deserialize(deserializer)?;
        waproto::codec::message_decode(&bytes)
            .map(Arc::new)
            .map_err(D::Error::custom)
    }
}
