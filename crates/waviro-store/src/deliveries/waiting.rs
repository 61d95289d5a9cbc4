//! Changes the deliveries that wait for a rule, a subscription or an endpoint. Each transaction
//! changes a few rows only, because a backlog may be long and other commands wait for the writer.

use sqlx::{AnyConnection, Row};
use url::Url;

use super::due::{PARKED, endpoint_of};
use super::reply_note::ReplyNote;
use crate::clock::Millis;
use crate::counts::Counters;
use crate::sources::Sources;
use crate::{Store, StoreError, row, sql};

/// The maximum number of rows in one transaction.
const TOGETHER: i64 = 200;

/// The last row checked: its URL and its id.
type AfterUrl = (String, i64);

/// The last row checked: its bot, its `run_at` and its id.
pub(super) type AfterTime = (i64, Millis, i64);

/// The current URL and state of a rule or a subscription.
struct Source {
    url: Url,
    deleted: bool,
}

/// A delivery that has not ended.
struct Open {
    id: i64,
    url: String,
    endpoint: String,
    leased: bool,
}

impl Store {
    /// Updates all deliveries that wait for a rule or a subscription: moves the rows to the current
    /// URL, or cancels the rows of a deleted source. The task continues if the caller is cancelled.
    /// After a crash, [`Store::begin_sweep`] finds the remaining rows.
    pub(crate) async fn follow(
        &self,
        sources: Sources,
        source: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        let following = self.tasks.spawn(async move {
            let mut after = AfterUrl::default();
            loop {
                let from = after;
                let last = store.write("follow", from, move |from, connection, counters| {
                    Box::pin(follow(sources, source, from, now, connection, counters))
                });
                match last.await? {
                    Some(last) => after = last,
                    None => return Ok(()),
                }
            }
        });
        following.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns every rule and subscription with waiting deliveries that was deleted or has another
    /// URL than a delivery. The query takes a few index steps for each.
    pub(crate) async fn sources_to_follow(&self) -> Result<Vec<(Sources, i64)>, StoreError> {
        let mut found = Vec::new();
        for sources in [Sources::Rules, Sources::Subscriptions] {
            let (table, kind) = (sources.table(), sources.kind().word());
            let waits = |rest: &str| {
                format!(
                    "EXISTS (SELECT 1 FROM deliveries d WHERE d.kind = '{kind}' AND d.source = s.id AND d.ended_at IS NULL{rest})"
                )
            };
            let text = format!(
                "SELECT s.id FROM {table} s WHERE CASE WHEN s.deleted_at IS NULL THEN {} OR {} ELSE {} END",
                waits(" AND d.url < s.url"),
                waits(" AND d.url > s.url"),
                waits(""),
            );
            let rows = sql::query(text).fetch_all(&self.reads).await?;
            for row in rows {
                found.push((sources, row.try_get(0)?));
            }
        }
        Ok(found)
    }
}

/// Updates the next rows of a source. Returns the last row if more rows may follow. Leased rows of
/// a deleted source are skipped: the worker cancels each before its attempt.
async fn follow(
    sources: Sources,
    id: i64,
    after: &AfterUrl,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Option<AfterUrl>, StoreError> {
    let Some(source) = source(sources, id, connection).await? else {
        return Ok(None);
    };
    let mut rows = open_for(sources, id, after, connection).await?;
    let to = endpoint_of(&source.url);
    let note = ReplyNote::cancelled(match sources {
        Sources::Rules => "the rule was deleted",
        Sources::Subscriptions => "the subscription was deleted",
    });
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        if source.deleted {
            if row.leased {
                continue;
            }
        } else {
            if row.url == source.url.as_str() {
                continue;
            }
            counters.waiting.open(&to, 1);
        }
        counters.waiting.open(&row.endpoint, -1);
        ids.push(row.id);
    }
    let (change, first) = if source.deleted {
        (
            "ended_at = $1, fate = 'cancelled', note = $2, note_code = $3",
            4,
        )
    } else {
        ("url = $1, lane = $2", 3)
    };
    for (listed, list) in sql::numbered(&ids, first) {
        let text = format!("UPDATE deliveries SET {change} WHERE id IN ({listed})");
        let query = sql::query(text);
        let query = if source.deleted {
            query.bind(now).bind(&note.text).bind(note.outcome.code())
        } else {
            query.bind(source.url.as_str()).bind(&to)
        };
        sql::bind_all(query, list).execute(&mut *connection).await?;
    }
    let more = rows.len() as u64 >= TOGETHER.unsigned_abs();
    Ok(rows.pop().filter(|_| more).map(|row| (row.url, row.id)))
}

async fn source(
    sources: Sources,
    id: i64,
    connection: &mut AnyConnection,
) -> Result<Option<Source>, StoreError> {
    let table = sources.table();
    let text = format!(
        "SELECT url, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END FROM {table} WHERE id = $1"
    );
    let row = sql::query(text).bind(id).fetch_optional(connection);
    let row = row.await?.map(|row| {
        let (url, deleted): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Source {
            url: row::url(&url, "a rule's or a subscription")?,
            deleted: deleted != 0,
        })
    });
    row.transpose()
}

/// Makes the next waiting rows of an endpoint due. Waits requested by the endpoint stay. Returns
/// the number of due rows, and the last row if more rows may follow.
pub(super) async fn wake(
    endpoint: &str,
    (bot, run_at, id): AfterTime,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<(u64, Option<AfterTime>), StoreError> {
    let rows = sqlx::query(
        "SELECT id, bot, run_at, leased, held FROM deliveries WHERE ended_at IS NULL AND lane = $1 \
         AND (bot, run_at, id) > ($2, $3, $4) ORDER BY bot, run_at, id LIMIT $5",
    )
    .bind(endpoint)
    .bind(bot)
    .bind(run_at)
    .bind(id)
    .bind(TOGETHER)
    .fetch_all(&mut *connection)
    .await?;
    let (mut ids, mut last) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let (id, run_at): (i64, Millis) = (row.try_get(0)?, row.try_get(2)?);
        let (leased, held): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let waits = run_at > now && run_at < PARKED;
        if waits && leased == 0 && held == 0 {
            ids.push(id);
        }
        last = Some((row.try_get(1)?, run_at, id));
    }
    for (listed, list) in sql::numbered(&ids, 2) {
        let text = format!(
            "UPDATE deliveries SET run_at = $1, attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END WHERE id IN ({listed})"
        );
        let query = sql::query(text).bind(now);
        sql::bind_all(query, list).execute(&mut *connection).await?;
    }
    let more = rows.len() as u64 >= TOGETHER.unsigned_abs();
    Ok((ids.len() as u64, last.filter(|_| more)))
}

async fn open_for(
    sources: Sources,
    source: i64,
    (url, id): &AfterUrl,
    connection: &mut AnyConnection,
) -> Result<Vec<Open>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, url, lane, leased FROM deliveries WHERE kind = $1 AND source = $2 AND ended_at IS NULL AND (url, id) > ($3, $4) \
         ORDER BY url, id LIMIT $5",
    )
    .bind(sources.kind().word())
    .bind(source)
    .bind(url)
    .bind(id)
    .bind(TOGETHER)
    .fetch_all(connection)
    .await?;
    let rows = rows.iter().map(|row| {
        let leased: i64 = row.try_get(3)?;
        Ok(Open {
            id: row.try_get(0)?,
            url: row.try_get(1)?,
            endpoint: row.try_get(2)?,
            leased: leased != 0,
        })
    });
    rows.collect()
}
