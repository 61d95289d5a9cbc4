//! Server acks and receipts: how they raise the ack of a message and cause a callback.
//!
//! The store raises the ack and writes the callback in one transaction (`acks.rs` of
//! `waviro-store`). The endpoint queues of `crate::jobs::deliver` post the callback afterwards.

use tracing::{debug, error, warn};
use waviro_link::{
    Chat, MessageId, Nack, NotCommitted, Receipt, ReceiptLevel, Sender, ServerAck, Verdict,
};
use waviro_store::{AckUpdate, EventKind, MessageFailure, Reader, StoreError, address};

use super::commit_retry::Report;
use super::known_acks::SERVER;
use super::{BotListener, not_committed};

impl BotListener {
    /// Stores the answer of the server to a message.
    pub(super) async fn store_server_ack(&self, ack: ServerAck) {
        waviro_fault::step("server ack received");
        let update = match ack.verdict {
            Verdict::Accepted => AckUpdate::Reached(1),
            Verdict::Refused(nack) => {
                warn!(
                    bot = self.bot.name(),
                    msgid = ack.id.as_str(),
                    code = nack.code(),
                    "WhatsApp refused a message"
                );
                if nack == Nack::NoSuchAccount {
                    // The stored lookup result of the number is wrong.
                    self.number_gone(&ack.id).await;
                }
                AckUpdate::Failed(MessageFailure::nack(nack))
            }
        };
        let id = ack.id.as_str().to_owned();
        let verdict = match update {
            AckUpdate::Failed(_) => "refused",
            AckUpdate::Reached(_)
            | AckUpdate::ReachedSomebody(_)
            | AckUpdate::Member { .. }
            | AckUpdate::Receipt { .. } => "accepted",
        };
        let accepted = matches!(update, AckUpdate::Reached(_)).then(|| ack.id.clone());
        match self.recorder.apply_acks(vec![(ack.id, update)]).await {
            Ok(()) => {
                self.known_acks.note(&accepted, SERVER, 1);
                metrics::counter!("waviro_server_acks_total", "verdict" => verdict).increment(1);
            }
            // The message stays unacked: the lane resends the message, and the server acks again.
            Err(reason) => {
                error!(bot = self.bot.name(), msgid = id, %reason, "server ack could not be stored");
            }
        }
    }

    /// Returns true if a receipt changes nothing and needs no commit.
    pub(super) fn knows_receipt(&self, receipt: &Receipt) -> bool {
        let member = receipt.in_group && receipt.from.is_some();
        if member {
            // A subscriber gets an event for each member's receipt.
            let audience = self.store.known_audience(self.bot.id(), self.clock.now());
            if audience.is_none_or(|audience| audience.wants(EventKind::MessageAck)) {
                return false;
            }
        }
        let (by, counts_as) = (receipt_source(receipt), self.counts_as(receipt));
        let known = self.known_acks.have_all(&receipt.ids, &by, counts_as);
        if known {
            metrics::counter!("waviro_receipts_total").increment(receipt.ids.len() as u64);
        }
        known
    }

