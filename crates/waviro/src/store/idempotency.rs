//! What was answered to requests with an Idempotency-Key.

use sqlx::{AnyConnection, Row};

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
            Box::pin(async move { put(&keeping, connection).await })
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
                    let done = sqlx::query(
                        "DELETE FROM idempotency WHERE id IN \
                         (SELECT id FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
                    )
                    .bind(before)
                    .bind(many)
                    .execute(&mut *connection)
                    .await?
                    .rows_affected();
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

/// What stands where an answer is about to be kept.
pub(super) async fn find(
    keeping: &KeepingAnswer,
    connection: &mut AnyConnection,
) -> Result<Option<KeptAnswer>, StoreError> {
    let row = sqlx::query(FIND)
        .bind(keeping.id.clone())
        .bind(keeping.since)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(kept).transpose()
}

/// Writes an answer over one that is forgotten.
pub(super) async fn put(
    keeping: &KeepingAnswer,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency (id, request_sha256, status, answer, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET request_sha256 = excluded.request_sha256, status = excluded.status, \
         answer = excluded.answer, created_at = excluded.created_at",
    )
    .bind(keeping.id.clone())
    .bind(keeping.kept.request_sha256.clone())
    .bind(i64::from(keeping.kept.status))
    .bind(keeping.kept.answer.clone())
    .bind(keeping.at)
    .execute(connection)
    .await?;
    Ok(())
}

fn kept(row: &sqlx::any::AnyRow) -> Result<KeptAnswer, StoreError> {
    Ok(KeptAnswer {
        request_sha256: row.try_get(0)?,
        status: narrow(row.try_get(1)?)?,
        answer: row.try_get(2)?,
    })
}
