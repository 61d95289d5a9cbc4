//! Polls the database for due deliveries.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::error;
use waviro_store::clock::{Clock, millis};
use waviro_store::{Due, Store, StoreError};

use super::capacity::{Capacity, queue_limit};

/// The rows leased per transaction. The transaction stays short because the writer serves other
/// work too.
const LEASED_TOGETHER: usize = 200;

/// The wait before the retry of a delivery whose task panicked: the cause may still be present.
const AFTER_A_PANIC: Duration = Duration::from_mins(1);

/// The gateway posts ack 0 only for a message still pending after this time.
pub const PENDING_FOR: Duration = Duration::from_secs(10);

/// A poll of the database.
pub(super) struct Poll {
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// Leased rows without room in memory. The poll releases the leases.
    pub(super) unscheduled: Vec<i64>,
    /// Leased rows whose task panicked. The poll releases the leases, with a pause.
    pub(super) panicked: Vec<i64>,
    pub(super) lease_limits: LeaseLimits,
    /// Gets the leased deliveries.
    pub(super) feed: mpsc::UnboundedSender<Due>,
}

/// The result of a poll.
pub(super) struct Polled {
    /// A queue has more due deliveries than a poll leases.
    pub(super) more: bool,
    /// The endpoints that are switched off in the database.
    pub(super) off: HashSet<String>,
}

impl Poll {
    /// Leases due deliveries with room in memory, and finds the pending messages to report with
    /// ack 0.
    pub(super) async fn run(mut self) -> Result<Polled, StoreError> {
        let (store, now) = (&self.store, self.clock.now());
        if !self.unscheduled.is_empty() {
            store.release(self.unscheduled, now).await?;
        }
        if !self.panicked.is_empty() {
            error!(deliveries = ?self.panicked, "deliveries panicked; retry in a minute");
            let later = now + millis(AFTER_A_PANIC);
            store.release(self.panicked, later).await?;
        }
        let together = i64::try_from(LEASED_TOGETHER).unwrap_or(i64::MAX);
        let before = now - millis(PENDING_FOR);
        for due in store.remind(before, together, now).await? {
            let _ = self.feed.send(due);
        }
        let failures = store.endpoint_failures().await?.into_iter();
        let off: HashSet<String> = failures
            .filter(|failure| failure.off_at.is_some())
            .map(|failure| failure.endpoint)
            .collect();
        let mut more = false;
        for (endpoint, bot) in store.due_queues(now).await? {
            let limit = self.lease_limits.of(&endpoint, bot).min(LEASED_TOGETHER);
            if limit == 0 || off.contains(&endpoint) {
                continue;
            }
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let leased = store.claim(&endpoint, bot, limit, now).await?;
            more |= leased.len() == LEASED_TOGETHER;
            self.lease_limits.leased(bot, leased.len());
            for due in leased {
                let _ = self.feed.send(due);
            }
        }
        Ok(Polled { more, off })
    }
}

/// How many due deliveries a poll may lease, based on the memory in use when the poll began.
#[derive(Debug)]
pub(super) struct LeaseLimits {
    capacity: Capacity,
    lengths: HashMap<(String, i32), usize>,
    failing: HashSet<(String, i32)>,
}

impl LeaseLimits {
    /// `lengths` are the lengths of the endpoint queues in memory; `failing` are the pairs of
    /// endpoint and bot whose last request failed.
    pub(super) fn new(
        capacity: Capacity,
        lengths: HashMap<(String, i32), usize>,
        failing: HashSet<(String, i32)>,
    ) -> Self {
        Self {
            capacity,
            lengths,
            failing,
        }
    }

    /// Returns how many deliveries of the bot to the endpoint may be leased.
    fn of(&self, endpoint: &str, bot: i32) -> usize {
        let queue = (endpoint.to_owned(), bot);
        let length = self.lengths.get(&queue).copied().unwrap_or(0);
        queue_limit(self.failing.contains(&queue))
            .saturating_sub(length)
            .min(self.capacity.left(bot))
    }

    /// Records that `count` deliveries of the bot were leased.
    fn leased(&mut self, bot: i32, count: usize) {
        (0..count).for_each(|_| self.capacity.taken(bot));
    }
}
