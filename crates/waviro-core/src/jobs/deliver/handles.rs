//! The handles shared by all deliveries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;
use waviro_store::clock::Clock;
use waviro_store::{Store, StoreError};

use super::request::EndpointClient;
use crate::bots::Bot;
use crate::outbox::Outbox;

/// The wait before the retry of a failed commit. The endpoint has answered, so the request must not
/// be repeated instead.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// How often a delivery checks whether a starting bot is up.
const BOT_COMES_UP: Duration = Duration::from_millis(100);

/// The handles shared by all deliveries.
pub(in crate::jobs) struct Handles {
    pub(in crate::jobs) store: Store,
    pub(in crate::jobs) client: EndpointClient,
    pub(in crate::jobs) outbox: Outbox,
    pub(in crate::jobs) bots: RunningBots,
    pub(in crate::jobs) clock: Clock,
    pub(in crate::jobs) stop: CancellationToken,
}

/// The running bots by bot id, used to send webhook replies. The references are weak, so a removed
/// bot is not kept alive.
#[derive(Debug, Clone, Default)]
pub(in crate::jobs) struct RunningBots(Arc<Mutex<HashMap<i32, Weak<Bot>>>>);

/// The gateway is stopping; the next start resumes the delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping;

impl RunningBots {
    pub(in crate::jobs) fn insert(&self, bot: &Arc<Bot>) {
        let mut bots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bots.insert(bot.id(), Arc::downgrade(bot));
    }

    fn find(&self, bot_id: i32) -> Option<Arc<Bot>> {
        let bots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bots.get(&bot_id)?.upgrade()
    }
}

impl Handles {
    /// Returns a bot, or `Ok(None)` if the bot was removed. Right after the start a delivery of the
    /// last run may be ready before its bot is up, so the function waits.
    ///
    /// # Errors
    /// [`Stopping`]: the gateway stops before the answer is known.
    pub(super) async fn running_bot(&self, bot_id: i32) -> Result<Option<Arc<Bot>>, Stopping> {
        loop {
            if let Some(bot) = self.bots.find(bot_id) {
                return Ok(Some(bot));
            }
            let row = self.commit(|store| store.bot(bot_id)).await;
            if row.ok_or(Stopping)?.is_none() {
                return Ok(None);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopping),
                () = self.clock.sleep(BOT_COMES_UP) => {}
            }
        }
    }

    /// Repeats a commit until the commit succeeds. Returns `None` at the stop: the row stays leased
    /// and the next start releases the lease.
    pub(super) async fn commit<'h, T, F>(&'h self, change: impl Fn(&'h Store) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match change(&self.store).await {
                Ok(done) => return Some(done),
                Err(reason) => {
                    error!(%reason, "outcome of a delivery could not be stored; retry scheduled");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.clock.sleep(COMMIT_AGAIN) => {}
            }
        }
    }
}
