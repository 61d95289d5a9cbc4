//! The API to change groups, for tests and for the control API.

use std::sync::Arc;

use super::Sim;
use crate::iq::groups::changes;
use crate::number::digits;
use crate::phone::Phone;
use crate::world::World;
use crate::world::account::Account;
use crate::world::group::{Group, GroupSetting};

/// The longest subject in characters; the real server has the same limit.
const MAX_NAME: usize = 100;

/// The reason why a group could not be changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group.
    #[error("there is no group {0}; create it first")]
    Unknown(String),
    /// The subject is empty or too long.
    #[error("a group's name has 1 to 100 characters")]
    Name,
    /// Only a member can leave a group.
    #[error("{number} is not a member of the group {group}")]
    NotAMember {
        /// The number.
        number: String,
        /// The group.
        group: String,
    },
}

impl Sim {
    /// Returns the group with this id (with or without `@g.us`).
    #[must_use]
    pub fn find_group(&self, id: &str) -> Option<Arc<Group>> {
        self.world.group(id.trim_end_matches("@g.us"))
    }

    /// Changes the subject of a group, on behalf of the owner, and notifies the members'
    /// companions.
    ///
    /// # Errors
    /// There is no such group, or the name does not have 1 to 100 characters.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn rename_group(&self, id: &str, name: &str) -> Result<(), GroupError> {
        let (group, actor) = find(&self.world, id)?;
        if !(1..=MAX_NAME).contains(&name.chars().count()) {
            return Err(GroupError::Name);
        }
        changes::rename(&self.world, &group, &actor, name);
        Ok(())
    }

    /// Changes the description of a group, on behalf of the owner, and notifies the members'
    /// companions. An empty text removes the description.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn describe_group(&self, id: &str, text: &str) -> Result<(), GroupError> {
        let (group, actor) = find(&self.world, id)?;
        changes::describe(&self.world, &group, &actor, text);
        Ok(())
    }

    /// Switches a setting of a group, on behalf of the owner, and notifies the members' companions.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
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

    /// Promotes members to admins, on behalf of the owner, and notifies the members' companions.
    /// Returns the numbers of the new admins.
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

    /// Demotes admins to members, on behalf of the owner, and notifies the members' companions.
    /// Returns the numbers of the former admins.
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

    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
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

    /// Adds members, on behalf of the owner, and notifies the members' companions. The simulator
    /// creates a phone for each unknown number. Returns the numbers of the new members.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn add_members(&self, id: &str, members: &[&str]) -> Result<Vec<String>, GroupError> {
        let (group, actor) = find(&self.world, id)?;
        let numbers = members.iter().map(|number| digits(number)).collect();
        let added = changes::add(&self.world, &group, &actor, numbers);
        Ok(numbers_of(&added))
    }

    /// Removes members, on behalf of the owner, and notifies the companions of all members,
    /// including the removed members. Returns the numbers of the removed members.
    ///
    /// # Errors
    /// There is no such group.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
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
    /// Leaves a group, and notifies the members' companions, including the phone's own.
    ///
    /// # Errors
    /// There is no such group, or the phone is not a member.
    #[expect(
        clippy::unused_async,
        reason = "leaving may become asynchronous; then no caller has to change"
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
