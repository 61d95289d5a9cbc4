//! What retention takes: what has ended and is older than it may grow, a few rows a transaction.
//!
//! The newest row of a table that gives out ids by its highest one stays, or its id would be given out again.

use std::collections::HashSet;

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{Store, StoreError, sql};
use crate::clock::Millis;

/// Rows of one transaction: it must not keep an accept waiting.
const TOGETHER: i64 = 200;

/// What is older than this goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Events.
    pub events: Millis,
    /// Deliveries that ended, and their attempts.
    pub deliveries: Millis,
    /// What was written to the bots.
    pub inbound: Millis,
    /// Messages that are final or were taken, and what members said of them.
    pub messages: Millis,
    /// What files are fetched by.
    pub media: Millis,
}

/// What is taken, in this order: what tells of a message before the message.
const STEPS: [Step; 5] = [
    Step::Events,
    Step::Deliveries,
    Step::Messages,
    Step::Inbound,
    Step::Handles,
];

#[derive(Debug, Clone, Copy)]
enum Step {
    Events,
    Deliveries,
    Messages,
    Inbound,
    Handles,
}

impl Store {
    /// Takes everything that is older than it may be kept. Returns how many rows.
    ///
    /// # Errors
    /// Any [`StoreError`]; what was taken before stays taken.
    pub async fn sweep(&self, kept: Kept) -> Result<u64, StoreError> {
        let slots: Vec<i64> = sqlx::query("SELECT slot FROM bots ORDER BY slot")
            .fetch_all(&self.reads)
            .await?
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        let mut taken = 0;
        for step in STEPS {
            // What hangs on a bot is found by the bot's own index.
            let all = vec![0];
            let each = if step.is_by_bot() { &slots } else { &all };
            for slot in each {
                let slot = *slot;
                loop {
                    let rows = self
                        .write("sweep", move |connection, _| {
                            Box::pin(step.take(kept, slot, connection))
                        })
                        .await?;
                    taken += rows;
                    if i64::try_from(rows).unwrap_or(i64::MAX) < TOGETHER {
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Which of these files may still be fetched.
    pub async fn known_media(&self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut known = HashSet::new();
        for list in sql::lists(ids) {
            let text = format!(
                "SELECT media FROM inbound WHERE media_handle IS NOT NULL AND media IN ({})",
                sql::parameters(list.len(), 1)
            );
            let query = list
                .into_iter()
                .fold(sqlx::query(AssertSqlSafe(text)), sqlx::query::Query::bind);
            for row in query.fetch_all(&self.reads).await? {
                known.insert(row.try_get(0)?);
            }
        }
        Ok(known)
    }
}

impl Step {
    fn is_by_bot(self) -> bool {
        matches!(self, Self::Messages | Self::Inbound | Self::Handles)
    }

    async fn take(
        self,
        kept: Kept,
        slot: i64,
        connection: &mut AnyConnection,
    ) -> Result<u64, StoreError> {
        let (text, before) = match self {
            // Ids rise with time: the oldest are at one end of the table.
            Self::Events => (
                "DELETE FROM events WHERE at < $1 AND $2 = 0 AND id < (SELECT MAX(id) FROM events) \
                 AND id IN (SELECT id FROM events ORDER BY id LIMIT $3)",
                kept.events,
            ),
            Self::Inbound => (
                "DELETE FROM inbound WHERE (bot, chat, sender, id) IN \
                 (SELECT bot, chat, sender, id FROM inbound WHERE received_at < $1 AND bot = $2 LIMIT $3)",
                kept.inbound,
            ),
            Self::Handles => (
                "UPDATE inbound SET media_handle = NULL WHERE (bot, chat, sender, id) IN \
                 (SELECT bot, chat, sender, id FROM inbound WHERE received_at < $1 AND bot = $2 AND media_handle IS NOT NULL LIMIT $3)",
                kept.media,
            ),
            Self::Deliveries => return deliveries(kept.deliveries, connection).await,
            Self::Messages => return messages(kept.messages, slot, connection).await,
        };
        let done = sqlx::query(text)
            .bind(before)
            .bind(slot)
            .bind(TOGETHER)
            .execute(connection)
            .await?;
        Ok(done.rows_affected())
    }
}

async fn deliveries(before: Millis, connection: &mut AnyConnection) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "SELECT id FROM deliveries WHERE ended_at IS NOT NULL AND ended_at < $1 AND id < (SELECT MAX(id) FROM deliveries) \
         AND id <> COALESCE((SELECT delivery FROM attempts WHERE id = (SELECT MAX(id) FROM attempts)), 0) \
         ORDER BY ended_at LIMIT $2",
    )
    .bind(before)
    .bind(TOGETHER)
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<i64> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    for (table, column) in [("attempts", "delivery"), ("deliveries", "id")] {
        for list in sql::lists(&ids) {
            let text = format!(
                "DELETE FROM {table} WHERE {column} IN ({})",
                sql::parameters(list.len(), 1)
            );
            list.into_iter()
                .fold(sqlx::query(AssertSqlSafe(text)), sqlx::query::Query::bind)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(ids.len() as u64)
}

/// A message whose callback still waits stays: what is posted is made of it.
async fn messages(
    before: Millis,
    slot: i64,
    connection: &mut AnyConnection,
) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "SELECT m.id FROM messages m WHERE m.bot = $1 AND m.settled_at IS NOT NULL AND m.settled_at < $2 AND m.ack <> 0 \
         AND m.seq < (SELECT MAX(seq) FROM messages) AND NOT EXISTS \
         (SELECT 1 FROM deliveries d WHERE d.bot = m.bot AND d.subject = m.id AND d.ended_at IS NULL) \
         ORDER BY m.settled_at LIMIT $3",
    )
    .bind(slot)
    .bind(before)
    .bind(TOGETHER)
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    for (table, column) in [("receipts", "message"), ("messages", "id")] {
        for list in sql::lists(&ids) {
            let text = format!(
                "DELETE FROM {table} WHERE {column} IN ({})",
                sql::parameters(list.len(), 1)
            );
            list.into_iter()
                .fold(sqlx::query(AssertSqlSafe(text)), sqlx::query::Query::bind)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(ids.len() as u64)
}
