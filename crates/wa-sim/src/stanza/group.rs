//! Groups in stanzas: a group with its members, the sender of a message, a change of members.

use std::sync::Arc;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::world::World;
use crate::world::account::Account;
use crate::world::group::{Group, GroupSetting};

/// Adds the sender of a group message to the stanza: the address in the group's addressing mode,
/// and the other address in a second attribute.
pub(crate) fn address(
    group: &Group,
    message: NodeBuilder,
    sender: &Account,
    device: u16,
) -> NodeBuilder {
    let by_lid = group.by_lid();
    message
        .attr("from", group.jid())
        .attr("participant", sender.jid(by_lid).with_device(device))
        .attr(
            if by_lid {
                "participant_pn"
            } else {
                "participant_lid"
            },
            sender.jid(!by_lid),
        )
        .attr("addressing_mode", if by_lid { "lid" } else { "pn" })
}

/// Returns the `<participant>` of a member.
pub(crate) fn participant(group: &Group, account: &Account) -> Node {
    let by_lid = group.by_lid();
    let node = NodeBuilder::new("participant")
        .attr("jid", account.jid(by_lid))
        .attr(
            if by_lid { "phone_number" } else { "lid" },
            account.jid(!by_lid),
        );
    let node = if account.number == group.owner() {
        node.attr("type", "superadmin")
    } else if group.is_admin(&account.number) {
        node.attr("type", "admin")
    } else {
        node
    };
    node.build()
}

/// Returns the tag of a setting that is switched on or off.
pub(crate) fn setting(setting: GroupSetting, on: bool) -> &'static str {
    match (setting, on) {
        (GroupSetting::Announcement, true) => "announcement",
        (GroupSetting::Announcement, false) => "not_announcement",
        (GroupSetting::Locked, true) => "locked",
        (GroupSetting::Locked, false) => "unlocked",
    }
}

/// Returns the `<group>` with its members and properties.
pub(crate) fn node(world: &World, group: &Group) -> Node {
    let members: Vec<_> = group
        .members()
        .iter()
        .filter_map(|member| world.account_by_number(member))
        .collect();
    let mut node = NodeBuilder::new("group")
        .attr("id", group.id())
        .attr("subject", group.name())
        .attr("s_t", group.named())
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
    let info = group.info();
    let mut children: Vec<_> = info
        .settings
        .iter()
        .map(|setting| NodeBuilder::new(self::setting(*setting, true)).build())
        .collect();
    if !info.description.is_empty() {
        let body = NodeBuilder::new("body").bytes(info.description.into_bytes());
        let description = NodeBuilder::new("description").attr("id", group.id());
        children.push(description.children([body.build()]).build());
    }
    children.extend(members.iter().map(|member| participant(group, member)));
    node.children(children).build()
}

/// Returns `<add>`, `<remove>`, `<promote>` or `<demote>` with the affected members.
pub(crate) fn change(group: &Group, tag: &'static str, accounts: &[Arc<Account>]) -> Node {
    let participants: Vec<_> = accounts
        .iter()
        .map(|account| participant(group, account))
        .collect();
    NodeBuilder::new(tag).children(participants).build()
}
