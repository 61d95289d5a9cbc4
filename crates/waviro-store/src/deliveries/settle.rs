//! Records the results of attempts at webhooks and events, and the state of whole endpoints.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::attempt::{Attempt, AttemptFailure};
use super::claim::{self, DUE};
use super::due::{DeliveryOutcome, Due, LEASE, Work};
use super::reply_note::ReplyNote;
use super::waiting;
use crate::clock::Millis;
use crate::journal::{self, Tried};
use crate::{Store, StoreError, sql};

/// A failing endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFailure {
    /// The scheme, host and port.
    pub endpoint: String,
    /// The time of the first failure since the last success.
    pub failing_since: Millis,
    /// The error of the last recorded failure.
    pub last_error: AttemptFailure,
    /// The time when the endpoint was switched off; `None` while the endpoint is still called.
    pub off_at: Option<Millis>,
}

impl Store {
    /// Records a failed attempt, schedules the retry at `run_at` and ends the lease. `held` means
    /// that the endpoint itself requested the wait.
    pub async fn put_off(
        &self,
        due: &Due,
        attempt: Attempt,
        run_at: Millis,
        held: bool,
    ) -> Result<(), StoreError> {
        let (delivery, failed) = (due.id, due.attempts + 1);
        let (stage, tried_stage) = due.stages();
        // Only callbacks update `stage` here. In a webhook, `stage` records whether the endpoint
        // has accepted the post.
        self.write("put_off", attempt, move |attempt, connection, counters| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE deliveries SET stage = CASE WHEN kind = 'notify_ack' THEN $1 ELSE stage END, attempts = $2, run_at = $3, leased = 0, held = $4, \
                     last_error = $5, last_error_code = $6, last_status = $7 WHERE id = $8",
                )
                .bind(stage)
                .bind(failed)
                .bind(run_at)
                .bind(i64::from(held))
                .bind(attempt.text())
                .bind(attempt.code())
                .bind(attempt.failed_status())
                .bind(delivery)
                .execute(&mut *connection)
                .await?;
                let tried = Tried::new(delivery, tried_stage, attempt);
                journal::insert(&[tried], connection, counters).await
            })
        })
        .await
    }

    /// Ends a webhook or an event. Returns the next delivery of the line, leased to the caller.
    pub async fn end(
        &self,
        due: &Due,
        outcome: DeliveryOutcome,
        note: Option<ReplyNote>,
        attempt: Option<Attempt>,
        now: Millis,
    ) -> Result<Option<Due>, StoreError> {
        let (delivery, (_, stage)) = (due.id, due.stages());
        let input = (note, attempt);
        self.write("end", input, move |(note, attempt), connection, counters| {
            Box::pin(async move {
                // The row may have been cancelled during the attempt.
                let open = "SELECT lane FROM deliveries WHERE id = $1 AND ended_at IS NULL";
                let open = sqlx::query_scalar(open).bind(delivery);
                let open: Option<String> = open.fetch_optional(&mut *connection).await?;
                counters.waiting.close(open.as_slice());
                sqlx::query(
                    "UPDATE deliveries SET leased = 0, held = 0, fate = $1, note = COALESCE($2, note), \
                     note_code = COALESCE($3, note_code), ended_at = $4, last_error = COALESCE($5, last_error), \
                     last_error_code = COALESCE($6, last_error_code), \
                     last_status = CASE WHEN $6 IS NULL THEN last_status ELSE $7 END WHERE id = $8",
                )
                .bind(outcome.word())
                .bind(note.as_ref().map(|note| note.text.as_str()))
                .bind(note.as_ref().map(|note| note.outcome.code()))
                .bind(now)
                .bind(attempt.as_ref().and_then(Attempt::text))
                .bind(attempt.as_ref().and_then(Attempt::code))
                .bind(attempt.as_ref().and_then(Attempt::failed_status))
                .bind(delivery)
                .execute(&mut *connection)
                .await?;
                let tried = (attempt.as_ref()).map(|attempt| Tried::new(delivery, stage, attempt));
                journal::insert(tried.as_slice(), connection, counters).await?;
                next_in_line(delivery, now, connection).await
            })
        })
        .await
    }

    /// Returns the failing endpoints, including the endpoints switched off.
    pub async fn endpoint_failures(&self) -> Result<Vec<EndpointFailure>, StoreError> {
        let rows = sqlx::query(
            "SELECT lane, failing_since, off_at, last_error, last_error_code, last_status FROM endpoints ORDER BY lane",
        )
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(EndpointFailure::read).collect()
    }

    /// Stores a failing endpoint, or an endpoint that was switched off.
    pub async fn endpoint_fails(&self, failure: EndpointFailure) -> Result<(), StoreError> {
        let text = "INSERT INTO endpoints (lane, failing_since, off_at, last_error, last_error_code, last_status) \
            VALUES ($1, $2, $3, $4, $5, $6) \
            ON CONFLICT (lane) DO UPDATE SET failing_since = excluded.failing_since, \
            off_at = excluded.off_at, last_error = excluded.last_error, \
            last_error_code = excluded.last_error_code, last_status = excluded.last_status";
        self.change("endpoint_fails", text, move |query| {
            query
                .bind(&failure.endpoint)
                .bind(failure.failing_since)
                .bind(failure.off_at)
                .bind(&failure.last_error.text)
                .bind(failure.last_error.cause.code())
                .bind(failure.last_error.cause.status().map(i64::from))
        })
        .await
        .map(drop)
    }

    /// Deletes the failure of an endpoint that works again, or is to be called again. With `wake`,
    /// the waiting deliveries become due now, except the waits requested by the endpoint. The extra
    /// attempt does not count as a retry; otherwise an endpoint that often fails and recovers would
    /// use up all retries within minutes. Returns the number of due deliveries.
    pub async fn endpoint_works(
        &self,
        endpoint: &str,
        wake: bool,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let (mut woken, mut after) = (0, None);
        loop {
            let (input, from) = (endpoint.to_owned(), after);
            let batch = self.write("endpoint_works", input, move |lane, connection, _| {
                Box::pin(async move {
                    if from.is_none() {
                        sqlx::query("DELETE FROM endpoints WHERE lane = $1")
                            .bind(lane)
                            .execute(&mut *connection)
                            .await?;
                    }
                    if !wake {
                        return Ok((0, None));
                    }
                    let from = from.unwrap_or((i64::MIN, Millis::MIN, i64::MIN));
                    waiting::wake(lane, from, now, connection).await
                })
            });
            let (more, last) = batch.await?;
            woken += more;
            after = last;
            if after.is_none() {
                return Ok(woken);
            }
        }
    }
}

