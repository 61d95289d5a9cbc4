//! What was answered to requests with an Idempotency-Key.

use sqlx::any::AnyArguments;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use super::messages::narrow;
use super::{Store, StoreError};
use crate::clock::Millis;

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 of the request's body, lower-case hex.
    pub request_sha256: String,
    /// The HTTP status.
    pub status: u16,
    /// Its body, as the one who gave it wanted it kept.
    pub answer: String,
}

/// An answer about to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepingAnswer {
    /// SHA-256 of who asked, the path and the key, lower-case hex.
    pub id: String,
    /// Who asked.
    pub caller: String,
    /// The most that all answers to them take, bytes.
    pub most: i64,
    /// The answer.
    pub kept: KeptAnswer,
    /// When it is given.
    pub at: Millis,
    /// What was kept under this id before that moment is forgotten.
    pub since: Millis,
}

const FIND: &str =
    "SELECT request_sha256, status, answer FROM idempotency WHERE id = $1 AND created_at >= $2";

impl Store {
    /// What was answered under this id at `since` or later.
    pub async fn kept(&self, id: &str, since: Millis) -> Result<Option<KeptAnswer>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(id.to_owned())
            .bind(since)
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(kept).transpose()
    }

    /// Keeps an answer, in place of one that is there: only whoever has the turn writes it.
    pub async fn keep(&self, keeping: KeepingAnswer) -> Result<(), StoreError> {
        self.write("keep", move |connection, _| {
            let keeping = keeping.clone();
            Box::pin(async move {
                let before = found(&keeping, connection).await?;
                put(
                    &keeping,
                    before.map_or(0, |before| before.bytes),
                    connection,
                )
                .await
            })
        })
        .await
    }

    /// Forgets up to `limit` answers that were given before that moment, beside the commands. Returns how many, and whether there may
    /// be more.
    pub async fn forget_kept(&self, before: Millis, limit: i64) -> Result<(u64, bool), StoreError> {
        self.aside("forget_kept", move |connection, _, mut budget| {
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

/// Which answers are forgotten.
#[derive(Clone)]
enum Which {
    /// Given before this moment.
    Before(Millis),
    /// Given to this caller, but for the answer with this id, which is the newest.
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

/// A statement about the oldest `limit` answers of these.
fn about(text: String, which: Which, limit: i64) -> sqlx::query::Query<'static, Any, AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(text));
    match which {
        Which::Before(moment) => query.bind(moment).bind(limit),
        Which::Of { caller, but } => query.bind(caller).bind(limit).bind(but),
    }
}

/// Forgets up to `limit` answers, the oldest first, and counts them off their callers. Returns how many, and what they took.
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

/// Changes what a caller's answers take; what it is now.
async fn count(
    caller: &str,
    bytes: i64,
    connection: &mut AnyConnection,
) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO idempotency_callers (caller, bytes) VALUES ($1, $2) \
         ON CONFLICT (caller) DO UPDATE SET bytes = idempotency_callers.bytes + excluded.bytes RETURNING bytes",
    )
    .bind(caller.to_owned())
    .bind(bytes)
    // To the last row: SQLite is not through with the statement before.
    .fetch_all(connection)
    .await?;
    let row = row.first();
    row.map_or(Ok(bytes), |row| Ok(row.try_get(0)?))
}

/// What stands where an answer is about to be kept.
pub(super) struct Found {
    /// The answer, unless it is forgotten.
    pub(super) kept: Option<KeptAnswer>,
    /// What it takes.
    pub(super) bytes: i64,
}

/// What stands where an answer is about to be kept.
pub(super) async fn found(
    keeping: &KeepingAnswer,
    connection: &mut AnyConnection,
) -> Result<Option<Found>, StoreError> {
    let row = sqlx::query(
        "SELECT request_sha256, status, answer, created_at, bytes FROM idempotency WHERE id = $1",
    )
    .bind(keeping.id.clone())
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

/// Of a row beside its answer, about: its other columns and its places in the indexes.
const ROW_BYTES: usize = 512;

/// The most answers that one statement pushes out: one large answer takes the room of many small ones.
const PUSHED_OUT: i64 = 64;

/// About what a small answer takes: so many answers are pushed out together as cannot be too many.
const SMALL_BYTES: i64 = 1024;

/// Writes an answer over what stands there and takes `before` bytes. A caller that has more than it may loses its oldest ones.
pub(super) async fn put(
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
    .bind(keeping.id.clone())
    .bind(keeping.kept.request_sha256.clone())
    .bind(i64::from(keeping.kept.status))
    .bind(keeping.kept.answer.clone())
    .bind(keeping.at)
    .bind(keeping.caller.clone())
    .bind(bytes)
    .execute(&mut *connection)
    .await?;
    while takes > keeping.most {
        let oldest = Which::Of {
            caller: keeping.caller.clone(),
            but: keeping.id.clone(),
        };
        // One at a time near the limit, so that no answer goes without need.
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

fn kept(row: &sqlx::any::AnyRow) -> Result<KeptAnswer, StoreError> {
    Ok(KeptAnswer {
        request_sha256: row.try_get(0)?,
        status: narrow(row.try_get(1)?)?,
        answer: row.try_get(2)?,
    })
}
