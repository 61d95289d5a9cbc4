//! Messages that end with -1 without being sent: expired, refused, or accepted for a device that
//! has ended.

use std::time::Duration;

use tracing::{error, warn};
use waviro_link::MessageId;
use waviro_store::AckUpdate;
use waviro_store::clock::{Millis, millis};

use super::{Lane, Outcome, STORE_REST};

/// A message that could not be sent for 24 hours ends with -1, because nobody expects the message
/// any longer. The time counts from when the message could first have been written. The owner chose
/// the bot's pace, so a message that only waits for its turn will still be sent and must not expire
/// because of a long queue. So the time does not run while the queue moves, and runs for all
/// messages while the link is down.
pub const EXPIRES: Duration = Duration::from_hours(24);

/// The messages ended in one transaction when the device ends.
const ENDED_TOGETHER: usize = 500;

impl Lane {
    pub(super) fn expire(&mut self, now: Millis) {
        if self.turns.unknown() {
            // Before the restart the queue may have moved until a moment ago.
            return;
        }
        let before = now - millis(EXPIRES);
        if self.window.oldest().is_some_and(|at| at <= before) {
            let expired = self.window.older_than(before);
            self.fail(expired, "expired: not sent within 24 hours");
        }
    }

    /// Ends messages with -1.
    pub(super) fn fail(&mut self, ids: Vec<MessageId>, cause: &str) {
        for id in &ids {
            self.window.settle(id);
        }
        let updates: Vec<_> = ids
            .into_iter()
            .map(|id| (id, AckUpdate::Failed(cause.to_owned())))
            .collect();
        let (store, bot_id, feeds) = (self.store.clone(), self.bot.id(), self.feeds.clone());
        let (clock, name, stop) = (self.clock.clone(), self.bot.name(), self.stop.clone());
        self.work.push(Box::pin(async move {
            while let Err(reason) = store
                .apply_acks(bot_id, updates.clone(), clock.now(), &feeds)
                .await
            {
                error!(bot = name, %reason, "failed message could not be stored; retry scheduled");
                tokio::select! {
                    () = clock.sleep(STORE_REST) => {}
                    () = stop.cancelled() => break,
                }
            }
            Outcome::Done
        }));
    }

    /// Ends all messages accepted before the device ended.
    pub(super) fn end_queue(&mut self, up_to: i64, cause: String) {
        self.ending = true;
        let (store, bot_id, feeds) = (self.store.clone(), self.bot.id(), self.feeds.clone());
        let (clock, name) = (self.clock.clone(), self.bot.name());
        self.work.push(Box::pin(async move {
            let mut ended = 0;
            let result = loop {
                let now = clock.now();
                match store
                    .end_queue(bot_id, up_to, cause.clone(), ENDED_TOGETHER, now, &feeds)
                    .await
                {
                    Ok(count) => {
                        ended += count;
                        if count < ENDED_TOGETHER {
                            break Ok(());
                        }
                    }
                    Err(reason) => break Err(reason),
                }
            };
            if ended > 0 {
                warn!(
                    bot = name,
                    messages = ended,
                    cause,
                    "device unlinked; queued messages end with ack -1"
                );
            }
            Outcome::Ended { up_to, result }
        }));
    }
}
