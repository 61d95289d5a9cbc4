//! Keyword webhooks and events: posted until the endpoint answers 2xx. The answer of a webhook is
//! sent to the chat exactly once.
//!
//! The answer may stand behind a redirect (301, 302, 303), as Google Apps Script always does. Such
//! an endpoint has already run the script: the URL of the answer is made durable before the answer
//! is read, and after a later failure only the read is retried.
//!
//! The answer of a 2xx is made durable before the gateway processes the answer, so that a crash
//! does not post the webhook again. The messages in the answer are enqueued in the transaction that
//! ends the delivery, so that no message is sent twice.

use std::time::Duration;

use tracing::{debug, info, warn};
use waviro_link::Chat;
use waviro_store::clock::millis;
use waviro_store::{Attempt, DeliveryOutcome, Due, Webhook, WebhookAnswer, Work};

use super::Permit;
use super::poster::{Posted, Poster};
use crate::jobs::retry;
use crate::net::NetError;
use crate::outbox::Composed;
use crate::webhook_reply;

impl Poster {
    /// Posts an inbound text to the URL of its rule and sends the webhook reply.
    pub(super) async fn webhook(
        &self,
        mut due: Due,
        chat: Chat,
        permit: &mut Permit,
    ) -> Option<Due> {
        let hook = self.load(&mut due, permit).await?;
        if permit.endpoint != waviro_store::endpoint_of(&due.url) {
            permit.answered(None);
            return Some(due);
        }
        if let Some(answer) = hook.answer {
            permit.answered(None);
            self.reply(&due, &chat, &answer, hook.replied).await;
            return None;
        }
        let posted = match self.try_post(&due, &hook, permit).await {
            Ok(posted) => posted,
            Err(next) => return next,
        };
        let answer = posted.body();
        let attempt = posted.attempt(None);
        self.commit(|| {
            let received = WebhookAnswer::Body(answer.clone());
            self.store.answered(&due, attempt.clone(), received)
        })
        .await?;
        self.reply(&due, &chat, &answer, hook.replied).await;
        None
    }

    /// Posts an event to the URL of its subscription.
    pub(super) async fn event(&self, mut due: Due, permit: &mut Permit) -> Option<Due> {
        let hook = self.load(&mut due, permit).await?;
        if permit.endpoint != waviro_store::endpoint_of(&due.url) {
            permit.answered(None);
            return Some(due);
        }
        let posted = match self.try_post(&due, &hook, permit).await {
            Ok(posted) => posted,
            Err(next) => return next,
        };
        let (attempt, now) = (posted.attempt(None), self.clock.now());
        self.commit(|| {
            let attempt = Some(attempt.clone());
            self.store
                .end(&due, DeliveryOutcome::Delivered, None, attempt, now)
        })
        .await?
    }

    /// Loads the payload and the current URL. `None` if the row is gone, so nothing is left to
    /// deliver.
    async fn load(&self, due: &mut Due, permit: &mut Permit) -> Option<Webhook> {
        let hook = self.commit(|| self.store.webhook(due.id)).await?;
        if let Some(hook) = &hook {
            due.url.clone_from(&hook.url);
        }
        if hook.is_none() {
            permit.answered(None);
        }
        hook
    }

