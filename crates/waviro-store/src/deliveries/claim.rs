//! Claims due deliveries for this process and releases them.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::due::{Callback, DeliveryKind, Due, LEASE, PARKED, Work};
use crate::clock::Millis;
use crate::row::{self, message_id, narrow};
use crate::{Store, StoreError, sql};

impl Store {
    /// Releases leased rows; the rows are due at `run_at`.
    pub async fn release(&self, ids: Vec<i64>, run_at: Millis) -> Result<(), StoreError> {
        self.write("release", ids, move |ids, connection, _| {
            Box::pin(lease(ids, 0, run_at, connection))
        })
        .await
    }

    /// Ends every lease, and every wait computed while the clock was ahead, which could last
    /// forever. Call the function once, before the process claims its first delivery. One process
    /// owns the database.
    pub async fn release_all(&self, now: Millis) -> Result<u64, StoreError> {
        self.write("release_all", (), move |(), connection, _| {
            Box::pin(async move {
                let done =
                    sqlx::query("UPDATE deliveries SET leased = 0, run_at = $1 WHERE leased = 1")
                        .bind(now)
                        .execute(&mut *connection)
                        .await?;
                // The newest rows show if the clock was ahead. Only in that case the whole backlog
                // is scanned.
                let (created_at, tried_at): (Millis, Millis) = sqlx::query_as(
                    "SELECT COALESCE((SELECT created_at FROM deliveries ORDER BY id DESC LIMIT 1), 0), \
                     COALESCE((SELECT at FROM attempts ORDER BY id DESC LIMIT 1), 0)",
                )
                .fetch_one(&mut *connection)
                .await?;
                if created_at <= now && tried_at <= now {
                    return Ok(done.rows_affected());
                }
                sqlx::query(
                    "UPDATE deliveries SET run_at = $1 WHERE ended_at IS NULL AND run_at > $2 AND run_at < $3 AND (created_at > $4 \
                     OR EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = deliveries.id AND a.at > $5))",
                )
                .bind(now)
                .bind(now)
                .bind(PARKED)
                .bind(now)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(done.rows_affected())
            })
        })
        .await
    }

    /// Returns the endpoint queues (endpoint and bot) with a due delivery. The query costs one
    /// index step for each pair, independent of the size of the backlog.
    pub async fn due_queues(&self, now: Millis) -> Result<Vec<(String, i32)>, StoreError> {
        let rows = sqlx::query(
            "WITH RECURSIVE lanes (lane) AS (\
             SELECT MIN(lane) FROM deliveries WHERE ended_at IS NULL \
             UNION ALL \
             SELECT (SELECT MIN(d.lane) FROM deliveries d WHERE d.ended_at IS NULL AND d.lane > lanes.lane) \
             FROM lanes WHERE lanes.lane IS NOT NULL), \
             queues (lane, bot) AS (\
             SELECT lane, (SELECT MIN(d.bot) FROM deliveries d WHERE d.ended_at IS NULL AND d.lane = lanes.lane) \
             FROM lanes WHERE lanes.lane IS NOT NULL \
             UNION ALL \
             SELECT lane, (SELECT MIN(d.bot) FROM deliveries d \
             WHERE d.ended_at IS NULL AND d.lane = queues.lane AND d.bot > queues.bot) \
             FROM queues WHERE queues.bot IS NOT NULL) \
             SELECT lane, bot FROM queues WHERE bot IS NOT NULL AND EXISTS \
             (SELECT 1 FROM deliveries d WHERE d.ended_at IS NULL AND d.leased = 0 AND d.lane = queues.lane \
             AND d.bot = queues.bot AND d.run_at <= $1)",
        )
        .bind(now)
        .fetch_all(&self.reads)
        .await?;
        let queue = |row: &AnyRow| Ok((row.try_get(0)?, narrow(row.try_get(1)?)?));
        rows.iter().map(queue).collect()
    }

    /// Leases up to `limit` due rows of an endpoint queue, in the order of `run_at`. Only the
    /// `leased` column marks rows in memory, so a clock put forward cannot make a row due twice.
    pub async fn claim(
        &self,
        endpoint: &str,
        bot: i32,
        limit: i64,
        now: Millis,
    ) -> Result<Vec<Due>, StoreError> {
        let endpoint = endpoint.to_owned();
        self.write("claim", endpoint, move |endpoint, connection, _| {
            Box::pin(async move {
                let rows = sql::query(format!(
                    "{DUE} WHERE d.ended_at IS NULL AND d.leased = 0 AND d.lane = $1 AND d.bot = $2 AND d.run_at <= $3 \
                     ORDER BY d.run_at, d.id LIMIT $4"
                ))
                .bind(endpoint)
                .bind(i64::from(bot))
                .bind(now)
                .bind(limit)
                .fetch_all(&mut *connection)
                .await?;
                let due: Vec<Due> = rows.iter().map(due).collect::<Result<_, _>>()?;
                let ids: Vec<i64> = due.iter().map(|due| due.id).collect();
                lease(&ids, 1, now + LEASE, connection).await?;
                Ok(due)
            })
        })
        .await
    }
}

/// The query of a [`Due`]; [`due`] parses its rows.
pub(super) const DUE: &str = "SELECT d.id, d.bot, d.url, d.attempts, d.kind, d.subject, d.chat, d.stage, m.ack, \
     CASE WHEN d.lost IS NULL THEN 0 ELSE 1 END \
     FROM deliveries d LEFT JOIN messages m ON d.kind = 'notify_ack' AND m.id = d.subject";

pub(super) async fn lease(
    ids: &[i64],
    leased: i64,
    run_at: Millis,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    for (listed, list) in sql::numbered(ids, 3) {
        let text = format!("UPDATE deliveries SET leased = $1, run_at = $2 WHERE id IN ({listed})");
        let query = sql::query(text).bind(leased).bind(run_at);
        sql::bind_all(query, list).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) fn due(row: &AnyRow) -> Result<Due, StoreError> {
    let (url, kind): (String, String) = (row.try_get(2)?, row.try_get(4)?);
    let work = match DeliveryKind::of(&kind)? {
        DeliveryKind::Callback => {
            // A message deleted by retention has no callbacks left, so the ack becomes a value
            // below the stage.
            let (stage, ack): (i64, Option<i64>) = (row.try_get(7)?, row.try_get(8)?);
            let lossy: i64 = row.try_get(9)?;
            Work::Callback(Callback {
                message: message_id(row.try_get(5)?)?,
                stage: narrow(stage)?,
                ack: narrow(ack.unwrap_or_else(|| (stage - 1).max(0)))?,
                lossy: lossy != 0,
            })
        }
        DeliveryKind::Keyword => {
            let chat: Option<String> = row.try_get(6)?;
            let chat = row::chat(chat.as_deref().unwrap_or_default())?;
            Work::Webhook { chat }
        }
        DeliveryKind::Event => Work::Event,
    };
    Ok(Due {
        id: row.try_get(0)?,
        bot_id: narrow(row.try_get(1)?)?,
        url: row::url(&url, "a delivery")?,
        attempts: row.try_get(3)?,
        work,
    })
}
