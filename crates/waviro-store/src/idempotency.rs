//! The stored responses to requests with an idempotency key.

mod answer;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::clock::Millis;
use crate::row::narrow;
use crate::sql::{self, Bound};
use crate::{Store, StoreError};

pub use answer::{KeepingAnswer, KeptAnswer};

const FIND: &str =
    "SELECT request_sha256, status, answer FROM idempotency WHERE id = $1 AND created_at >= $2";

impl Store {
    /// Returns the response stored under the id at `since` or later.
    pub async fn kept(&self, id: &str, since: Millis) -> Result<Option<KeptAnswer>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(id)
            .bind(since)
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(kept).transpose()
    }

    /// Stores a response. An existing response is replaced: only the holder of the key's lock
    /// writes.
    pub async fn keep(&self, keeping: KeepingAnswer) -> Result<(), StoreError> {
        self.write("keep", keeping, move |keeping, connection, _| {
            Box::pin(async move {
                let before = found(keeping, connection).await?;
                let bytes = before.map_or(0, |before| before.bytes);
                put(keeping, bytes, connection).await
            })
        })
        .await
    }

    /// Deletes up to `limit` responses older than `before`, as background work. Returns the number
    /// of deleted responses, and `true` if more may be left.
    pub async fn forget_kept(&self, before: Millis, limit: i64) -> Result<(u64, bool), StoreError> {
        self.in_background("forget_kept", move |connection, mut budget| {
            Box::pin(async move {
                let (mut forgotten, mut left) = (0, limit);
                loop {
                    let many = budget.rows().min(left);
                    let (done, _) = forget(Which::Before(before), many, connection).await?;
                    (forgotten, left) = (forgotten + done, left - many);
                    let more = done == many.unsigned_abs();
                    if !more || left == 0 || budget.is_spent() {
                        return Ok((forgotten, more));
                    }
                }
            })
        })
        .await
    }
}

/// The responses to delete.
#[derive(Clone)]
enum Which {
    /// Responses older than this time.
    Before(Millis),
    /// The responses of a caller except the response with the id `but`, which is the newest.
    Of { caller: String, but: String },
}

impl Which {
    fn condition(&self) -> &'static str {
        match self {
            Self::Before(_) => "created_at < $1",
            Self::Of { .. } => "caller = $1 AND id <> $3",
        }
    }
}

/// Binds the parameters of a statement about the oldest `limit` responses.
fn about(text: String, which: Which, limit: i64) -> Bound {
    let query = sql::query(text);
    match which {
        Which::Before(moment) => query.bind(moment).bind(limit),
        Which::Of { caller, but } => query.bind(caller).bind(limit).bind(but),
    }
}

/// Deletes up to `limit` responses, oldest first, and subtracts their size from their callers'
/// totals. Returns the number of deleted responses and their size.
async fn forget(
    which: Which,
    limit: i64,
    connection: &mut AnyConnection,
) -> Result<(u64, i64), StoreError> {
    let condition = which.condition();
    let oldest = format!("FROM idempotency WHERE {condition} ORDER BY created_at, id LIMIT $2");
    let shares = format!(
        "SELECT caller, CAST(SUM(bytes) AS BIGINT) FROM (SELECT caller, bytes {oldest}) AS oldest GROUP BY caller"
    );
    let shares = about(shares, which.clone(), limit);
    let shares = shares.fetch_all(&mut *connection).await?;
    let gone = format!("DELETE FROM idempotency WHERE id IN (SELECT id {oldest})");
    let gone = about(gone, which, limit).execute(&mut *connection).await?;
    let mut freed = 0;
    for share in shares {
        let (caller, bytes): (String, i64) = (share.try_get(0)?, share.try_get(1)?);
        freed += bytes;
        count(&caller, -bytes, connection).await?;
        sqlx::query("DELETE FROM idempotency_callers WHERE caller = $1 AND bytes <= 0")
            .bind(caller)
            .execute(&mut *connection)
            .await?;
    }
    Ok((gone.rows_affected(), freed))
}

