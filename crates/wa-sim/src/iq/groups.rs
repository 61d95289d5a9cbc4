//! Groups (`w:g2`): list, info, create, rename, add, remove, leave.

pub(crate) mod changes;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{JidExt as _, NodeRef};

use super::answer::Answer;
use crate::node::attr;
use crate::stanza::group;
use crate::stanza::linked::Linked;
use crate::world::World;
use crate::world::group::{Group, GroupSpec};

/// Answers the namespace `w:g2`.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>, kind: &str, tag: &str) -> Answer {
    match (kind, tag) {
        ("get", "participating") => {
            let groups = session.world.groups();
            let own = groups
                .iter()
                .filter(|group| group.has_member(&session.account.number));
            let own: Vec<_> = own
                .map(|group| group::node(&session.world, group))
                .collect();
            return Answer::one(NodeBuilder::new("groups").children(own).build());
        }
        ("set", "create") => return create(session, node),
        ("set", "leave") => return leave(session, node),
        _ => {}
    }
    let group = node
        .get_attr("to")
        .and_then(wacore_binary::node::ValueRef::to_jid)
        .filter(wacore_binary::Jid::is_group);
    let Some(group) = group.and_then(|jid| session.world.group(&jid.user)) else {
        return Answer::NOT_FOUND;
    };
    if !group.has_member(&session.account.number) {
        return Answer::FORBIDDEN;
    }
    match (kind, tag) {
        ("get", "query") => Answer::one(group::node(&session.world, &group)),
        ("set", "add" | "remove") => change(session, &group, node, tag),
        ("set", "subject") => rename(session, &group, node),
        _ => Answer::UNKNOWN,
    }
}

fn create(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(create) = node.get_optional_child("create") else {
        return Answer::BAD_REQUEST;
    };
    let spec = GroupSpec::new(
        attr(create, "subject").unwrap_or_default(),
        &session.account.number,
    )
    .members(participants(&session.world, create));
    let group = changes::create(&session.world, spec);
    Answer::one(group::node(&session.world, &group))
}

fn participants(world: &World, node: &NodeRef<'_>) -> Vec<String> {
    node.get_children_by_tag("participant")
        .filter_map(|participant| participant.get_attr("jid")?.to_jid())
        .filter_map(|jid| Some(world.account(&jid)?.number.clone()))
        .collect()
}

fn change(session: &Linked, group: &Group, node: &NodeRef<'_>, tag: &str) -> Answer {
    let Some(asked) = node.get_optional_child(tag) else {
        return Answer::BAD_REQUEST;
    };
    let (world, actor) = (&session.world, &session.account);
    let numbers = participants(world, asked);
    let (tag, changed) = if tag == "add" {
        ("add", changes::add(world, group, actor, numbers))
    } else {
        ("remove", changes::remove(world, group, actor, numbers))
    };
    Answer::one(group::change(group, tag, &changed))
}

fn rename(session: &Linked, group: &Group, node: &NodeRef<'_>) -> Answer {
    let name = node
        .get_optional_child("subject")
        .and_then(NodeRef::content_as_string)
        .filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Answer::BAD_REQUEST;
    };
    changes::rename(&session.world, group, &session.account, &name);
    Answer::empty()
}

fn leave(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(leave) = node.get_optional_child("leave") else {
        return Answer::BAD_REQUEST;
    };
    for asked in leave.get_children_by_tag("group") {
        let group =
            attr(asked, "id").and_then(|id| session.world.group(id.trim_end_matches("@g.us")));
        if let Some(group) = group {
            let own = vec![session.account.number.clone()];
            changes::remove(&session.world, &group, &session.account, own);
        }
    }
    Answer::one(leave.to_owned())
}
