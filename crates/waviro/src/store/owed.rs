//! Writing owed callbacks down, in the transaction of the change that they tell of.

use std::collections::HashMap;

use sqlx::{AnyConnection, AssertSqlSafe, Row};
use url::Url;
use waviro_link::MessageId;

use super::callbacks::{Due, KIND, LEASE};
use super::messages::{message_id, narrow};
use super::writer::Counters;
use super::{Store, StoreError, sql};
use crate::clock::Millis;

/// A callback about to be written down.
pub(super) struct Owed {
    pub(super) slot: i32,
    pub(super) message: MessageId,
    pub(super) url: Url,
    pub(super) stage: i8,
    pub(super) ack: i8,
}

/// `scheme://host:port`: endpoints that share a queue and a cap.
#[must_use]
pub fn lane(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or(""))
}

impl Store {
    /// Writes down callbacks of ack 0 for messages accepted at `before` or earlier that are still pending, up to
    /// `limit`, leased to the caller.
    pub async fn remind(
        &self,
        before: Millis,
        limit: i64,
        now: Millis,
    ) -> Result<Vec<Due>, StoreError> {
        let found = sqlx::query(
            "SELECT id FROM messages WHERE ack = 0 AND reminded = 0 AND accepted_at <= $1 LIMIT 1",
        )
        .bind(before)
        .fetch_optional(&self.reads)
        .await?;
        if found.is_none() {
            return Ok(Vec::new());
        }
        self.write(move |connection, counters| {
            Box::pin(remind(before, limit, now, connection, counters))
        })
        .await
    }
}

/// Writes owed callbacks down, leased. A message that has a row already keeps it: whoever works on it learns of the new
/// ack when a stage is posted. One that was given up is revived.
pub(super) async fn insert(
    owed: Vec<Owed>,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Vec<Due>, StoreError> {
    let mut rows = Vec::with_capacity(owed.len());
    for owed in owed {
        counters.job += 1;
        rows.push((counters.job, owed));
    }
    let mut written: HashMap<String, (i64, i64, i64)> = HashMap::with_capacity(rows.len());
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO jobs (id, kind, bot, message_id, lane, stage, attempts, run_at, leased, created_at) VALUES {} \
             ON CONFLICT (message_id, kind) DO UPDATE SET given_up_at = NULL, attempts = 0, leased = 1, \
             run_at = excluded.run_at WHERE jobs.given_up_at IS NOT NULL AND jobs.stage < 4 \
             RETURNING message_id, id, stage, CASE WHEN lost IS NULL THEN 0 ELSE 1 END",
            sql::tuples(chunk.len(), 10)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (job, owed) in chunk {
            query = query
                .bind(*job)
                .bind(KIND)
                .bind(i64::from(owed.slot))
                .bind(owed.message.as_str().to_owned())
                .bind(lane(&owed.url))
                .bind(i64::from(owed.stage))
                .bind(0_i64)
                .bind(now + LEASE)
                .bind(1_i64)
                .bind(now);
        }
        for row in query.fetch_all(&mut *connection).await? {
            written.insert(
                row.try_get(0)?,
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
            );
        }
    }
    let mut due = Vec::with_capacity(written.len());
    for (_, owed) in rows {
        if let Some((job, stage, lossy)) = written.remove(owed.message.as_str()) {
            due.push(Due {
                job,
                slot: owed.slot,
                message: owed.message,
                url: owed.url,
                stage: narrow(stage)?,
                ack: owed.ack,
                attempts: 0,
                lossy: lossy != 0,
            });
        }
    }
    Ok(due)
}

async fn remind(
    before: Millis,
    limit: i64,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, bot, notify_url FROM messages WHERE ack = 0 AND reminded = 0 AND accepted_at <= $1 \
         ORDER BY accepted_at LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let (mut owed, mut ids) = (Vec::new(), Vec::new());
    for row in &rows {
        let (id, url): (String, Option<String>) = (row.try_get(0)?, row.try_get(2)?);
        if let Some(url) = url.and_then(|url| Url::parse(&url).ok()) {
            owed.push(Owed {
                slot: narrow(row.try_get(1)?)?,
                message: message_id(&id)?,
                url,
                stage: 0,
                ack: 0,
            });
        }
        ids.push(id);
    }
    for list in sql::lists(&ids) {
        let text = format!(
            "UPDATE messages SET reminded = 1 WHERE id IN ({})",
            sql::parameters(list.len(), 1)
        );
        let query = sqlx::query(AssertSqlSafe(text));
        list.into_iter()
            .fold(query, sqlx::query::Query::bind)
            .execute(&mut *connection)
            .await?;
    }
    insert(owed, now, connection, counters).await
}
