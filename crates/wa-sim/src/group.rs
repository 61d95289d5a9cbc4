//! Groups: who is in them, and under which names their members appear on the wire.

mod changes;

pub use changes::GroupError;

use std::collections::BTreeSet;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::phone::Account;

/// By which name members appear in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// By phone number: older groups.
    Pn,
    /// By LID: today's groups.
    #[default]
    Lid,
}

/// What a new group is like.
#[derive(Debug, Clone, Deserialize)]
pub struct GroupSpec {
    pub(crate) name: String,
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) members: Vec<String>,
    #[serde(default)]
    pub(crate) addressing: Addressing,
}

impl GroupSpec {
    /// A group with this subject, made by `owner`, who is a member too.
    pub fn new(name: impl Into<String>, owner: impl AsRef<str>) -> Self {
        Self {
            name: name.into(),
            owner: crate::phone::digits(owner.as_ref()),
            members: Vec::new(),
            addressing: Addressing::default(),
        }
    }

    /// Adds members by number; ones without a phone get one.
    #[must_use]
    pub fn members<S: AsRef<str>>(mut self, members: impl IntoIterator<Item = S>) -> Self {
        self.members.extend(
            members
                .into_iter()
                .map(|member| crate::phone::digits(member.as_ref())),
        );
        self
    }

    /// By which name members appear; [`Addressing::Lid`] unless told otherwise.
    #[must_use]
    pub fn addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = addressing;
        self
    }
}

/// A group's name.
#[derive(Debug)]
struct Subject {
    name: String,
    /// Since when, in seconds since 1970.
    since: u64,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    id: String,
    subject: RwLock<Subject>,
    owner: String,
    addressing: Addressing,
    created: u64,
    members: RwLock<BTreeSet<String>>,
    rules: RwLock<Rules>,
}

/// What a group's admins decide.
#[derive(Debug, Clone, Default)]
struct Rules {
    /// The members beside the owner who may.
    admins: BTreeSet<String>,
    description: String,
    settings: BTreeSet<GroupSetting>,
}

/// What can be switched on and off in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupSetting {
    /// Only admins write.
    Announcement,
    /// Only admins change the group.
    Locked,
}

impl GroupSetting {
    /// The tag that says so on the wire.
    pub(crate) fn tag(self, on: bool) -> &'static str {
        match (self, on) {
            (Self::Announcement, true) => "announcement",
            (Self::Announcement, false) => "not_announcement",
            (Self::Locked, true) => "locked",
            (Self::Locked, false) => "unlocked",
        }
    }
}

/// A group, as it is kept and as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The id, digits only.
    pub groupid: String,
    /// The subject.
    pub name: String,
    /// The owner's number.
    pub owner: String,
    /// The members' numbers, the owner's among them.
    pub members: BTreeSet<String>,
    /// By which name members appear on the wire.
    pub addressing: Addressing,
    /// Seconds since 1970.
    pub created: u64,
    /// When it got its name, in seconds since 1970.
    #[serde(default)]
    pub named: u64,
    /// The admins' numbers, the owner's not among them.
    #[serde(default)]
    pub admins: BTreeSet<String>,
    /// What it is about; empty where nobody said.
    #[serde(default)]
    pub description: String,
    /// What is switched on.
    #[serde(default)]
    pub settings: BTreeSet<GroupSetting>,
}

impl Group {
    pub(crate) fn new(id: String, spec: GroupSpec, created: u64) -> Self {
        let mut members: BTreeSet<_> = spec.members.into_iter().collect();
        members.insert(spec.owner.clone());
        Self {
            id,
            subject: RwLock::new(Subject {
                name: spec.name,
                since: created,
            }),
            owner: spec.owner,
            addressing: spec.addressing,
            created,
            members: RwLock::new(members),
            rules: RwLock::default(),
        }
    }

