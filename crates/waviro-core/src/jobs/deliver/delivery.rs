//! A delivery in progress: a callback, a webhook or an event.
//!
//! - **Callback**: posts `{"msgid":"…","ack":n}` to `notifyurl` at each change of a message's ack.
//!   The stages of a message are posted in order. The next stage is posted only after the commit
//!   that records the success of the stage before, so the endpoint never receives a lower ack after
//!   a higher ack, even after a crash.
//! - **Webhook**: posts an inbound text to the URL of its rule. The answer is sent to the chat
//!   exactly once: the answer of a 2xx is made durable before the gateway processes the answer, so
//!   that a crash does not post the webhook again. The messages in the answer are enqueued in the
//!   transaction that ends the delivery, so that no message is sent twice. The answer may stand
//!   behind a redirect (301, 302, 303), as Google Apps Script always does. Such an endpoint has
//!   already run the script: the URL of the answer is made durable before the answer is read, and
//!   after a later failure only the read is retried.
//! - **Event**: posts an event to the URL of its subscription.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use waviro_fault::Bug;
use waviro_link::Chat;
use waviro_store::clock::millis;
use waviro_store::{
    Attempt, AttemptFailure, Callback, DeliveryOutcome, Due, Lost, ReplyNote, ReplyOutcome,
    Webhook, WebhookAnswer, Work,
};

use super::handles::Handles;
use super::request::Exchange;
use super::slot::Slot;
use crate::jobs::retry::{self, Decision};
use crate::outbox::Composed;
use crate::webhook_reply;

/// A delivery in progress.
pub(super) struct Delivery {
    handles: Arc<Handles>,
    due: Due,
    slot: Slot,
}

/// The requests of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requests {
    /// The post to the endpoint.
    Post,
    /// The post, and the read of the answer behind a redirect.
    PostAndRead,
    /// The read of the answer only. An earlier attempt was redirected.
    Read,
}

impl Delivery {
    pub(super) fn new(handles: Arc<Handles>, due: Due, slot: Slot) -> Self {
        Self { handles, due, slot }
    }

    /// Makes an attempt and stores its outcome. Reports the delivery to start at once: the next
    /// stage of the message, or the next event about the same subject.
    pub(super) async fn run(mut self) {
        let next = match self.due.work.clone() {
            Work::Callback(callback) => self.callback(callback).await,
            Work::Webhook { chat } => self.webhook(&chat).await,
            Work::Event => self.event().await,
        };
        self.slot.over(next);
    }

    /// Posts the next stage of a message. Returns the delivery if a further stage is to be posted
    /// now.
    async fn callback(&mut self, mut callback: Callback) -> Option<Due> {
        let handles = Arc::clone(&self.handles);
        let (clock, id) = (&handles.clock, self.due.id);
        let Some(stage) = callback.next() else {
            self.slot.answered(None);
            let ack = callback.ack;
            self.handles
                .commit(|store| store.posted(id, &callback, ack, None, clock.now()))
                .await;
            return None;
        };
        let msgid = callback.message.clone();
        if waviro_fault::planted(Bug::UnorderedAcks) && stage < callback.ack {
            let (webhook_id, body) = Callback::posting(msgid.as_str(), callback.ack.into());
            let client = &handles.client;
            client.post(&self.due, &webhook_id, body, None).await;
        }
        let (webhook_id, body) = Callback::posting(msgid.as_str(), stage.into());
        let client = &handles.client;
        let posted = client.post(&self.due, &webhook_id, body, None).await;
        let posted = match self.settle(posted, Requests::Post, msgid.as_str()).await {
            Ok(posted) => posted,
            Err(next) => return next,
        };
        let attempt = posted.attempt(None);
        let ack = self
            .handles
            .commit(|store| {
                let attempt = Some(attempt.clone());
                store.posted(id, &callback, stage, attempt, clock.now())
            })
            .await??;
        callback.stage = stage + 1;
        callback.ack = ack;
        Some(Due {
            attempts: 0,
            work: Work::Callback(callback),
            ..self.due.clone()
        })
    }

    /// Posts an inbound text to the URL of its rule and sends the webhook reply.
    async fn webhook(&mut self, chat: &Chat) -> Option<Due> {
        let hook = match self.load().await {
            Ok(hook) => hook,
            Err(next) => return next,
        };
        if let Some(answer) = hook.answer {
            self.slot.answered(None);
            self.reply(chat, &answer, hook.replied).await;
            return None;
        }
        let posted = match self.attempt(&hook).await {
            Ok(posted) => posted,
            Err(next) => return next,
        };
        let answer = posted.body();
        let attempt = posted.attempt(None);
        self.handles
            .commit(|store| {
                let received = WebhookAnswer::Body(answer.clone());
                store.answered(&self.due, attempt.clone(), received)
            })
            .await?;
        self.reply(chat, &answer, hook.replied).await;
        None
    }

    /// Posts an event to the URL of its subscription.
    async fn event(&mut self) -> Option<Due> {
        let hook = match self.load().await {
            Ok(hook) => hook,
            Err(next) => return next,
        };
        let posted = match self.attempt(&hook).await {
            Ok(posted) => posted,
            Err(next) => return next,
        };
        let attempt = posted.attempt(None);
        self.end(DeliveryOutcome::Delivered, None, Some(attempt))
            .await
    }