    /// Stores a receipt. The receipt is durable when the call returns.
    pub(super) async fn store_receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
        waviro_fault::step("receipt received");
        let level = level(&receipt);
        debug!(
            bot = self.bot.name(),
            messages = receipt.ids.len(),
            level,
            in_group = receipt.in_group,
            "receipt"
        );
        metrics::counter!("waviro_receipts_total").increment(receipt.ids.len() as u64);
        // A receipt of a recipient proves that the server has the message, so the store also raises
        // the acks in between. In a group a single member's receipt is not the message's ack,
        // unless the bot's setting says so; without the setting the store leaves groups at 1.
        let for_all = self.bot.settings().group_acks;
        let (receipt_source, counts_as) = (receipt_source(&receipt), self.counts_as(&receipt));
        let reader = self.reader(&receipt).await;
        let by = reader.map_err(|reason| not_committed(&self.bot, "receipt", &reason))?;
        let member = receipt.from.filter(|_| receipt.in_group);
        let update = match member.as_ref().map(address) {
            Some(member) => AckUpdate::Member {
                level,
                member,
                for_all,
            },
            None if for_all => AckUpdate::ReachedSomebody(level),
            None => AckUpdate::Reached(level),
        };
        let update = Box::new(update);
        let update = AckUpdate::Receipt { by, update };
        let updates = receipt.ids.into_iter().map(|id| (id, update.clone()));
        let updates: Vec<_> = updates.collect();
        let kept = self.recorder.apply_acks(updates.clone()).await;
        if kept.is_ok() {
            let ids = updates.iter().map(|(id, _)| id);
            self.known_acks.note(ids, &receipt_source, counts_as);
        }
        kept.map_err(|reason| self.retry_later(Report::Acks(updates), "receipt", &reason))
    }

    /// Returns the new ack of the receipt's messages. In a group a single member's receipt does not
    /// raise the message's ack, unless the bot's setting says so.
    fn counts_as(&self, receipt: &Receipt) -> i8 {
        if receipt.in_group && !self.bot.settings().group_acks {
            1
        } else {
            level(receipt)
        }
    }

    /// Returns the sender and the chat of a receipt.
    ///
    /// A receipt of a one-to-one chat may name only a LID, while the message was addressed to a
    /// number, or the reverse. If the device does not know that the two are different persons, the
    /// sender counts as the recipient: the ids of messages are random, and a killed process may
    /// have lost what the device knew. Otherwise the message would stay unread forever.
    async fn reader(&self, receipt: &Receipt) -> Result<Reader, StoreError> {
        let people = [&receipt.from, &receipt.alias].into_iter().flatten();
        let mut names: Vec<String> = people.map(address).collect();
        if let (false, Some(only), None) = (receipt.in_group, &receipt.from, &receipt.alias) {
            for id in &receipt.ids {
                if let Some(message) = self.store.message(id).await?
                    && message.bot_id == self.bot.id()
                    && !names.contains(&message.chat)
                    && self.may_be(only, &message.chat).await
                {
                    names.push(message.chat);
                }
            }
        }
        let group = receipt.group.clone();
        Ok(Reader {
            in_group: receipt.in_group,
            group: group.map(|group| Chat::Group(group).address()),
            names,
        })
    }

    /// Returns true if the sender and the chat have names of different kinds, and the device does
    /// not know that they are different persons.
    async fn may_be(&self, sender: &Sender, chat: &str) -> bool {
        let (lid, number) = match sender {
            Sender::Hidden(lid) => (Some(&**lid), chat.strip_suffix("@c.us")),
            Sender::Number(number) => (chat.strip_suffix("@lid"), Some(number.as_str())),
        };
        let (Some(lid), Some(Ok(number))) = (lid, number.map(str::parse)) else {
            return false;
        };
        match self.bot.link() {
            Some(link) => link.may_be(lid, &number).await,
            None => true,
        }
    }

    async fn number_gone(&self, id: &MessageId) {
        if let Ok(Some(message)) = self.store.message(id).await
            && let Some(number) = message
                .chat
                .strip_suffix("@c.us")
                .and_then(|number| number.parse().ok())
        {
            self.outbox.number_gone(&number).await;
        }
    }
}

/// Returns the source of a receipt as a key. A receipt from a stranger must not count for a
/// recipient.
fn receipt_source(receipt: &Receipt) -> String {
    match (&receipt.group, &receipt.from) {
        (Some(group), _) => Chat::Group(group.clone()).address(),
        (None, Some(from)) if !receipt.in_group => address(from),
        (None, _) => "?".to_owned(),
    }
}

/// Returns the ack for a receipt.
fn level(receipt: &Receipt) -> i8 {
    match receipt.level {
        ReceiptLevel::Delivered => 2,
        ReceiptLevel::Read => 3,
    }
}
