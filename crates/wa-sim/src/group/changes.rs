//! Changing groups from outside: as a test, or a person at the control API, does it.

use std::sync::Arc;

use super::{Group, GroupSetting};
use crate::iq::groups::changes;
use crate::phone::{Account, Phone, digits};
use crate::sim::Sim;
use crate::world::World;

/// The longest subject, in characters, as the real server has it.
const MAX_NAME: usize = 100;

/// Why a group could not be changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group.
    #[error("there is no group {0}; create it first")]
    Unknown(String),
    /// The subject is empty or too long.
    #[error("a group's name has 1 to 100 characters")]
    Name,
    /// Someone who is not in the group cannot leave it.
    #[error("{number} is not a member of the group {group}")]
    NotAMember {
        /// The number.
        number: String,
        /// The group.
        group: String,
    },
}

impl Sim {
    /// The group with this id (with or without `@g.us`), if there is one.
    #[must_use]
    pub fn find_group(&self, id: &str) -> Option<Arc<Group>> {
        self.world.group(id.trim_end_matches("@g.us"))
    }

    /// Gives a group another subject, as its owner does it. The members' companions are told.
    ///
    /// # Errors
    /// There is no such group, or the name does not have 1 to 100 characters.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn rename_group(&self, id: &str, name: &str) -> Result<(), GroupError> {
        let (group, actor) = find(&self.world, id)?;
        if !(1..=MAX_NAME).contains(&name.chars().count()) {
            return Err(GroupError::Name);
        }
        changes::rename(&self.world, &group, &actor, name);
        Ok(())
    }

    /// Says what a group is about, as its owner does it; nothing removes it. The members' companions are told.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn describe_group(&self, id: &str, text: &str) -> Result<(), GroupError> {
        let (group, actor) = find(&self.world, id)?;
        changes::describe(&self.world, &group, &actor, text);
        Ok(())
    }

    /// Switches a setting of a group, as its owner does it. The members' companions are told.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn set_group(
        &self,
        id: &str,
        setting: GroupSetting,
        on: bool,
    ) -> Result<(), GroupError> {
        let (group, actor) = find(&self.world, id)?;
        changes::switch(&self.world, &group, &actor, setting, on);
        Ok(())
    }

    /// Makes members admins, as the owner does it; answers the numbers for whom that is new. The members' companions are
    /// told.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn promote_members(
        &self,
        id: &str,
        members: &[&str],
    ) -> Result<Vec<String>, GroupError> {
        self.set_admins(id, members, true).await
    }

    /// Makes admins members like the others, as the owner does it; answers the numbers that were admins. The members'
    /// companions are told.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn demote_members(
        &self,
        id: &str,
        members: &[&str],
    ) -> Result<Vec<String>, GroupError> {
        self.set_admins(id, members, false).await
    }

    #[expect(clippy::unused_async, reason = "as for the other calls")]
    async fn set_admins(
        &self,
        id: &str,
        members: &[&str],
        on: bool,
    ) -> Result<Vec<String>, GroupError> {
        let (group, actor) = find(&self.world, id)?;
        let numbers = members.iter().map(|number| digits(number)).collect();
        let changed = changes::set_admins(&self.world, &group, &actor, numbers, on);
        Ok(numbers_of(&changed))
    }

    /// Adds members, as the owner does it; answers the numbers that were not in the group. Numbers without a phone
    /// get one. The members' companions are told.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn add_members(&self, id: &str, members: &[&str]) -> Result<Vec<String>, GroupError> {
        let (group, actor) = find(&self.world, id)?;
        let numbers = members.iter().map(|number| digits(number)).collect();
        let added = changes::add(&self.world, &group, &actor, numbers);
        Ok(numbers_of(&added))
    }

    /// Removes members, as the owner does it; answers the numbers that were in the group. Their companions are told,
    /// too.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(clippy::unused_async, reason = "as for the other calls")]
    pub async fn remove_members(
        &self,
        id: &str,
        members: &[&str],
    ) -> Result<Vec<String>, GroupError> {
        let (group, actor) = find(&self.world, id)?;
        let numbers = members.iter().map(|number| digits(number)).collect();
        let removed = changes::remove(&self.world, &group, &actor, numbers);
        Ok(numbers_of(&removed))
    }
}

impl Phone {
    /// Leaves a group. The members' companions are told, and the own ones.
    ///
    /// # Errors
    /// There is no such group, or the phone is not in it.
    #[expect(
        clippy::unused_async,
        reason = "leaving may come to wait; callers should not have to change then"
    )]
    pub async fn leave_group(&self, id: &str) -> Result<(), GroupError> {
        let (group, _) = find(&self.world, id)?;
        let own = vec![self.account.number.clone()];
        if changes::remove(&self.world, &group, &self.account, own).is_empty() {
            return Err(GroupError::NotAMember {
                number: self.account.number.clone(),
                group: group.id().to_owned(),
            });
        }
        Ok(())
    }
}

fn find(world: &World, id: &str) -> Result<(Arc<Group>, Arc<Account>), GroupError> {
    let id = id.trim_end_matches("@g.us");
    world
        .group(id)
        .and_then(|group| {
            let actor = changes::actor(world, &group)?;
            Some((group, actor))
        })
        .ok_or_else(|| GroupError::Unknown(id.to_owned()))
}

fn numbers_of(accounts: &[Arc<Account>]) -> Vec<String> {
    accounts
        .iter()
        .map(|account| account.number.clone())
        .collect()
}
