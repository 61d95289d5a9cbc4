//! Callbacks: one row per message. The stages of a row are posted one after the other. The row is
//! written in the transaction of the ack change.

use std::collections::HashMap;

use sqlx::{AnyConnection, Row};
use url::Url;
use waviro_link::MessageId;

use super::due::{Callback, DeliveryKind, Due, LEASE, Work, endpoint_of};
use crate::clock::Millis;
use crate::counts::Counters;
use crate::row::{message_id, narrow};
use crate::{Store, StoreError, sql};

/// A callback to be written.
pub(crate) struct NewCallback {
    pub(crate) bot_id: i32,
    pub(crate) message: MessageId,
    pub(crate) url: Url,
    pub(crate) stage: i8,
    pub(crate) ack: i8,
}

impl Store {
    /// Returns callbacks with given-up stages: the message, the lost stages and the last error.
    pub async fn given_up(
        &self,
        limit: i64,
    ) -> Result<Vec<(MessageId, String, String)>, StoreError> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT subject, lost, COALESCE(last_error, '') FROM deliveries WHERE lost IS NOT NULL ORDER BY id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.into_iter()
            .map(|(id, lost, error)| Ok((message_id(&id)?, lost, error)))
            .collect()
    }

    /// Writes callbacks of ack 0 for up to `limit` pending messages accepted at `before` or
    /// earlier. The callbacks are leased to the caller.
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
        self.write("remind", (), move |(), connection, counters| {
            Box::pin(remind(before, limit, now, connection, counters))
        })
        .await
    }
}

/// Writes callbacks, leased to the caller. An open row stays as it is: its worker finds the new ack
/// when the current stage is posted. An ended row is reopened.
pub(crate) async fn insert(
    callbacks: Vec<NewCallback>,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Vec<Due>, StoreError> {
    let mut rows = Vec::with_capacity(callbacks.len());
    for callback in callbacks {
        counters.delivery += 1;
        rows.push((counters.delivery, callback));
    }
    let mut written: HashMap<String, (i64, i64, i64)> = HashMap::with_capacity(rows.len());
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO deliveries (id, kind, bot, subject, url, lane, stage, attempts, run_at, leased, held, replays, created_at) VALUES {} \
             ON CONFLICT (subject) WHERE kind = 'notify_ack' DO UPDATE SET ended_at = NULL, fate = NULL, attempts = 0, leased = 1, held = 0, \
             run_at = excluded.run_at WHERE deliveries.ended_at IS NOT NULL AND deliveries.stage < 4 \
             RETURNING subject, id, stage, CASE WHEN lost IS NULL THEN 0 ELSE 1 END, lane",
            sql::tuples(chunk.len(), 13)
        );
        let mut query = sql::query(text);
        for (id, callback) in chunk {
            query = query
                .bind(*id)
                .bind(DeliveryKind::Callback.word())
                .bind(i64::from(callback.bot_id))
                .bind(callback.message.as_str())
                .bind(callback.url.as_str())
                .bind(endpoint_of(&callback.url))
                .bind(i64::from(callback.stage))
                .bind(0_i64)
                .bind(now + LEASE)
                .bind(1_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(now);
        }
        // The statement returns new and reopened rows only.
        for row in query.fetch_all(&mut *connection).await? {
            let endpoint: String = row.try_get(4)?;
            counters.waiting.open(&endpoint, 1);
            written.insert(
                row.try_get(0)?,
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
            );
        }
    }
    let mut due = Vec::with_capacity(written.len());
    for (_, callback) in rows {
        if let Some((id, stage, lossy)) = written.remove(callback.message.as_str()) {
            due.push(Due {
                id,
                bot_id: callback.bot_id,
                url: callback.url,
                attempts: 0,
                work: Work::Callback(Callback {
                    message: callback.message,
                    stage: narrow(stage)?,
                    ack: callback.ack,
                    lossy: lossy != 0,
                }),
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
    let (mut callbacks, mut ids) = (Vec::new(), Vec::new());
    for row in &rows {
        let (id, url): (String, Option<String>) = (row.try_get(0)?, row.try_get(2)?);
        if let Some(url) = url.and_then(|url| Url::parse(&url).ok()) {
            callbacks.push(NewCallback {
                bot_id: narrow(row.try_get(1)?)?,
                message: message_id(&id)?,
                url,
                stage: 0,
                ack: 0,
            });
        }
        ids.push(id);
    }
    for (listed, list) in sql::numbered(&ids, 1) {
        let text = format!("UPDATE messages SET reminded = 1 WHERE id IN ({listed})");
        let query = sql::bind_all(sql::query(text), list);
        query.execute(&mut *connection).await?;
    }
    insert(callbacks, now, connection, counters).await
}