    /// Loads the payload and the current URL of a webhook or an event.
    ///
    /// # Errors
    /// The delivery to start instead, if there is one: the row is gone, or the URL changed to
    /// another endpoint.
    async fn load(&mut self) -> Result<Webhook, Option<Due>> {
        let id = self.due.id;
        let hook = self.handles.commit(|store| store.webhook(id)).await;
        let Some(hook) = hook.flatten() else {
            self.slot.answered(None);
            return Err(None);
        };
        self.due.url.clone_from(&hook.url);
        if self.slot.endpoint() != waviro_store::endpoint_of(&self.due.url) {
            self.slot.answered(None);
            return Err(Some(self.due.clone()));
        }
        Ok(hook)
    }

    /// Makes the attempt of a webhook or an event. Returns the answer if the status is 2xx.
    ///
    /// # Errors
    /// As [`Self::settle`].
    async fn attempt(&mut self, hook: &Webhook) -> Result<Exchange, Option<Due>> {
        if hook.cancelled {
            self.slot.answered(None);
            let note = match self.due.work {
                Work::Event => "its subscription is off or was deleted",
                _ => "its rule is off or was deleted",
            };
            let note = Some(ReplyNote::cancelled(note));
            return Err(self.end(DeliveryOutcome::Cancelled, note, None).await);
        }
        let within = hook
            .timeout_s
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        let Some((exchange, requests)) = self.request(hook, within).await else {
            return Err(None);
        };
        self.settle(exchange, requests, &hook.webhook_id).await
    }

    /// Posts the webhook, or reads the answer if an earlier attempt was redirected. `None` at the
    /// stop.
    async fn request(
        &self,
        hook: &Webhook,
        within: Option<Duration>,
    ) -> Option<(Exchange, Requests)> {
        let (due, client) = (&self.due, &self.handles.client);
        if let Some(at) = &hook.answer_at {
            let read = client.read_answer(due, at.clone(), 1, within).await;
            return Some((read, Requests::Read));
        }
        let body = hook.body.clone();
        let mut posted = client.post(due, &hook.webhook_id, body, within).await;
        let Some((at, redirects)) = posted.answer_at.take() else {
            return Some((posted, Requests::Post));
        };
        let attempt = posted.attempt(Some(AttemptFailure::redirected()));
        self.handles
            .commit(|store| {
                let received = WebhookAnswer::Location(at.clone());
                store.answered(due, attempt.clone(), received)
            })
            .await?;
        let read = client.read_answer(due, at, redirects, within).await;
        Some((read, Requests::PostAndRead))
    }

    /// Decides after an attempt, and stores the outcome of a failure: a retry, or the end of the
    /// delivery. Returns the exchange if the endpoint accepted the delivery. The decision for every
    /// kind of delivery is made here. The retries of equal `spread_id`s have equal delays.
    ///
    /// # Errors
    /// The attempt failed and its outcome is durable. Holds the delivery to start at once, if there
    /// is one.
    async fn settle(
        &mut self,
        exchange: Exchange,
        requests: Requests,
        spread_id: &str,
    ) -> Result<Exchange, Option<Due>> {
        let failed = u32::try_from(self.due.attempts).unwrap_or(u32::MAX);
        let spread = retry::spread(spread_id, failed);
        let decision = match retry::decide(exchange.outcome(), failed, spread) {
            // A 410 from the URL of the answer does not apply to the rule's own URL.
            Decision::Gone if requests != Requests::Post => retry::answer_gone(failed, spread),
            decision => decision,
        };
        let (bot_id, delivery) = (self.due.bot_id, self.due.id);
        let (kind, attempt) = (self.due.work.kind(), failed.saturating_add(1));
        let (msgid, stage) = match &self.due.work {
            Work::Callback(callback) => (Some(callback.message.as_str()), callback.next()),
            Work::Webhook { .. } | Work::Event => (None, None),
        };
        match decision {
            Decision::Delivered => {
                self.slot.answered(requests.for_health(Ok(())));
                Ok(exchange)
            }
            Decision::Retry { after, error, held } => {
                debug!(
                    bot_id,
                    kind,
                    delivery,
                    msgid,
                    stage,
                    attempt,
                    error = error.text,
                    "delivery failed; retry scheduled"
                );
                let result = Err(error.clone());
                self.slot.answered(requests.for_health(result));
                let run_at = self.handles.clock.now() + millis(after);
                let tried = exchange.attempt(Some(error));
                self.handles
                    .commit(|store| store.put_off(&self.due, tried.clone(), run_at, held))
                    .await;
                Err(None)
            }
            Decision::GiveUp { error } => {
                warn!(
                    bot_id,
                    kind,
                    delivery,
                    msgid,
                    stage,
                    attempt,
                    error = error.text,
                    "delivery failed; no retry left"
                );
                let result = Err(error.clone());
                self.slot.answered(requests.for_health(result));
                let tried = exchange.attempt(Some(error));
                Err(self.give_up(tried).await)
            }
            Decision::Gone => {
                warn!(
                    bot_id,
                    kind,
                    delivery,
                    msgid,
                    stage,
                    "endpoint answered 410; no more deliveries follow"
                );
                self.slot.answered(None);
                let tried = exchange.attempt(Some(AttemptFailure::status(410)));
                Err(self.gone(tried).await)
            }
        }
    }

