//! Counts of waiting work: the messages in each bot's queue and the open deliveries to each
//! endpoint.
//!
//! Each write updates the counts in memory, because counting rows takes longer the more rows wait.
//! One process writes, so the rows are counted only at the start and after a lost connection. A
//! lost connection leaves the outcome of the last commit unknown.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use crate::error::StoreError;
use crate::row::narrow;

/// The counts, or the changes made by a transaction. A missing entry means zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    queued: BTreeMap<i32, i64>,
    open: BTreeMap<String, i64>,
}

/// The last assigned ids, and the changes of the counts by the current transaction. One process
/// writes, so ids need no query. The numbers of a failed transaction are skipped.
#[derive(Debug)]
pub(crate) struct Counters {
    /// The last [`crate::Queued::seq`].
    pub(crate) seq: i64,
    /// The last id of a delivery.
    pub(crate) delivery: i64,
    /// The last id of an attempt.
    pub(crate) attempt: i64,
    /// The last id of an event.
    pub(crate) event: i64,
    /// The changes of the counts by the current transaction.
    pub(crate) waiting: Counts,
}

impl Counts {
    /// Reads the counts from the database.
    pub(crate) async fn read(connection: &mut AnyConnection) -> Result<Self, StoreError> {
        let mut counts = Self::default();
        let queues: Vec<(i64, i64)> =
            sqlx::query_as("SELECT bot, COUNT(*) FROM messages WHERE ack = 0 GROUP BY bot")
                .fetch_all(&mut *connection)
                .await?;
        for (bot_id, count) in queues {
            counts.queue(narrow(bot_id)?, count);
        }
        let text = "SELECT lane, COUNT(*) FROM deliveries WHERE ended_at IS NULL GROUP BY lane";
        let endpoints: Vec<(String, i64)> = sqlx::query_as(text).fetch_all(connection).await?;
        counts.open.extend(endpoints);
        Ok(counts)
    }

    /// Adds `more` messages to the queue of a bot.
    pub(crate) fn queue(&mut self, bot_id: i32, more: i64) {
        *self.queued.entry(bot_id).or_default() += more;
    }

    /// Adds `more` open deliveries to an endpoint.
    pub(crate) fn open(&mut self, endpoint: &str, more: i64) {
        match self.open.get_mut(endpoint) {
            Some(count) => *count += more,
            None => {
                self.open.insert(endpoint.to_owned(), more);
            }
        }
    }

    /// Subtracts a delivery from each of the endpoints.
    pub(crate) fn close(&mut self, endpoints: &[String]) {
        for endpoint in endpoints {
            self.open(endpoint, -1);
        }
    }

    /// Adds the changes of a transaction.
    pub(crate) fn add(&mut self, change: Self) {
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

impl Counters {
    /// Reads the highest ids from the database.
    pub(crate) async fn read(connection: &mut AnyConnection) -> Result<Self, StoreError> {
        let (seq, delivery, attempt, event) = sqlx::query_as(
            "SELECT COALESCE((SELECT MAX(seq) FROM messages), 0), COALESCE((SELECT MAX(id) FROM deliveries), 0), \
             COALESCE((SELECT MAX(id) FROM attempts), 0), COALESCE((SELECT MAX(id) FROM events), 0)",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self {
            seq,
            delivery,
            attempt,
            event,
            waiting: Counts::default(),
        })
    }
}
