//! Prekeys: a companion uploads its own, and fetches the bundles of phones and of other companions.

use std::collections::HashSet;

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use super::answer::Answer;
use crate::phone::send;
use crate::stanza::keys::{
    KEY_TYPE, bundle_keys, bytes, leaf, number, one_time_key, signed_key, signed_key_node,
    take_bundle, three_bytes,
};
use crate::stanza::linked::Linked;
use crate::world::companion::Companion;
use crate::world::signal::Bundle;

/// Answers the namespace `encrypt`.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>, kind: &str, tag: &str) -> Answer {
    match (kind, tag) {
        ("set", "rotate") => rotate(session, node),
        ("set", _) => upload(session, node),
        ("get", "count") => {
            let count = session.companion.keys().one_time.len();
            Answer::one(NodeBuilder::new("count").attr("value", count).build())
        }
        ("get", "digest") => digest(&session.companion),
        ("get", "key" | "key_fetch") => fetch(session, node),
        _ => Answer::UNKNOWN,
    }
}

/// Sends the messages that waited for a companion's prekeys. After the first upload, the phone also
/// shares the app state keys: without the keys, the client waits ten seconds before it reports
/// ready.
pub(crate) fn uploaded(session: &Linked) {
    let first = !std::mem::replace(&mut session.companion.keys().app_state_shared, true);
    session.companion.prekeys_arrived();
    if first {
        super::appstate::share_key(&session.world, &session.account, &session.companion);
    }
    for (number, id) in session.companion.take_postponed() {
        if let Some(from) = session.world.account_by_number(&number) {
            send::resend(&session.world, &from, &session.companion, &id, 0, None);
        }
    }
}

fn upload(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(registration_id) = bytes(node, "registration").and_then(number) else {
        return Answer::BAD_REQUEST;
    };
    if bytes(node, "identity") != Some(&session.companion.fixed.identity[..]) {
        return Answer::BAD_REQUEST;
    }
    let Some(signed) = node.get_optional_child("skey").and_then(signed_key) else {
        return Answer::BAD_REQUEST;
    };
    let fresh: Vec<_> = node
        .get_optional_child("list")
        .and_then(NodeRef::children)
        .unwrap_or_default()
        .iter()
        .filter_map(one_time_key)
        .collect();
    let replaced: HashSet<u32> = fresh.iter().map(|(id, _)| *id).collect();
    let mut keys = session.companion.keys();
    keys.registration_id = registration_id;
    keys.signed = Some(signed);
    keys.one_time.retain(|(id, _)| !replaced.contains(id));
    keys.one_time.extend(fresh);
    drop(keys);
    session.account.touch();
    Answer::empty()
}

fn rotate(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let signed = node
        .get_optional_child("rotate")
        .and_then(|node| node.get_optional_child("skey"))
        .and_then(signed_key);
    let Some(signed) = signed else {
        return Answer::BAD_REQUEST;
    };
    session.companion.keys().signed = Some(signed);
    session.account.touch();
    Answer::empty()
}

/// Returns the digest of the uploaded keys. The client compares the digest with its own store, and
/// uploads the keys again after a difference.
fn digest(companion: &Companion) -> Answer {
    let keys = companion.keys();
    let Some(signed) = &keys.signed else {
        return Answer::NOT_FOUND;
    };
    let public: Vec<&[u8]> = keys
        .one_time
        .iter()
        .map(|(_, key)| key.as_slice())
        .collect();
    let hash = compute_key_bundle_digest(
        &companion.fixed.identity,
        &signed.public,
        &signed.signature,
        &public,
    );
    let ids = keys
        .one_time
        .iter()
        .map(|(id, _)| leaf("id", three_bytes(*id)));
    Answer::one(
        NodeBuilder::new("digest")
            .children([
                leaf("registration", keys.registration_id.to_be_bytes()),
                leaf("type", [KEY_TYPE]),
                leaf("identity", companion.fixed.identity),
                signed_key_node(signed),
                NodeBuilder::new("list").children(ids).build(),
                leaf("hash", hash),
            ])
            .build(),
    )
}

fn fetch(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let users = node
        .get_optional_child("key")
        .or_else(|| node.get_optional_child("key_fetch"));
    let users = users.and_then(NodeRef::children).unwrap_or_default();
    let answers = users.iter().filter_map(|user| {
        let asked = user.get_attr("jid")?;
        let jid = asked.to_jid()?;
        // An account has two addresses; the answer repeats the address in the request.
        let answer = NodeBuilder::new("user").attr("jid", asked.to_node_value());
        let Some(children) = bundle_of(session, &jid) else {
            let error = NodeBuilder::new("error")
                .attr("code", 406)
                .attr("text", "not-acceptable")
                .build();
            return Some(answer.children([error]).build());
        };
        Some(
            answer
                .attr("t", session.world.now())
                .children(children)
                .build(),
        )
    });
    Answer::one(
        NodeBuilder::new("list")
            .children(answers.collect::<Vec<_>>())
            .build(),
    )
}

fn bundle_of(session: &Linked, jid: &wacore_binary::Jid) -> Option<Vec<Node>> {
    let account = session.world.account(jid)?;
    account.touch();
    if jid.device == 0 {
        let bundle = account.signal.lock().bundle();
        return Some(bundle_nodes(&bundle));
    }
    let companion = account.companion(jid.device)?;
    let mut nodes = bundle_nodes(&take_bundle(&companion)?);
    nodes.push(leaf(
        "device-identity",
        companion.fixed.device_identity.clone(),
    ));
    Some(nodes)
}

fn bundle_nodes(bundle: &Bundle) -> Vec<Node> {
    let mut nodes = vec![leaf("registration", bundle.registration_id.to_be_bytes())];
    nodes.extend(bundle_keys(bundle));
    nodes
}
