//! App state ("syncd"): the phone shares a key with its companions and serves patches encrypted
//! under the key. The patches pushed by companions are stored and served to the other companions.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::answer::Answer;
use crate::node::attr;
use crate::phone::send;
use crate::stanza::linked::Linked;
use crate::world::World;
use crate::world::account::Account;
use crate::world::app_state::Patch;
use crate::world::companion::Companion;

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
