//! Stores the reports of WhatsApp: inbound messages with their webhooks and events, and acks of
//! sent messages. A report is durable when the call returns.

use std::sync::Arc;

use tracing::debug;
use waviro_fault::Bug;
use waviro_link::{Inbound, MessageId};
use waviro_store::clock::{Clock, Millis};
use waviro_store::{AckUpdate, CommitFeeds, NewInboundRow, Store, StoreError, StoredInbound};

use super::{hooks, payload};
use crate::bots::{Bot, Profiles};
use crate::files::Files;

/// The handles for storing one bot's reports.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) bot: Arc<Bot>,
    pub(super) feeds: CommitFeeds,
    pub(super) files: Files,
    pub(super) store: Store,
    pub(super) profiles: Profiles,
    pub(super) clock: Clock,
}

impl Recorder {
    /// Stores each new message, and enqueues its webhooks and events.
    pub(super) async fn inbound(&self, batch: Vec<Inbound>) -> Result<(), StoreError> {
        let (count, now) = (batch.len(), self.clock.now());
        let rows = self.with_hooks(batch, now).await?;
        let (store, bot_id) = (self.store.clone(), self.bot.id());
        let keeping = async move { store.keep_inbound(bot_id, rows, now).await };
        if waviro_fault::planted(Bug::AckBeforeCommit) {
            let feeds = self.feeds.clone();
            waviro_fault::later(async move {
                let kept = keeping.await;
                feeds.enqueue(kept.map(|kept| kept.due).unwrap_or_default());
            });
            return Ok(());
        }
        let StoredInbound { new, due } = keeping.await?;
        let webhooks = due.len();
        self.feeds.enqueue(due);
        metrics::counter!("waviro_inbound_total").increment(new as u64);
        debug!(
            bot = self.bot.name(),
            messages = count,
            new,
            webhooks,
            "inbound"
        );
        Ok(())
    }

    /// Stores acks of messages sent by the bot.
    pub(super) async fn apply_acks(
        &self,
        updates: Vec<(MessageId, AckUpdate)>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .apply_acks(self.bot.id(), updates, now, &self.feeds)
            .await
    }

    /// Returns a row for each message, with the webhook and the event to post if the message is
    /// new.
    async fn with_hooks(
        &self,
        batch: Vec<Inbound>,
        now: Millis,
    ) -> Result<Vec<NewInboundRow>, StoreError> {
        let bot_id = self.bot.id();
        let audience = self.store.audience(bot_id, now).await?;
        if batch.iter().any(payload::has_link) {
            self.files.refresh().await?;
        }
        let event = |inbound: &Inbound| payload::of_message(&audience, inbound, &self.files, now);
        let rules = if batch.iter().any(|inbound| hooks::text(inbound).is_some()) {
            self.store.rules(bot_id).await?
        } else {
            Vec::new()
        };
        if rules.is_empty() {
            let bare = |inbound| {
                let event = event(&inbound);
                NewInboundRow::new(inbound, Vec::new()).with_event(event)
            };
            return Ok(batch.into_iter().map(bare).collect());
        }
        let profile = self.profiles.of(bot_id).await?;
        let rows = batch.into_iter().map(|inbound| {
            let hook = hooks::of(bot_id, &inbound, &rules, &profile);
            let event = event(&inbound);
            NewInboundRow::new(inbound, hook.into_iter().collect()).with_event(event)
        });
        Ok(rows.collect())
    }
}
