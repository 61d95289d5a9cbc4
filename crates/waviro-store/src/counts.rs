//! Counts of waiting work: the messages in each bot's queue and the open deliveries to each
//! endpoint.
//!
//! Each write updates the counts in memory, because counting rows takes longer the more rows wait.
//! One process writes, so the rows are counted only at the start and after a lost connection. A
//! lost connection leaves the outcome of the last commit unknown.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row};

use super::messages::narrow;
use super::{Store, StoreError};

/// The counts, or the changes made by a transaction. A missing entry means zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    queued: BTreeMap<i32, i64>,
    open: BTreeMap<String, i64>,
}

impl Counts {
    /// Reads the counts from the database.
    pub(super) async fn read(connection: &mut AnyConnection) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        let queues = sqlx::query("SELECT bot, COUNT(*) FROM messages WHERE ack = 0 GROUP BY bot");
        for row in queues.fetch_all(&mut *connection).await? {
            counts.queue(narrow(row.try_get(0)?)?, row.try_get(1)?);
        }
        let endpoints = sqlx::query(
            "SELECT lane, COUNT(*) FROM deliveries WHERE ended_at IS NULL GROUP BY lane",
        );
        for row in endpoints.fetch_all(connection).await? {
            let endpoint: String = row.try_get(0)?;
            counts.open(&endpoint, row.try_get(1)?);
        }
        Ok(counts)
    }

    /// Adds `more` messages to the queue of a bot.
    pub(super) fn queue(&mut self, bot_id: i32, more: i64) {
        *self.queued.entry(bot_id).or_default() += more;
    }

    /// Adds `more` open deliveries to an endpoint.
    pub(super) fn open(&mut self, endpoint: &str, more: i64) {
        match self.open.get_mut(endpoint) {
            Some(count) => *count += more,
            None => {
                self.open.insert(endpoint.to_owned(), more);
            }
        }
    }

    /// Adds the changes of a transaction.
    pub(super) fn add(&mut self, change: Self) {
        for (bot_id, more) in change.queued {
            self.queue(bot_id, more);
        }
        for (endpoint, more) in change.open {
            self.open(&endpoint, more);
        }
        // Empty endpoints are dropped: over time any number of endpoints is called.
        self.queued.retain(|_, count| *count != 0);
        self.open.retain(|_, count| *count != 0);
    }

    /// The number of messages in a bot's queue.
    #[must_use]
    pub fn queued_of(&self, bot_id: i32) -> i64 {
        self.queued.get(&bot_id).copied().unwrap_or(0)
    }

    /// The number of messages in all queues.
    #[must_use]
    pub fn queued(&self) -> i64 {
        self.queued.values().sum()
    }

    /// The number of open deliveries in an endpoint.
    #[must_use]
    pub fn open_in(&self, endpoint: &str) -> i64 {
        self.open.get(endpoint).copied().unwrap_or(0)
    }

    /// The number of open deliveries in all endpoints.
    #[must_use]
    pub fn open_deliveries(&self) -> i64 {
        self.open.values().sum()
    }
}

impl Store {
    /// Returns the counts after the last commit.
    #[must_use]
    pub fn waiting(&self) -> Counts {
        self.state.counts().clone()
    }

    /// The number of queued messages of all bots.
    #[must_use]
    pub fn pending_count(&self) -> i64 {
        self.state.counts().queued()
    }

    /// The number of open deliveries of all bots.
    #[must_use]
    pub fn open_delivery_count(&self) -> i64 {
        self.state.counts().open_deliveries()
    }
}
