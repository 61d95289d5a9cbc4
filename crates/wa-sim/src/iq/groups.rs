//! Groups (`w:g2`): list, info, create, add, remove, leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{JidExt as _, Node, NodeRef};

use super::Answer;
use crate::group::{Group, GroupSpec};
use crate::offline::Class;
use crate::stanza::{Linked, attr};
use crate::world::World;

/// Answers in the namespace `w:g2`.
pub(crate) fn answer(session: &Linked, node: &NodeRef<'_>, kind: &str, tag: &str) -> Answer {
    match (kind, tag) {
        ("get", "participating") => {
            let groups = session.world.groups();
            let own = groups
                .iter()
                .filter(|group| group.has_member(&session.account.number));
            let own: Vec<_> = own.map(|group| group_node(&session.world, group)).collect();
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
        ("get", "query") => Answer::one(group_node(&session.world, &group)),
        ("set", "add" | "remove") => change(session, &group, node, tag),
        _ => Answer::UNKNOWN,
    }
}

/// Tells the companions of all members that the group exists.
pub(crate) fn announce(world: &World, group: &Arc<Group>) {
    let create = NodeBuilder::new("create")
        .attr("type", "new")
        .children([group_node(world, group)])
        .build();
    notify(world, group, &group.members(), &create);
}

fn notify(world: &World, group: &Group, readers: &[String], change: &Node) {
    let id = world.next_id();
    let owner = world.account_by_number(group.owner());
    for number in readers {
        let Some(account) = world.account_by_number(number) else {
            continue;
        };
        let mut notification = NodeBuilder::new("notification")
            .attr("from", group.jid())
            .attr("id", id.as_str())
            .attr("type", "w:gp2")
            .attr("t", world.now())
            .attr("addressing_mode", if group.by_lid() { "lid" } else { "pn" });
        if let Some(owner) = &owner {
            notification = notification
                .attr("participant", owner.jid(group.by_lid()))
                .attr("notify", owner.name.as_str());
            if group.by_lid() {
                notification = notification.attr("participant_pn", owner.jid(false));
            }
        }
        let notification = notification.children([change.clone()]).build();
        for companion in account.companions() {
            companion.deliver(Class::Notification, &id, "", &notification);
        }
        account.touch();
    }
}

fn group_node(world: &World, group: &Group) -> Node {
    let members: Vec<_> = group
        .members()
        .iter()
        .filter_map(|member| world.account_by_number(member))
        .collect();
    let mut node = NodeBuilder::new("group")
        .attr("id", group.id())
        .attr("subject", group.name())
        .attr("s_t", group.created())
        .attr("creation", group.created())
        .attr("size", members.len())
        .attr("addressing_mode", if group.by_lid() { "lid" } else { "pn" });
    if let Some(owner) = world.account_by_number(group.owner()) {
        let by_lid = group.by_lid();
        node = node
            .attr("creator", owner.jid(by_lid))
            .attr("s_o", owner.jid(by_lid));
        if by_lid {
            node = node
                .attr("creator_pn", owner.jid(false))
                .attr("s_o_pn", owner.jid(false));
        }
    }
    node.children(
        members
            .iter()
            .map(|member| group.participant(member))
            .collect::<Vec<_>>(),
    )
    .build()
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
    let group = session.world.create_group(spec);
    Answer::one(group_node(&session.world, &group))
}

fn participants(world: &World, node: &NodeRef<'_>) -> Vec<String> {
    node.get_children_by_tag("participant")
        .filter_map(|participant| participant.get_attr("jid")?.to_jid())
        .filter_map(|jid| Some(world.account(&jid)?.number.clone()))
        .collect()
}

fn change(session: &Linked, group: &Arc<Group>, node: &NodeRef<'_>, tag: &str) -> Answer {
    let Some(asked) = node.get_optional_child(tag) else {
        return Answer::BAD_REQUEST;
    };
    let numbers = participants(&session.world, asked);
    let before = group.members();
    let changed = if tag == "add" {
        group.add(numbers)
    } else {
        group.remove(numbers)
    };
    session.world.groups_dirty.store(true, Ordering::Release);
    let nodes: Vec<_> = changed
        .iter()
        .filter_map(|number| session.world.account_by_number(number))
        .map(|account| group.participant(&account))
        .collect();
    let change = NodeBuilder::new_dynamic(tag.to_owned())
        .children(nodes)
        .build();
    let mut readers = before;
    readers.extend(changed);
    readers.sort_unstable();
    readers.dedup();
    notify(&session.world, group, &readers, &change);
    Answer::one(change)
}

fn leave(session: &Linked, node: &NodeRef<'_>) -> Answer {
    let Some(leave) = node.get_optional_child("leave") else {
        return Answer::BAD_REQUEST;
    };
    for asked in leave.get_children_by_tag("group") {
        let Some(group) =
            attr(asked, "id").and_then(|id| session.world.group(id.trim_end_matches("@g.us")))
        else {
            continue;
        };
        let readers = group.members();
        group.remove([session.account.number.clone()]);
        session.world.groups_dirty.store(true, Ordering::Release);
        let change = NodeBuilder::new("remove")
            .children([group.participant(&session.account)])
            .build();
        notify(&session.world, &group, &readers, &change);
    }
    Answer::one(leave.to_owned())
}
