//! The keys of a device in stanzas: bundles, signed prekeys and one-time prekeys.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};

use crate::world::companion::Companion;
use crate::world::offline::Class;
use crate::world::signal::{Bundle, SignedKey};

/// The key type in Signal's key format for Curve25519; WhatsApp sends the type with each bundle.
pub(crate) const KEY_TYPE: u8 = 5;

/// Takes a bundle of a companion for a new session. If few one-time prekeys remain, the companion
/// gets a request for more. Returns `None` before the first upload.
pub(crate) fn take_bundle(companion: &Companion) -> Option<Bundle> {
    let (bundle, low) = companion.bundle()?;
    if let Some(left) = low {
        let id = format!("prekeys-{}", companion.device);
        let node = NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", id.as_str())
            .attr("type", "encrypt")
            .children([NodeBuilder::new("count").attr("value", left).build()])
            .build();
        companion.deliver(Class::Notification, &id, "", &node);
    }
    Some(bundle)
}

/// Returns `<type>`, `<identity>`, `<skey>` and, if the bundle has a one-time prekey, `<key>`.
pub(crate) fn bundle_keys(bundle: &Bundle) -> Vec<Node> {
    let mut nodes = vec![
        leaf("type", [KEY_TYPE]),
        leaf("identity", bundle.identity),
        signed_key_node(&bundle.signed),
    ];
    if let Some((id, key)) = bundle.one_time {
        nodes.push(
            NodeBuilder::new("key")
                .children([leaf("id", three_bytes(id)), leaf("value", key)])
                .build(),
        );
    }
    nodes
}

/// Returns the keys in a companion's retry receipt, if the receipt has keys.
pub(crate) fn keys_of_retry(receipt: &NodeRef<'_>, companion: &Companion) -> Option<Bundle> {
    let keys = receipt.get_optional_child("keys")?;
    let registration_id = bytes(receipt, "registration").and_then(number)?;
    let signed = keys.get_optional_child("skey").and_then(signed_key)?;
    let one_time = keys.get_optional_child("key").and_then(one_time_key);
    Some(Bundle {
        registration_id,
        identity: companion.fixed.identity,
        signed,
        one_time,
    })
}

pub(crate) fn signed_key_node(key: &SignedKey) -> Node {
    NodeBuilder::new("skey")
        .children([
            leaf("id", three_bytes(key.id)),
            leaf("value", key.public),
            leaf("signature", key.signature.clone()),
        ])
        .build()
}

pub(crate) fn signed_key(node: &NodeRef<'_>) -> Option<SignedKey> {
    let (id, public) = one_time_key(node)?;
    Some(SignedKey {
        id,
        public,
        signature: bytes(node, "signature")?.to_vec(),
    })
}

pub(crate) fn one_time_key(node: &NodeRef<'_>) -> Option<(u32, [u8; 32])> {
    Some((
        bytes(node, "id").and_then(number)?,
        bytes(node, "value")?.try_into().ok()?,
    ))
}

pub(crate) fn bytes<'n>(node: &'n NodeRef<'_>, tag: &str) -> Option<&'n [u8]> {
    node.get_optional_child(tag)?.content_bytes()
}

pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    (bytes.len() <= 4).then(|| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte))
    })
}

pub(crate) fn three_bytes(id: u32) -> [u8; 3] {
    let [_, a, b, c] = id.to_be_bytes();
    [a, b, c]
}

pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

#[cfg(test)]
mod tests {
    use super::{number, three_bytes};

    #[test]
    fn prekey_ids_are_encoded_in_three_bytes() {
        assert_eq!(number(&three_bytes(0x0001_0203)), Some(0x0001_0203));
        assert_eq!(number(&[1, 2, 3, 4, 5]), None);
    }
}
