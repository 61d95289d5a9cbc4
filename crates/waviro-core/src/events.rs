//! Processes the events of a bot from WhatsApp, as the bot's [`Listener`].
//!
//! Server acks and receipts only raise the stored ack, in any order. A receipt is durable before
//! the link acknowledges the receipt to WhatsApp. An inbound message is stored once; the same
//! transaction stores the message's webhooks and events. The listener sends no messages.

mod commit_retry;
mod hooks;
mod known_acks;
mod payload;
mod receipts;
mod recorder;
mod states;

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, error, info, warn};
use waviro_link::{
    Call, GroupChange, Inbound, Listener, MessageId, NotCommitted, Receipt, ServerAck, Status,
};
use waviro_store::clock::Clock;
use waviro_store::{Audience, CommitFeeds, EventKind, NewEvent, Store, StoreError};

use crate::bots::{Attach, Bot, Profiles};
use crate::files::Files;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use commit_retry::{CommitRetry, Report, may_pass};
use known_acks::KnownAcks;
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
        self.store_server_ack(ack).await;
    }

    fn knows(&self, receipt: &Receipt) -> bool {
        self.knows_receipt(receipt)
    }

    async fn receipt(&self, receipt: Receipt) -> Result<(), NotCommitted> {
        self.store_receipt(receipt).await
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

impl BotListener {
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
}

/// Logs the failed commit, because no other code logs the reason. WhatsApp keeps the report for
/// redelivery.
fn not_committed(bot: &Bot, what: &str, reason: &StoreError) -> NotCommitted {
    error!(bot = bot.name(), what, %reason, "not committed; WhatsApp redelivers");
    NotCommitted(reason.to_string())
}