    /// Ends the delivery after the last attempt of the table. Returns the next delivery.
    async fn give_up(&self, tried: Attempt) -> Option<Due> {
        match &self.due.work {
            Work::Callback(callback) => {
                self.lose_stage(callback, Lost::TableUsedUp, tried).await;
                None
            }
            Work::Webhook { .. } | Work::Event => {
                self.end(DeliveryOutcome::GivenUp, None, Some(tried)).await
            }
        }
    }

    /// Ends the delivery after a 410: no more callbacks for the message, or the rule or
    /// subscription is switched off. Returns the next delivery.
    async fn gone(&self, tried: Attempt) -> Option<Due> {
        let (due, now) = (&self.due, self.handles.clock.now());
        let cause = "the endpoint answered 410".to_owned();
        if let Work::Callback(callback) = &due.work {
            self.lose_stage(callback, Lost::Gone, tried).await;
            return None;
        }
        let hook = self.handles.commit(|store| store.webhook(due.id)).await;
        if hook.flatten().is_some_and(|hook| hook.url != due.url) {
            // The 410 came from an outdated URL of the rule.
            self.handles
                .commit(|store| store.put_off(due, tried.clone(), now, false))
                .await;
            return None;
        }
        if due.work == Work::Event {
            self.handles
                .commit(|store| store.switch_subscription_off(due.id, &due.url, cause.clone(), now))
                .await;
        } else {
            self.handles
                .commit(|store| store.switch_rule_off(due.id, &due.url, cause.clone(), now))
                .await;
        }
        self.end(DeliveryOutcome::Gone, None, Some(tried)).await
    }

    /// Records that a stage of a message was not delivered.
    async fn lose_stage(&self, callback: &Callback, lost: Lost, tried: Attempt) {
        let Some(stage) = callback.next() else {
            return;
        };
        let (id, now) = (self.due.id, self.handles.clock.now());
        self.handles
            .commit(|store| store.lose_stage(id, callback, stage, lost, tried.clone(), now))
            .await;
    }

    /// Ends a webhook or an event without a reply to send. Returns the next delivery: a
    /// subscription gets the events about the same subject in order.
    async fn end(
        &self,
        outcome: DeliveryOutcome,
        note: Option<ReplyNote>,
        attempt: Option<Attempt>,
    ) -> Option<Due> {
        let now = self.handles.clock.now();
        self.handles
            .commit(|store| {
                let (note, attempt) = (note.clone(), attempt.clone());
                store.end(&self.due, outcome, note, attempt, now)
            })
            .await?
    }

    /// Sends the webhook reply and ends the delivery.
    async fn reply(&self, chat: &Chat, answer: &str, replied: bool) {
        waviro_fault::step("answer read");
        let (bot_id, delivery) = (self.due.bot_id, self.due.id);
        let parsed = match webhook_reply::parse(answer.as_bytes()) {
            Ok(_) if replied => Err(ReplyNote::nothing_sent(
                ReplyOutcome::RepliedBefore,
                "posted again by hand, and an answer was sent before",
            )),
            Ok(parsed) => Ok(parsed),
            Err(why) => Err(ReplyNote::nothing_sent(why.outcome(), why)),
        };
        let Ok(bot) = self.handles.running_bot(bot_id).await else {
            return;
        };
        let outbox = &self.handles.outbox;
        let note = match (parsed, bot) {
            (Ok(parsed), Some(bot)) => {
                // Composed once, outside the commit's retries: a retry of the commit downloads no
                // file again.
                match outbox.compose_reply(&bot, chat, &parsed).await {
                    Composed::Messages(composed) => {
                        let queued = self
                            .handles
                            .commit(|_| outbox.queue_reply(&bot, delivery, &composed))
                            .await;
                        // The commit that enqueued the messages also ended the delivery.
                        if let Some(messages) = queued {
                            info!(bot_id, delivery, messages, "webhook reply enqueued");
                        }
                        return;
                    }
                    Composed::Nothing(note) => note,
                }
            }
            (Ok(_), None) => {
                ReplyNote::nothing_sent(ReplyOutcome::BotRemoved, "the bot was removed")
            }
            (Err(note), _) => note,
        };
        info!(bot_id, delivery, "webhook reply has nothing to send");
        self.end(DeliveryOutcome::Delivered, Some(note), None).await;
    }
}

impl Requests {
    /// Returns the result for the endpoint's health. The result of reading an answer says nothing
    /// about the endpoint: the endpoint has accepted the post, in this attempt or an earlier one.
    fn for_health(self, result: Result<(), AttemptFailure>) -> Option<Result<(), AttemptFailure>> {
        match self {
            Self::Post => Some(result),
            Self::PostAndRead => Some(Ok(())),
            Self::Read => None,
        }
    }
}
