//! Counts of what waits: the messages in each bot's queue, and the open deliveries to each endpoint.
//!
//! The counts are kept in memory by the writes that change them, since counting rows takes the longer the more rows wait. One
//! process writes, so the rows are counted at the start alone, and after a lost connection, which may have taken the answer
//! to a commit with it.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row};

use super::messages::narrow;
use super::{Store, StoreError};

/// What waits, or how a transaction changes it. No entry means zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    queued: BTreeMap<i32, i64>,
    open: BTreeMap<String, i64>,
}

impl Counts {
    /// Counts the rows.
    pub(super) async fn read(connection: &mut AnyConnection) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        let queues = sqlx::query("SELECT bot, COUNT(*) FROM messages WHERE ack = 0 GROUP BY bot");
        for row in queues.fetch_all(&mut *connection).await? {
            counts.queue(narrow(row.try_get(0)?)?, row.try_get(1)?);
        }
        let lanes = sqlx::query(
            "SELECT lane, COUNT(*) FROM deliveries WHERE ended_at IS NULL GROUP BY lane",
        );
        for row in lanes.fetch_all(connection).await? {
            let lane: String = row.try_get(0)?;
            counts.open(&lane, row.try_get(1)?);
        }
        Ok(counts)
    }

    /// So many messages more in a bot's queue.
    pub(super) fn queue(&mut self, slot: i32, more: i64) {
        *self.queued.entry(slot).or_default() += more;
    }

    /// So many deliveries more are open in this lane.
    pub(super) fn open(&mut self, lane: &str, more: i64) {
        match self.open.get_mut(lane) {
            Some(count) => *count += more,
            None => {
                self.open.insert(lane.to_owned(), more);
            }
        }
    }

    /// Takes a change over.
    pub(super) fn add(&mut self, change: Self) {
        for (slot, more) in change.queued {
            self.queue(slot, more);
        }
        for (lane, more) in change.open {
            self.open(&lane, more);
        }
        // A lane that nothing waits for is one of any number that were ever called.
        self.queued.retain(|_, count| *count != 0);
        self.open.retain(|_, count| *count != 0);
    }

    /// The messages in a bot's queue.
    #[must_use]
    pub fn queued_of(&self, slot: i32) -> i64 {
        self.queued.get(&slot).copied().unwrap_or(0)
    }

    /// The messages in all queues.
    #[must_use]
    pub fn queued(&self) -> i64 {
        self.queued.values().sum()
    }

    /// The open deliveries in a lane.
    #[must_use]
    pub fn open_in(&self, lane: &str) -> i64 {
        self.open.get(lane).copied().unwrap_or(0)
    }

    /// All open deliveries.
    #[must_use]
    pub fn owed(&self) -> i64 {
        self.open.values().sum()
    }
}

impl Store {
    /// What waits now, as the last commit left it.
    #[must_use]
    pub fn waiting(&self) -> Counts {
        self.state.counts().clone()
    }

    /// How many messages of all bots wait for the server's ack.
    #[must_use]
    pub fn pending_count(&self) -> i64 {
        self.state.counts().queued()
    }

    /// How many deliveries are owed and have not ended.
    #[must_use]
    pub fn owed_count(&self) -> i64 {
        self.state.counts().owed()
    }
}
