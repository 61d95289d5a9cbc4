//! Calls from a phone: the companions of the called accounts get the call offer. A call has no
//! sound and cannot be answered.

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::Phone;
use super::outgoing::SendError;
use crate::number::digits;
use crate::world::account::Account;
use crate::world::offline::Class;

impl Phone {
    /// Calls a number and returns the call's id. A disconnected companion gets the offer after its
    /// next login.
    ///
    /// # Errors
    /// No phone has that number.
    #[expect(
        clippy::unused_async,
        reason = "calling may become asynchronous; then no caller has to change"
    )]
    pub async fn call(&self, to: &str, video: bool) -> Result<String, SendError> {
        let to = digits(to);
        let peer = self
            .world
            .account_by_number(&to)
            .ok_or(SendError::UnknownNumber(to))?;
        let id = self.account.next_id();
        self.offer(&peer, &id, video, None);
        Ok(id)
    }

    /// Calls all other members of a group and returns the call's id.
    ///
    /// # Errors
    /// There is no such group, or the phone is not a member.
    #[expect(
        clippy::unused_async,
        reason = "the function may become asynchronous; then no caller has to change"
    )]
    pub async fn call_group(&self, group: &str, video: bool) -> Result<String, SendError> {
        let group = self.group(group)?;
        let id = self.account.next_id();
        for member in group.members() {
            if member == self.account.number {
                continue;
            }
            if let Some(peer) = self.world.account_by_number(&member) {
                self.offer(&peer, &id, video, Some(group.jid()));
            }
        }
        Ok(id)
    }

    /// Sends `<call><offer/></call>` with the parts that a client reads without answering. The
    /// offer has no keys for the sound.
    fn offer(&self, peer: &Account, id: &str, video: bool, group: Option<Jid>) {
        let by_lid = peer.lid_migrated;
        let caller = self.account.jid(by_lid);
        let mut offer = NodeBuilder::new("offer")
            .attr("call-id", id)
            .attr("call-creator", caller.clone());
        if by_lid {
            offer = offer.attr("caller_pn", self.account.jid(false));
        }
        if let Some(group) = group {
            offer = offer.attr("group-jid", group);
        }
        let sound = NodeBuilder::new("audio")
            .attr("enc", "opus")
            .attr("rate", "16000");
        let mut parts = vec![sound.build()];
        if video {
            parts.push(NodeBuilder::new("video").attr("enc", "vp8").build());
        }
        let stanza = self.world.next_id();
        let call = NodeBuilder::new("call")
            .attr("from", caller)
            .attr("id", stanza.as_str())
            .attr("t", self.world.now())
            .attr("notify", self.account.name.as_str())
            .children([offer.children(parts).build()])
            .build();
        for companion in peer.companions() {
            companion.deliver(Class::Call, &stanza, "", &call);
        }
        peer.touch();
    }
}
