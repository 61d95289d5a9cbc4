//! Processes the events of a bot from WhatsApp, as the bot's [`Listener`].
//!
//! Server acks and receipts only raise the stored ack, in any order. A receipt is durable before
//! the link acknowledges the receipt to WhatsApp. An inbound message is stored once; the same
//! transaction stores the message's webhooks and events. The listener sends no messages.

mod commit_retry;
mod hooks;
mod known_acks;
mod payload;
mod recorder;
mod states;

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, error, info, warn};
use waviro_link::{
    Call, Chat, GroupChange, Inbound, Listener, MessageId, Nack, NotCommitted, Receipt,
    ReceiptLevel, Sender, ServerAck, Status, Verdict,
};
use waviro_store::clock::Clock;
use waviro_store::{
    AckUpdate, Audience, CommitFeeds, EventKind, MessageFailure, NewEvent, Reader, Store,
    StoreError, address,
};

use crate::bots::{Attach, Bot, Profiles};
use crate::files::Files;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use commit_retry::{CommitRetry, Report, may_pass};
use known_acks::{KnownAcks, SERVER};
use recorder::Recorder;

/// Returns the function for [`crate::bots::Bots::start`]. The function starts a bot's lane and
/// creates the bot's listener.
#[must_use]
pub fn attach(
    store: Store,
    outbox: Outbox,
    jobs: Jobs,
    profiles: Profiles,
    files: Files,
    clock: Clock,
) -> Attach {
    Box::new(move |bot, committed| {
        jobs.start_lane(bot, outbox.clone(), committed);
        let recorder = Recorder {
            bot: Arc::clone(bot),
            feeds: jobs.feeds(bot),
            files: files.clone(),
            store: store.clone(),
            profiles: profiles.clone(),
            clock: clock.clone(),
        };
        Arc::new(BotListener {
            bot: Arc::clone(bot),
            feeds: jobs.feeds(bot),
            states: states::start(bot, store.clone(), &jobs),
            commit_retry: CommitRetry::start(recorder.clone(), &jobs),
            recorder,
            known_acks: KnownAcks::default(),
            store: store.clone(),
            outbox: outbox.clone(),
            clock: clock.clone(),
        })
    })
}

/// The [`Listener`] of a bot.
struct BotListener {
    bot: Arc<Bot>,
    feeds: CommitFeeds,
    states: states::StateSender,
    recorder: Recorder,
    known_acks: KnownAcks,
    commit_retry: CommitRetry,
    store: Store,
    outbox: Outbox,
    clock: Clock,
}

#[async_trait]
impl Listener for BotListener {
    fn status(&self, status: &Status) {
        // A link reports each state once. The log therefore has a single line for each change of
        // the cause, however often the link reconnects.
        let (bot, word) = (self.bot.name(), status.word());
        let cause = status.cause().unwrap_or_default();
        if let Some(failure) = status.failure() {
            warn!(
                bot,
                status = word,
                code = failure.code(),
                %cause,
                "WhatsApp cannot be reached"
            );
        } else {
            info!(bot, status = word, %cause, "link state");
        }
        self.bot
            .status_changed(status, &self.clock, self.store.last_seq());
        states::note(&self.states, status, &self.clock);
    }

    async fn server_ack(&self, ack: ServerAck) {
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

    fn knows(&self, receipt: &Receipt) -> bool {
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

    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
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

    fn groups_changed(&self) {
        self.bot.groups_changed();
    }

    async fn group_changed(&self, change: GroupChange) {
        debug!(bot = self.bot.name(), group = ?change.group, "group changed");
        let event = |audience: &Arc<Audience>| payload::of_group(audience, &change);
        self.publish(EventKind::GroupChanged, event).await;
    }

    async fn call(&self, call: Call) {
        debug!(bot = self.bot.name(), video = call.video, "a call");
        let event = |audience: &Arc<Audience>| payload::of_call(audience, &call);
        self.publish(EventKind::CallReceived, event).await;
    }

    async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), NotCommitted> {
        waviro_fault::step("inbound received");
        let kept = self.recorder.inbound(batch.clone()).await;
        kept.map_err(|reason| self.retry_later(Report::Messages(batch), "inbound", &reason))
    }

    async fn unknown(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, NotCommitted> {
        self.store
            .unknown_inbound(self.bot.id(), ids)
            .await
            .map_err(|reason| not_committed(&self.bot, "inbound", &reason))
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

impl BotListener {
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

    /// Leaves the report with WhatsApp for redelivery, and also holds the report for a retry of the
    /// commit.
    fn retry_later(&self, report: Report, what: &str, reason: &StoreError) -> NotCommitted {
        if may_pass(reason) {
            self.commit_retry.hold(&self.bot, report);
        }
        not_committed(&self.bot, what, reason)
    }

    /// Stores an event without a message row, if a subscriber wants the kind of event. WhatsApp
    /// does not redeliver such reports, so an event that cannot be stored is lost.
    async fn publish(&self, kind: EventKind, event: impl Fn(&Arc<Audience>) -> NewEvent) {
        let now = self.clock.now();
        let published = async {
            let audience = self.store.audience(self.bot.id(), now).await?;
            if audience.wants(kind) {
                let due = self
                    .store
                    .publish_events(vec![event(&audience)], now)
                    .await?;
                self.feeds.enqueue(due);
            }
            Ok::<_, StoreError>(())
        };
        if let Err(reason) = published.await {
            error!(bot = self.bot.name(), what = kind.word(), %reason, "event could not be stored");
        }
    }

    async fn number_gone(&self, id: &waviro_link::MessageId) {
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

/// Logs the failed commit, because no other code logs the reason. WhatsApp keeps the report for
/// redelivery.
fn not_committed(bot: &Bot, what: &str, reason: &StoreError) -> NotCommitted {
    error!(bot = bot.name(), what, %reason, "not committed; WhatsApp redelivers");
    NotCommitted(reason.to_string())
}