    pub(crate) fn restore(info: GroupInfo) -> Self {
        Self {
            id: info.groupid,
            subject: RwLock::new(Subject {
                name: info.name,
                since: info.named.max(info.created),
            }),
            owner: info.owner,
            addressing: info.addressing,
            created: info.created,
            members: RwLock::new(info.members),
            rules: RwLock::new(Rules {
                admins: info.admins,
                description: info.description,
                settings: info.settings,
            }),
        }
    }

    /// The id, digits only (no `@g.us`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The subject.
    #[must_use]
    pub fn name(&self) -> String {
        self.subject.read().name.clone()
    }

    /// The owner's number.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The members' numbers, sorted.
    #[must_use]
    pub fn members(&self) -> Vec<String> {
        self.members.read().iter().cloned().collect()
    }

    /// Whether a number is a member.
    #[must_use]
    pub fn has_member(&self, number: &str) -> bool {
        self.members.read().contains(number)
    }

    /// Everything about it.
    #[must_use]
    pub fn info(&self) -> GroupInfo {
        let rules = self.rules.read().clone();
        GroupInfo {
            admins: rules.admins,
            description: rules.description,
            settings: rules.settings,
            groupid: self.id.clone(),
            name: self.name(),
            owner: self.owner.clone(),
            members: self.members.read().clone(),
            addressing: self.addressing,
            created: self.created,
            named: self.named(),
        }
    }

    pub(crate) fn rename(&self, name: &str, now: u64) {
        *self.subject.write() = Subject {
            name: name.to_owned(),
            since: now,
        };
    }

    /// When it got its name.
    pub(crate) fn named(&self) -> u64 {
        self.subject.read().since
    }

    pub(crate) fn by_lid(&self) -> bool {
        self.addressing == Addressing::Lid
    }

    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    /// Adds members; answers the ones that were not in it.
    pub(crate) fn add(&self, numbers: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut members = self.members.write();
        numbers
            .into_iter()
            .filter(|number| members.insert(number.clone()))
            .collect()
    }

    /// Removes members; answers the ones that were in it.
    pub(crate) fn remove(&self, numbers: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut members = self.members.write();
        let removed: Vec<_> = numbers
            .into_iter()
            .filter(|number| members.remove(number))
            .collect();
        let mut rules = self.rules.write();
        for number in &removed {
            rules.admins.remove(number);
        }
        removed
    }

    /// Makes members admins, or no longer; answers those for whom that is news.
    pub(crate) fn set_admins(&self, numbers: Vec<String>, on: bool) -> Vec<String> {
        let mut rules = self.rules.write();
        let changed = |number: &String| {
            if on {
                *number != self.owner && rules.admins.insert(number.clone())
            } else {
                rules.admins.remove(number)
            }
        };
        numbers
            .into_iter()
            .filter(|number| self.has_member(number))
            .filter(changed)
            .collect()
    }

    pub(crate) fn describe(&self, text: &str) {
        text.clone_into(&mut self.rules.write().description);
    }

    pub(crate) fn switch(&self, setting: GroupSetting, on: bool) {
        let mut rules = self.rules.write();
        if on {
            rules.settings.insert(setting);
        } else {
            rules.settings.remove(&setting);
        }
    }

    /// Puts the sender of a group message onto its stanza: under the group's addressing, with the other name beside it.
    pub(crate) fn address(
        &self,
        message: NodeBuilder,
        sender: &Account,
        device: u16,
    ) -> NodeBuilder {
        let by_lid = self.by_lid();
        message
            .attr("from", self.jid())
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

    /// One `<participant>`.
    pub(crate) fn participant(&self, account: &Account) -> Node {
        let by_lid = self.by_lid();
        let node = NodeBuilder::new("participant")
            .attr("jid", account.jid(by_lid))
            .attr(
                if by_lid { "phone_number" } else { "lid" },
                account.jid(!by_lid),
            );
        let node = if account.number == self.owner {
            node.attr("type", "superadmin")
        } else if self.rules.read().admins.contains(&account.number) {
            node.attr("type", "admin")
        } else {
            node
        };
        node.build()
    }
}
