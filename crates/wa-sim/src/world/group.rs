//! Groups: the members and the properties.

use std::collections::BTreeSet;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

use crate::number::digits;

/// The kind of address of the members in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// By phone number, as in older groups.
    Pn,
    /// By LID, as in new groups.
    #[default]
    Lid,
}

/// The properties of a new group.
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
    /// A group with a subject and an owner. The owner is a member too.
    pub fn new(name: impl Into<String>, owner: impl AsRef<str>) -> Self {
        Self {
            name: name.into(),
            owner: digits(owner.as_ref()),
            members: Vec::new(),
            addressing: Addressing::default(),
        }
    }

    /// Adds members by number. The simulator creates a phone for each unknown number.
    #[must_use]
    pub fn members<S: AsRef<str>>(mut self, members: impl IntoIterator<Item = S>) -> Self {
        self.members
            .extend(members.into_iter().map(|member| digits(member.as_ref())));
        self
    }

    /// Sets the kind of address of the members; the default is [`Addressing::Lid`].
    #[must_use]
    pub fn addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = addressing;
        self
    }
}

/// The subject of a group.
#[derive(Debug)]
struct Subject {
    name: String,
    /// The time of the last change, in seconds since 1970.
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

/// The properties of a group that only admins can change.
#[derive(Debug, Clone, Default)]
struct Rules {
    /// The admins besides the owner.
    admins: BTreeSet<String>,
    description: String,
    settings: BTreeSet<GroupSetting>,
}

/// A setting of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupSetting {
    /// Only admins can send messages.
    Announcement,
    /// Only admins can change the group.
    Locked,
}

/// The state of a group, in the snapshot and in the control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The id, digits only.
    pub groupid: String,
    /// The subject.
    pub name: String,
    /// The owner's number.
    pub owner: String,
    /// The members' numbers, including the owner's.
    pub members: BTreeSet<String>,
    /// The kind of address of the members in stanzas.
    pub addressing: Addressing,
    /// The creation time, in seconds since 1970.
    pub created: u64,
    /// The time of the last change of the subject, in seconds since 1970.
    #[serde(default)]
    pub named: u64,
    /// The admins' numbers, without the owner's.
    #[serde(default)]
    pub admins: BTreeSet<String>,
    /// The description; empty if the group has none.
    #[serde(default)]
    pub description: String,
    /// The active settings.
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

    /// Returns whether a number is a member.
    #[must_use]
    pub fn has_member(&self, number: &str) -> bool {
        self.members.read().contains(number)
    }

    /// Returns the full state of the group.
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

    /// Returns the time of the last change of the subject.
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

    /// Adds members. Returns the numbers of the new members.
    pub(crate) fn add(&self, numbers: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut members = self.members.write();
        numbers
            .into_iter()
            .filter(|number| members.insert(number.clone()))
            .collect()
    }

    /// Removes members. Returns the numbers of the removed members.
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

    /// Promotes members to admins or demotes admins. Returns the numbers with a changed role.
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

    /// Returns whether a member is an admin besides the owner.
    pub(crate) fn is_admin(&self, number: &str) -> bool {
        self.rules.read().admins.contains(number)
    }
}
