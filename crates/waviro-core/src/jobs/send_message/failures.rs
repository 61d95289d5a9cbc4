//! The commits of messages that end with -1: expired, refused, or accepted for a device that has
//! ended.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use waviro_link::MessageId;
use waviro_store::clock::Clock;
use waviro_store::{AckUpdate, CommitFeeds, MessageFailure, Store, StoreError};

use crate::bots::Bot;

/// The pause before the retry of a failed commit.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// The messages ended in one transaction when the device ends.
const ENDED_TOGETHER: usize = 500;

/// Commits the failures of a bot's messages.
#[derive(Clone)]
pub(super) struct Failures {
    pub(super) bot: Arc<Bot>,
    pub(super) store: Store,
    pub(super) feeds: CommitFeeds,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

impl Failures {
    /// Ends messages with -1. Repeats the commit until the commit succeeds or the gateway stops.
    pub(super) async fn fail(self, ids: Vec<MessageId>, failure: MessageFailure) {
        let updates: Vec<_> = ids
            .into_iter()
            .map(|id| (id, AckUpdate::Failed(failure.clone())))
            .collect();
        let bot_id = self.bot.id();
        while let Err(reason) = self
            .store
            .apply_acks(bot_id, updates.clone(), self.clock.now(), &self.feeds)
            .await
        {
            error!(bot = self.bot.name(), %reason, "failed message could not be stored; retry scheduled");
            tokio::select! {
                () = self.clock.sleep(COMMIT_AGAIN) => {}
                () = self.stop.cancelled() => break,
            }
        }
    }

    /// Ends all messages up to the sequence number `up_to`, because the device ended.
    ///
    /// # Errors
    /// Any [`StoreError`]; some of the messages may have ended.
    pub(super) async fn end_queue(
        self,
        up_to: i64,
        failure: MessageFailure,
    ) -> Result<(), StoreError> {
        let mut ended = 0;
        let result = loop {
            let (failure, now) = (failure.clone(), self.clock.now());
            let ending = self.store.end_queue(
                self.bot.id(),
                up_to,
                failure,
                ENDED_TOGETHER,
                now,
                &self.feeds,
            );
            match ending.await {
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
                bot = self.bot.name(),
                messages = ended,
                cause = failure.text,
                "device unlinked; queued messages end with ack -1"
            );
        }
        result
    }
}
