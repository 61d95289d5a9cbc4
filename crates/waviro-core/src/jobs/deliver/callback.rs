//! Callbacks to `notifyurl`: posts `{"msgid":"…","ack":n}` at each change of a message's ack.
//!
//! The stages of a message are posted in order. The next stage is posted only after the commit that
//! records the success of the stage before, so the endpoint never receives a lower ack after a
//! higher ack, even after a crash.

use tracing::{debug, warn};
use waviro_fault::Bug;
use waviro_store::clock::{Millis, millis};
use waviro_store::{Attempt, Callback, Due, Lost, Work};

use super::Permit;
use super::poster::Poster;
use crate::jobs::retry::{self, Decision};

impl Poster {
    /// Posts the next stage of a message and makes the outcome durable. Returns the delivery if a
    /// further stage is to be posted now.
    pub(super) async fn callback(
        &self,
        mut due: Due,
        mut callback: Callback,
        permit: &mut Permit,
    ) -> Option<Due> {
        let id = due.id;
        let Some(stage) = callback.next() else {
            permit.answered(None);
            let ack = callback.ack;
            self.commit(|| {
                self.store
                    .posted(id, &callback, ack, None, self.clock.now())
            })
            .await;
            return None;
        };
        if waviro_fault::planted(Bug::UnorderedAcks) && stage < callback.ack {
            let newest = callback.ack.into();
            let (webhook_id, body) = Callback::posting(callback.message.as_str(), newest);
            self.post(&due, &webhook_id, body, None).await;
        }
        let (webhook_id, body) = Callback::posting(callback.message.as_str(), stage.into());
        let posted = self.post(&due, &webhook_id, body, None).await;
        let failed = u32::try_from(due.attempts).unwrap_or(u32::MAX);
        let (bot_id, msgid, attempt) = (
            due.bot_id,
            callback.message.as_str(),
            failed.saturating_add(1),
        );
        let spread = retry::spread(callback.message.as_str(), failed);
        match retry::decide(posted.outcome(), failed, spread) {
            Decision::Done => {
                permit.answered(Some(Ok(())));
                let attempt = posted.attempt(None);
                let ack = self
                    .commit(|| {
                        let attempt = Some(attempt.clone());
                        self.store
                            .posted(id, &callback, stage, attempt, self.clock.now())
                    })
                    .await??;
                callback.stage = stage + 1;
                callback.ack = ack;
                due.attempts = 0;
                due.work = Work::Callback(callback);
                return Some(due);
            }
            Decision::Again { after, error, held } => {
                debug!(
                    bot_id,
                    msgid, stage, attempt, error, "callback failed; retry scheduled"
                );
                permit.answered(Some(Err(error.clone())));
                let run_at: Millis = self.clock.now() + millis(after);
                let attempt = posted.attempt(Some(error));
                self.commit(|| self.store.put_off(&due, attempt.clone(), run_at, held))
                    .await;
            }
            Decision::UsedUp { error } => {
                warn!(
                    bot_id,
                    msgid, stage, attempt, error, "callback failed; no retry left"
                );
                permit.answered(Some(Err(error.clone())));
                let tried = posted.attempt(Some(error));
                self.lose(id, &callback, stage, Lost::TableUsedUp, tried)
                    .await;
            }
            Decision::Gone => {
                warn!(
                    bot_id,
                    msgid, stage, "endpoint answered 410; no more callbacks for this message"
                );
                permit.answered(None);
                let tried = posted.attempt(Some("status 410".to_owned()));
                self.lose(id, &callback, stage, Lost::Gone, tried).await;
            }
        }
        None
    }

    async fn lose(
        &self,
        delivery: i64,
        callback: &Callback,
        stage: i8,
        lost: Lost,
        attempt: Attempt,
    ) {
        let now = self.clock.now();
        self.commit(|| {
            let attempt = attempt.clone();
            self.store
                .lose_stage(delivery, callback, stage, lost, attempt, now)
        })
        .await;
    }
}
