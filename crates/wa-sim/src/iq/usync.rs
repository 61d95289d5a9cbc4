//! `usync`: registered accounts, the devices of an account, and its LID.
//!
//! A request names a person by phone number, by LID, or in a `<contact>` with the text `+628…`.

use std::sync::Arc;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};
use waproto::whatsapp as wa;

use super::answer::Answer;
use crate::number::digits;
use crate::stanza::linked::Linked;
use crate::world::account::Account;

/// The prefix of the data under an account's signature of its device list.
const SIGNED_LIST: [u8; 2] = [6, 2];

/// Answers for each user and each protocol in the request.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(usync) = node.get_optional_child("usync") else {
        return Answer::BAD_REQUEST;
    };
    let protocols: Vec<&str> = usync
        .get_optional_child("query")
        .and_then(NodeRef::children)
        .unwrap_or_default()
        .iter()
        .map(|protocol| protocol.tag.as_ref())
        .collect();
    let users = usync
        .get_optional_child("list")
        .and_then(NodeRef::children)
        .unwrap_or_default();
    let users: Vec<_> = users
        .iter()
        .filter_map(|user| answer_user(session, user, &protocols))
        .collect();
    let mut reply = NodeBuilder::new("usync");
    for name in ["sid", "mode", "context", "index", "last"] {
        if let Some(value) = usync.get_attr(name) {
            reply = reply.attr(name, value.to_node_value());
        }
    }
    let results = protocols
        .iter()
        .map(|protocol| NodeBuilder::new_dynamic((*protocol).to_owned()).build());
    Answer::one(
        reply
            .children([
                NodeBuilder::new("result").children(results).build(),
                NodeBuilder::new("list").children(users).build(),
            ])
            .build(),
    )
}

fn answer_user(session: &Linked, user: &NodeRef<'_>, protocols: &[&str]) -> Option<Node> {
    let phone = user
        .get_optional_child("contact")
        .and_then(NodeRef::content_as_string)
        .map(|text| digits(&text));
    let phone = phone.filter(|phone| !phone.is_empty());
    let asked = match (
        user.get_attr("jid")
            .and_then(wacore_binary::node::ValueRef::to_jid),
        &phone,
    ) {
        (Some(jid), _) => jid.to_non_ad(),
        (None, Some(phone)) => Jid::pn(phone.as_str()),
        (None, None) => user
            .get_attr("pn_jid")
            .and_then(wacore_binary::node::ValueRef::to_jid)?
            .to_non_ad(),
    };
    let account = session.world.account(&asked);
    let mut answer = NodeBuilder::new("user").attr("jid", &asked);
    if let Some(account) = &account
        && asked.is_lid()
    {
        answer = answer.attr("pn_jid", account.jid(false));
    }
    let children = protocols.iter().filter_map(|protocol| {
        answer_protocol(
            session,
            protocol,
            account.as_ref(),
            &asked,
            phone.as_deref(),
        )
    });
    Some(answer.children(children.collect::<Vec<_>>()).build())
}

fn answer_protocol(
    session: &Linked,
    protocol: &str,
    account: Option<&Arc<Account>>,
    asked: &Jid,
    phone: Option<&str>,
) -> Option<Node> {
    match (protocol, account) {
        ("contact", account) => {
            let contact = NodeBuilder::new("contact")
                .attr("type", if account.is_some() { "in" } else { "out" });
            Some(match phone {
                Some(phone) => contact.string_content(format!("+{phone}")).build(),
                None => contact.build(),
            })
        }
        ("devices", Some(account)) => {
            if account.number != session.account.number {
                account
                    .watchers
                    .lock()
                    .insert(session.companion.name.clone());
            }
            Some(devices(session.world.now(), account, asked))
        }
        // An account without the LID migration knows only its own LID.
        ("lid", Some(account))
            if session.account.lid_migrated || account.number == session.account.number =>
        {
            Some(
                NodeBuilder::new("lid")
                    .attr("val", account.jid(true))
                    .build(),
            )
        }
        ("status", Some(_)) => Some(NodeBuilder::new("status").build()),
        ("disappearing_mode", Some(_)) => Some(
            NodeBuilder::new("disappearing_mode")
                .attr("duration", 0)
                .attr("t", 0)
                .build(),
        ),
        _ => None,
    }
}

/// Returns `<devices>`: the phone, each companion with its key index, and the account's signature
/// of the indexes.
fn devices(now: u64, account: &Account, asked: &Jid) -> Node {
    let companions = account.companions();
    let jids: Vec<_> = std::iter::once(0)
        .chain(companions.iter().map(|companion| companion.device))
        .map(|device| asked.with_device(device))
        .collect();
    let mut list = NodeBuilder::new("device-list");
    if let Ok(hash) = MessageUtils::participant_list_hash(&jids) {
        list = list.attr("hash", hash);
    }
    let phone = NodeBuilder::new("device").attr("id", 0).build();
    let linked = companions.iter().map(|companion| {
        NodeBuilder::new("device")
            .attr("id", companion.device)
            .attr("key-index", companion.fixed.key_index)
            .build()
    });
    let list = list
        .children(std::iter::once(phone).chain(linked).collect::<Vec<_>>())
        .build();
    NodeBuilder::new("devices")
        .children([list, key_index_list(now, account)])
        .build()
}

/// Returns `<key-index-list>`: the valid key indexes of the account, signed by the account.
pub(crate) fn key_index_list(now: u64, account: &Account) -> Node {
    let indexes: Vec<_> = account
        .companions()
        .iter()
        .map(|companion| companion.fixed.key_index)
        .collect();
    let details = waproto::codec::adv_key_index_list_to_vec(&wa::ADVKeyIndexList {
        raw_id: Some(account.raw_id),
        timestamp: Some(now),
        current_index: Some(indexes.iter().copied().max().unwrap_or_default()),
        valid_indexes: indexes,
        ..Default::default()
    });
    let signature = account
        .signal
        .lock()
        .sign(&[&SIGNED_LIST[..], &details].concat());
    let signed = waproto::codec::adv_signed_key_index_list_to_vec(&wa::ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature),
        ..Default::default()
    });
    NodeBuilder::new("key-index-list")
        .attr("ts", now)
        .bytes(signed)
        .build()
}