    /// Makes an attempt. Returns the answer if the status is 2xx. Otherwise the outcome is already
    /// durable, and the error holds the next delivery of the line, if there is a delivery to start.
    async fn try_post(
        &self,
        due: &Due,
        hook: &Webhook,
        permit: &mut Permit,
    ) -> Result<Posted, Option<Due>> {
        if hook.cancelled {
            permit.answered(None);
            let note = match due.work {
                Work::Event => "its subscription is off or was deleted",
                _ => "its rule is off or was deleted",
            };
            let note = note.to_owned();
            return Err(self
                .end(due, DeliveryOutcome::Cancelled, Some(note), None)
                .await);
        }
        let within = hook
            .timeout_s
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        let Some((posted, is_read)) = self.ask(due, hook, within).await else {
            return Err(None);
        };
        let failed = u32::try_from(due.attempts).unwrap_or(u32::MAX);
        let (bot_id, delivery, attempt) = (due.bot_id, due.id, failed.saturating_add(1));
        let spread = retry::spread(&hook.webhook_id, failed);
        let decision = match retry::decide(posted.outcome(), failed, spread) {
            // A 410 from the URL of the answer does not apply to the rule's own URL.
            retry::Decision::Gone if is_read => {
                let gone = NetError::Unreachable("status 410".to_owned());
                retry::decide(&Err(gone), failed, spread)
            }
            decision => decision,
        };
        // The result of reading an answer says nothing about the endpoint: the endpoint has
        // accepted the post, in this attempt or an earlier one.
        let for_health = |result: Result<(), String>| match (is_read, &hook.answer_at) {
            (false, _) => Some(result),
            (true, None) => Some(Ok(())),
            (true, Some(_)) => None,
        };
        match decision {
            retry::Decision::Done => {
                permit.answered(for_health(Ok(())));
                return Ok(posted);
            }
            retry::Decision::Again { after, error, held } => {
                debug!(
                    bot_id,
                    delivery, attempt, error, "webhook failed; retry scheduled"
                );
                permit.answered(for_health(Err(error.clone())));
                let run_at = self.clock.now() + millis(after);
                let tried = posted.attempt(Some(error));
                self.commit(|| self.store.put_off(due, tried.clone(), run_at, held))
                    .await;
            }
            retry::Decision::UsedUp { error } => {
                warn!(
                    bot_id,
                    delivery, attempt, error, "webhook failed; no retry left"
                );
                permit.answered(for_health(Err(error.clone())));
                let tried = posted.attempt(Some(error));
                return Err(self
                    .end(due, DeliveryOutcome::GivenUp, None, Some(tried))
                    .await);
            }
            retry::Decision::Gone => {
                warn!(
                    bot_id,
                    delivery, "endpoint answered 410; its rule or subscription is switched off"
                );
                permit.answered(None);
                let cause = "the endpoint answered 410".to_owned();
                let now = self.clock.now();
                let tried = posted.attempt(Some("status 410".to_owned()));
                let hook = self.commit(|| self.store.webhook(due.id)).await;
                if hook.flatten().is_some_and(|hook| hook.url != due.url) {
                    // The 410 came from an outdated URL of the rule.
                    self.commit(|| self.store.put_off(due, tried.clone(), now, false))
                        .await;
                    return Err(None);
                }
                if due.work == Work::Event {
                    self.commit(|| {
                        self.store
                            .switch_subscription_off(due.id, &due.url, cause.clone(), now)
                    })
                    .await;
                } else {
                    self.commit(|| {
                        self.store
                            .switch_rule_off(due.id, &due.url, cause.clone(), now)
                    })
                    .await;
                }
                return Err(self
                    .end(due, DeliveryOutcome::Gone, None, Some(tried))
                    .await);
            }
        }
        Err(None)
    }

    /// Posts the webhook, or reads the answer if an earlier attempt was redirected. The flag is
    /// true if the answer was read from a redirect. `None` at the stop.
    async fn ask(
        &self,
        due: &Due,
        hook: &Webhook,
        within: Option<Duration>,
    ) -> Option<(Posted, bool)> {
        let (at, redirects) = if let Some(at) = &hook.answer_at {
            (at.clone(), 1)
        } else {
            let mut posted = self
                .post(due, &hook.webhook_id, hook.body.clone(), within)
                .await;
            let Some((at, redirects)) = posted.answer_at.take() else {
                return Some((posted, false));
            };
            let attempt = posted.attempt(Some("redirected to the answer".to_owned()));
            self.commit(|| {
                let received = WebhookAnswer::Location(at.clone());
                self.store.answered(due, attempt.clone(), received)
            })
            .await?;
            (at, redirects)
        };
        let read = self.read_answer(due, at, redirects, within).await;
        Some((read, true))
    }

    /// Ends a delivery without a reply to send. Returns the next delivery of the line: a
    /// subscription gets the events about the same subject in order.
    async fn end(
        &self,
        due: &Due,
        outcome: DeliveryOutcome,
        note: Option<String>,
        attempt: Option<Attempt>,
    ) -> Option<Due> {
        let now = self.clock.now();
        self.commit(|| {
            let (note, attempt) = (note.clone(), attempt.clone());
            self.store.end(due, outcome, note, attempt, now)
        })
        .await?
    }

    /// Sends the webhook reply and ends the delivery.
    async fn reply(&self, due: &Due, chat: &Chat, answer: &str, replied: bool) {
        waviro_fault::step("answer read");
        let (bot_id, delivery) = (due.bot_id, due.id);
        let parsed = match webhook_reply::parse(answer.as_bytes()) {
            Ok(_) if replied => {
                Err("nothing sent: posted again by hand, and an answer was sent before".to_owned())
            }
            Ok(parsed) => Ok(parsed),
            Err(why) => Err(format!("nothing sent: {why}")),
        };
        let Ok(bot) = self.living(bot_id).await else {
            return;
        };
        let note = match (parsed, bot) {
            (Ok(parsed), Some(bot)) => {
                // Composed once, outside the commit's retries: a retry of the commit downloads no
                // file again.
                match self.outbox.compose_reply(&bot, chat, &parsed).await {
                    Ok(Composed::Messages(composed)) => {
                        let queued = self
                            .commit(|| self.outbox.queue_reply(&bot, delivery, &composed))
                            .await;
                        // The commit that enqueued the messages also ended the delivery.
                        if let Some(messages) = queued {
                            info!(bot_id, delivery, messages, "webhook reply enqueued");
                        }
                        return;
                    }
                    Ok(Composed::Nothing(why)) => format!("nothing sent: {why}"),
                    Err(why) => format!("nothing sent: {why}"),
                }
            }
            (Ok(_), None) => "nothing sent: the bot was removed".to_owned(),
            (Err(why), _) => why,
        };
        info!(bot_id, delivery, "webhook reply has nothing to send");
        self.end(due, DeliveryOutcome::Delivered, Some(note), None)
            .await;
    }
}
