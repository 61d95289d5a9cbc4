//! The API of a phone for sending.

use std::sync::Arc;

use super::compose::{self, ChatContext};
use super::outgoing::{Outgoing, SendError};
use super::{Phone, receipt, send};
use crate::number::digits;
use crate::world::account::Account;
use crate::world::delivery::Origin;
use crate::world::group::Group;

impl Phone {
    /// Sends a message to a number. Returns the message's id.
    ///
    /// # Errors
    /// No phone has that number, the phone shows no such message, or the file is larger than 100
    /// MiB.
    pub async fn send(
        &self,
        to: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        self.send_as(None, to, outgoing).await
    }

    /// Sends a message to a number, under the given id if there is one. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_as(
        &self,
        id: Option<String>,
        to: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let peer = self.peer(to)?;
        let message = compose::message(self, outgoing.into(), &self.place(&peer))?;
        let id = id.unwrap_or_else(|| self.account.next_id());
        send::direct(&self.world, &self.account, &peer, message, &id);
        Ok(id)
    }

    /// Sends a message to a broadcast list. Each recipient gets a copy, and the recipients'
    /// companions see the address of the list beside the sender. The sender's own companions get no
    /// copy. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_to_list(
        &self,
        list: &str,
        to: &[&str],
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let peers = to.iter().map(|to| self.peer(to));
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let outgoing = outgoing.into();
        let id = self.account.next_id();
        for peer in peers {
            let message = compose::message(self, outgoing.clone(), &self.place(&peer))?;
            send::listed(&self.world, &self.account, &peer, message, &id, list);
        }
        Ok(id)
    }

    /// Sends a receipt for a message, even if the phone never got the message, like a hostile
    /// client.
    ///
    /// # Errors
    /// No phone has that number.
    pub fn claim(&self, to: &str, id: &str, read: bool) -> Result<(), SendError> {
        let peer = self.peer(to)?;
        for companion in peer.companions() {
            let origin = Origin {
                number: peer.number.clone(),
                device: companion.device,
                by_lid: peer.lid_migrated,
                group: None,
            };
            let kind = if read { "read" } else { "" };
            receipt::from_phone(&self.world, &self.account, &origin, id, kind);
        }
        Ok(())
    }

    fn peer(&self, to: &str) -> Result<Arc<Account>, SendError> {
        let to = digits(to);
        self.world
            .account_by_number(&to)
            .ok_or(SendError::UnknownNumber(to))
    }

    fn place(&self, peer: &Account) -> ChatContext {
        let by_lid = self.account.lid_migrated;
        ChatContext {
            chat: peer.number.clone(),
            jid: peer.jid(by_lid),
            by_lid,
            is_group: false,
        }
    }

    /// Sends a message to a group. Returns the message's id.
    ///
    /// # Errors
    /// There is no such group, the phone is not a member, the phone shows no such message, or the
    /// file is larger than 100 MiB.
    pub async fn send_to_group(
        &self,
        group: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        self.send_to_group_as(None, group, outgoing).await
    }

    /// Sends a message to a group, under the given id if there is one. Returns the message's id.
    ///
    /// # Errors
    /// As [`Phone::send_to_group`].
    #[expect(
        clippy::unused_async,
        reason = "sending may become asynchronous; then no caller has to change"
    )]
    pub async fn send_to_group_as(
        &self,
        id: Option<String>,
        group: &str,
        outgoing: impl Into<Outgoing> + Send,
    ) -> Result<String, SendError> {
        let group = self.group(group)?;
        let place = ChatContext {
            chat: group.id().to_owned(),
            jid: group.jid(),
            by_lid: group.by_lid(),
            is_group: true,
        };
        let message = compose::message(self, outgoing.into(), &place)?;
        let id = id.unwrap_or_else(|| self.account.next_id());
        send::group(&self.world, &self.account, &group, &message, &id);
        Ok(id)
    }

    /// Sends a text to a number. Returns the message's id.
    ///
    /// # Errors
    /// No phone has that number.
    pub async fn send_text(&self, to: &str, text: &str) -> Result<String, SendError> {
        self.send(to, text).await
    }

    /// Sends a text to a group. Returns the message's id.
    ///
    /// # Errors
    /// There is no such group, or the phone is not a member.
    pub async fn send_text_to_group(&self, group: &str, text: &str) -> Result<String, SendError> {
        self.send_to_group(group, text).await
    }

    /// Returns a group if the phone is a member.
    pub(super) fn group(&self, id: &str) -> Result<Arc<Group>, SendError> {
        let id = id.trim_end_matches("@g.us");
        let group = self
            .world
            .group(id)
            .ok_or_else(|| SendError::UnknownGroup(id.to_owned()))?;
        if group.has_member(&self.account.number) {
            return Ok(group);
        }
        Err(SendError::NotAMember {
            number: self.account.number.clone(),
            group: id.to_owned(),
        })
    }
}