/// Adds `bytes` to the size of a caller's responses. Returns the new size.
async fn count(
    caller: &str,
    bytes: i64,
    connection: &mut AnyConnection,
) -> Result<i64, StoreError> {
    let sizes = sqlx::query_scalar(
        "INSERT INTO idempotency_callers (caller, bytes) VALUES ($1, $2) \
         ON CONFLICT (caller) DO UPDATE SET bytes = idempotency_callers.bytes + excluded.bytes RETURNING bytes",
    )
    .bind(caller)
    .bind(bytes)
    // `fetch_all` reads to the last row, because SQLite completes a statement only at its end.
    .fetch_all(connection)
    .await?;
    Ok(sizes.first().copied().unwrap_or(bytes))
}

/// The row found under an id.
pub(crate) struct Found {
    /// The response; `None` if it is expired.
    pub(crate) kept: Option<KeptAnswer>,
    /// The size of the row.
    pub(crate) bytes: i64,
}

/// Returns the row stored under the id of a response.
pub(crate) async fn found(
    keeping: &KeepingAnswer,
    connection: &mut AnyConnection,
) -> Result<Option<Found>, StoreError> {
    let row = sqlx::query(
        "SELECT request_sha256, status, answer, created_at, bytes FROM idempotency WHERE id = $1",
    )
    .bind(&keeping.id)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let lives = row.try_get::<i64, _>(3)? >= keeping.since;
    Ok(Some(Found {
        kept: lives.then(|| kept(&row)).transpose()?,
        bytes: row.try_get(4)?,
    }))
}

/// The approximate size of a row without its response: the other columns and the index entries.
const ROW_BYTES: usize = 512;

/// The maximum number of responses deleted by one statement. One large response may need the space
/// of many small responses.
const PUSHED_OUT: i64 = 64;

/// The approximate size of a small response. The number of responses deleted together is estimated
/// with this size, so that it is never too large.
const SMALL_BYTES: i64 = 1024;

/// Stores a response over an existing row of `before` bytes. If the caller exceeds its limit, its
/// oldest responses are deleted.
pub(crate) async fn put(
    keeping: &KeepingAnswer,
    before: i64,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    let bytes = i64::try_from(keeping.kept.answer.len() + ROW_BYTES).unwrap_or(i64::MAX);
    let mut takes = count(&keeping.caller, bytes - before, connection).await?;
    sqlx::query(
        "INSERT INTO idempotency (id, request_sha256, status, answer, created_at, caller, bytes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET request_sha256 = excluded.request_sha256, status = excluded.status, \
         answer = excluded.answer, created_at = excluded.created_at, caller = excluded.caller, bytes = excluded.bytes",
    )
    .bind(&keeping.id)
    .bind(&keeping.kept.request_sha256)
    .bind(i64::from(keeping.kept.status))
    .bind(&keeping.kept.answer)
    .bind(keeping.at)
    .bind(&keeping.caller)
    .bind(bytes)
    .execute(&mut *connection)
    .await?;
    while takes > keeping.most {
        let oldest = Which::Of {
            caller: keeping.caller.clone(),
            but: keeping.id.clone(),
        };
        // Near the limit responses are deleted one at a time, so that none is deleted without need.
        let over = takes - keeping.most;
        let many = if over < 64 * SMALL_BYTES {
            1
        } else {
            (over / (64 * SMALL_BYTES)).clamp(1, PUSHED_OUT)
        };
        let (gone, freed) = forget(oldest, many, connection).await?;
        takes -= freed;
        if gone == 0 {
            break;
        }
    }
    Ok(())
}

fn kept(row: &AnyRow) -> Result<KeptAnswer, StoreError> {
    Ok(KeptAnswer {
        request_sha256: row.try_get(0)?,
        status: narrow(row.try_get(1)?)?,
        answer: row.try_get(2)?,
    })
}
