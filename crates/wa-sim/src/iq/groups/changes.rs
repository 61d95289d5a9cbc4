//! Changes of a group, made by a phone, a companion or a test, and the `w:gp2` notifications to the
//! members' companions.
//!
//! A new member gets the whole group in a `<create>`; the other members get an `<add>`. A removed
//! member gets the `<remove>` too, and no later notification.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::phone::send;
use crate::stanza::group;
use crate::world::World;
use crate::world::account::{Account, PhoneSpec};
use crate::world::event::SimEvent;
use crate::world::group::{Group, GroupSetting, GroupSpec};
use crate::world::offline::Class;

/// Creates a group, and phones for unknown members, then notifies the members' companions.
pub(crate) fn create(world: &World, spec: GroupSpec) -> Arc<Group> {
    let group = world.create_group(spec);
    let create = NodeBuilder::new("create")
        .attr("type", "new")
        .children([group::node(world, &group)])
        .build();
    notify(
        world,
        &group,
        actor(world, &group).as_deref(),
        &group.members(),
        &create,
    );
    group
}

/// Changes the subject of a group.
pub(crate) fn rename(world: &World, group: &Group, actor: &Account, name: &str) {
    let now = world.now();
    group.rename(name, now);
    world.groups_dirty.store(true, Ordering::Release);
    let by_lid = group.by_lid();
    let subject = NodeBuilder::new("subject")
        .attr("subject", name)
        .attr("s_t", now)
        .attr("s_o", actor.jid(by_lid));
    let subject = if by_lid {
        subject.attr("s_o_pn", actor.jid(false))
    } else {
        subject
    };
    notify(
        world,
        group,
        Some(actor),
        &group.members(),
        &subject.build(),
    );
}

/// Changes the description of a group. An empty text deletes the description.
pub(crate) fn describe(world: &World, group: &Group, actor: &Account, text: &str) {
    group.describe(text);
    world.groups_dirty.store(true, Ordering::Release);
    let body = if text.is_empty() {
        NodeBuilder::new("delete").build()
    } else {
        NodeBuilder::new("body")
            .bytes(text.as_bytes().to_vec())
            .build()
    };
    let description = NodeBuilder::new("description")
        .attr("id", world.next_id())
        .children([body])
        .build();
    notify(world, group, Some(actor), &group.members(), &description);
}

/// Switches a setting of a group.
pub(crate) fn switch(
    world: &World,
    group: &Group,
    actor: &Account,
    setting: GroupSetting,
    on: bool,
) {
    group.switch(setting, on);
    world.groups_dirty.store(true, Ordering::Release);
    let switched = NodeBuilder::new(group::setting(setting, on)).build();
    notify(world, group, Some(actor), &group.members(), &switched);
}

/// Promotes members to admins or demotes admins. Returns the members with a changed role.
pub(crate) fn set_admins(
    world: &World,
    group: &Group,
    actor: &Account,
    numbers: Vec<String>,
    on: bool,
) -> Vec<Arc<Account>> {
    let changed = accounts(world, &group.set_admins(numbers, on));
    if changed.is_empty() {
        return changed;
    }
    world.groups_dirty.store(true, Ordering::Release);
    let tag = if on { "promote" } else { "demote" };
    let change = group::change(group, tag, &changed);
    notify(world, group, Some(actor), &group.members(), &change);
    changed
}

/// Adds members, and creates phones for unknown numbers. Returns the accounts that were not members
/// before.
pub(crate) fn add(
    world: &World,
    group: &Group,
    actor: &Account,
    numbers: Vec<String>,
) -> Vec<Arc<Account>> {
    for number in &numbers {
        world.add_account(PhoneSpec::new(number, number.as_str()));
    }
    let before = group.members();
    let added = group.add(numbers);
    if added.is_empty() {
        return Vec::new();
    }
    world.groups_dirty.store(true, Ordering::Release);
    let accounts = accounts(world, &added);
    notify(
        world,
        group,
        Some(actor),
        &before,
        &group::change(group, "add", &accounts),
    );
    let joined = NodeBuilder::new("create")
        .children([group::node(world, group)])
        .build();
    notify(world, group, Some(actor), &added, &joined);
    accounts
}

/// Removes members, or lets the actor leave the group. Returns the accounts that were members
/// before.
pub(crate) fn remove(
    world: &World,
    group: &Group,
    actor: &Account,
    numbers: Vec<String>,
) -> Vec<Arc<Account>> {
    let before = group.members();
    let removed = accounts(world, &group.remove(numbers));
    if removed.is_empty() {
        return removed;
    }
    world.groups_dirty.store(true, Ordering::Release);
    for account in accounts(world, &before) {
        send::rotate_sender_key(&account, group.id());
    }
    notify(
        world,
        group,
        Some(actor),
        &before,
        &group::change(group, "remove", &removed),
    );
    removed
}

/// Returns the account that acts if no actor is given: the owner, or the first member if the owner
/// has left the group.
pub(crate) fn actor(world: &World, group: &Group) -> Option<Arc<Account>> {
    let first = || group.members().first().cloned();
    let number = if group.has_member(group.owner()) {
        Some(group.owner().to_owned())
    } else {
        first()
    };
    world.account_by_number(&number.unwrap_or_else(|| group.owner().to_owned()))
}

fn accounts(world: &World, numbers: &[String]) -> Vec<Arc<Account>> {
    numbers
        .iter()
        .filter_map(|number| world.account_by_number(number))
        .collect()
}

fn notify(
    world: &World,
    group: &Group,
    actor: Option<&Account>,
    readers: &[String],
    change: &Node,
) {
    world.emit(|| SimEvent::GroupChanged {
        group: group.id().to_owned(),
    });
    let id = world.next_id();
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
        if let Some(actor) = actor {
            notification = notification
                .attr("participant", actor.jid(group.by_lid()))
                .attr("notify", actor.name.as_str());
            if group.by_lid() {
                notification = notification.attr("participant_pn", actor.jid(false));
            }
        }
        let notification = notification.children([change.clone()]).build();
        for companion in account.companions() {
            companion.deliver(Class::Notification, &id, "", &notification);
        }
        account.touch();
    }
}