/// Returns the first open row in the line of an ended row, leased to the caller.
pub(super) async fn next_in_line(
    ended: i64,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<Option<Due>, StoreError> {
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT MIN(d.id) FROM deliveries d WHERE d.ended_at IS NULL \
         AND d.line = (SELECT e.line FROM deliveries e WHERE e.id = $1)",
    )
    .bind(ended)
    .fetch_one(&mut *connection)
    .await?;
    let Some(next) = next else {
        return Ok(None);
    };
    claim::lease(&[next], 1, now + LEASE, connection).await?;
    let row = sql::query(format!("{DUE} WHERE d.id = $1"))
        .bind(next)
        .fetch_one(connection)
        .await?;
    claim::due(&row).map(Some)
}

impl EndpointFailure {
    /// Reads `lane, failing_since, off_at, last_error, last_error_code, last_status`.
    pub(super) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let last_error = AttemptFailure::read(row, [3, 4, 5])?;
        Ok(Self {
            endpoint: row.try_get(0)?,
            failing_since: row.try_get(1)?,
            off_at: row.try_get(2)?,
            last_error: last_error
                .ok_or_else(|| StoreError::Unreadable("an endpoint without an error".to_owned()))?,
        })
    }
}

impl Due {
    /// Returns the row's stage and the stage posted by an attempt.
    fn stages(&self) -> (i64, i64) {
        match &self.work {
            Work::Callback(callback) => {
                let posts = callback.next().unwrap_or(callback.stage);
                (i64::from(callback.stage), i64::from(posts))
            }
            Work::Webhook { .. } | Work::Event => (0, 0),
        }
    }
}
