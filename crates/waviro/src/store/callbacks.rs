//! The callbacks owed to users' endpoints: one row a message, whose stages go out one after the other.
//!
//! A row that this process has in memory is leased: its `run_at` lies at the lease's end, so that looking for due rows
//! never wades through those in hand.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::oneshot;
use url::Url;
use waviro_link::MessageId;

use super::messages::{message_id, narrow};
use super::writer::Command;
use super::{Store, StoreError, sql};
use crate::clock::Millis;

/// The only kind so far; webhooks of keywords will be the next.
pub(super) const KIND: &str = "notify_ack";

/// A lease ends after this even if its process forgot the row: ten minutes, far above a deadline of 15 s per try and a
/// full queue in memory. A restart ends leases at once.
pub(super) const LEASE: Millis = 600_000;

/// The stage of a row whose endpoint said 410: above every ack, so nothing is ever due again.
const ENDED: i64 = 4;

/// A callback in this process's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The row.
    pub job: i64,
    /// The bot's slot.
    pub slot: i32,
    /// Of which message.
    pub message: MessageId,
    /// Where to.
    pub url: Url,
    /// The lowest stage not yet posted.
    pub stage: i8,
    /// How far the message is known to have come.
    pub ack: i8,
    /// Failed attempts at this stage.
    pub attempts: i64,
    /// A stage of this message was given up before.
    pub lossy: bool,
}

/// How a stage was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The retry table is used up; later stages get a table of their own.
    TableUsedUp,
    /// The endpoint said 410: no later stage is posted either.
    Gone,
}

/// The writer's command.
pub(super) struct Posted {
    due: Due,
    stage: i8,
    next: Option<i8>,
    answer: oneshot::Sender<Result<Option<i8>, StoreError>>,
}

impl Due {
    /// The stage to post now; `None` where all is said. -1 overtakes what was not posted yet: the 200 already said 0.
    #[must_use]
    pub fn next(&self) -> Option<i8> {
        if self.ack < 0 {
            Some(-1)
        } else {
            (self.stage <= self.ack).then_some(self.stage)
        }
    }
}

impl Store {
    /// `stage` was answered with a 2xx. Returns the message's ack where a further stage is owed; otherwise the row is
    /// gone. Durable when it returns: what was posted is never posted again after a later one.
    pub async fn posted(&self, due: &Due, stage: i8) -> Result<Option<i8>, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let posted = Posted {
            due: due.clone(),
            stage,
            next: None,
            answer,
        };
        self.submit(Command::Posted(posted)).await?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Puts a failed attempt off until `run_at` and ends the lease.
    pub async fn put_off(
        &self,
        due: &Due,
        run_at: Millis,
        error: String,
    ) -> Result<(), StoreError> {
        let (job, stage, attempts) = (due.job, due.stage, due.attempts + 1);
        self.write(move |connection, _| {
            let error = error.clone();
            Box::pin(async move {
                sqlx::query(
                    "UPDATE jobs SET stage = $1, attempts = $2, run_at = $3, leased = 0, last_error = $4 WHERE id = $5",
                )
                .bind(i64::from(stage))
                .bind(attempts)
                .bind(run_at)
                .bind(error)
                .bind(job)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives `stage` up for good. The row stays, visibly; it goes on with the next stage where one is owed.
    pub async fn give_up(
        &self,
        due: &Due,
        stage: i8,
        lost: Lost,
        error: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (job, message) = (due.job, due.message.clone());
        self.write(move |connection, _| {
            let (message, error) = (message.clone(), error.clone());
            Box::pin(async move {
                let row = sqlx::query("SELECT ack FROM messages WHERE id = $1")
                    .bind(message.as_str().to_owned())
                    .fetch_optional(&mut *connection)
                    .await?;
                let ack: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
                let next = match lost {
                    Lost::TableUsedUp if stage >= 0 => i64::from(stage) + 1,
                    _ => ENDED,
                };
                let goes_on = next <= ack || (ack < 0 && next < ENDED);
                sqlx::query(
                    "UPDATE jobs SET stage = $1, attempts = 0, run_at = $2, leased = 0, last_error = $3, \
                     lost = CASE WHEN lost IS NULL THEN $4 ELSE lost || ',' || $5 END, given_up_at = $6 WHERE id = $7",
                )
                .bind(next)
                .bind(now)
                .bind(error)
                .bind(stage.to_string())
                .bind(stage.to_string())
                .bind((!goes_on).then_some(now))
                .bind(job)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Hands leased rows back, due at once: they found no place in memory.
    pub async fn release(&self, jobs: Vec<i64>, now: Millis) -> Result<(), StoreError> {
        self.write(move |connection, _| {
            let jobs = jobs.clone();
            Box::pin(async move { lease(&jobs, 0, now, connection).await })
        })
        .await
    }

    /// Ends every lease: to be called once, before this process takes its first. One process owns the database.
    pub async fn release_all(&self, now: Millis) -> Result<u64, StoreError> {
        self.write(move |connection, _| {
            Box::pin(async move {
                let done = sqlx::query("UPDATE jobs SET leased = 0, run_at = $1 WHERE leased = 1")
                    .bind(now)
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected())
            })
        })
        .await
    }

    /// The lanes in which something is due. Costs one index step per lane, whatever waits in it.
    pub async fn due_lanes(&self, now: Millis) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "WITH RECURSIVE lanes (lane) AS (\
             SELECT MIN(lane) FROM jobs WHERE given_up_at IS NULL \
             UNION ALL \
             SELECT (SELECT MIN(j.lane) FROM jobs j WHERE j.given_up_at IS NULL AND j.lane > lanes.lane) \
             FROM lanes WHERE lanes.lane IS NOT NULL) \
             SELECT lane FROM lanes WHERE lane IS NOT NULL AND EXISTS \
             (SELECT 1 FROM jobs j WHERE j.given_up_at IS NULL AND j.lane = lanes.lane AND j.run_at <= $1)",
        )
        .bind(now)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Leases up to `limit` due rows of a lane, the longest due first.
    pub async fn claim(&self, lane: &str, limit: i64, now: Millis) -> Result<Vec<Due>, StoreError> {
        let lane = lane.to_owned();
        self.write(move |connection, _| {
            let lane = lane.clone();
            Box::pin(async move {
                let rows = sqlx::query(
                    "SELECT j.id, j.bot, j.message_id, m.notify_url, j.stage, m.ack, j.attempts, \
                     CASE WHEN j.lost IS NULL THEN 0 ELSE 1 END \
                     FROM jobs j JOIN messages m ON m.id = j.message_id \
                     WHERE j.given_up_at IS NULL AND j.lane = $1 AND j.run_at <= $2 ORDER BY j.run_at LIMIT $3",
                )
                .bind(lane)
                .bind(now)
                .bind(limit)
                .fetch_all(&mut *connection)
                .await?;
                let due: Vec<Due> = rows.iter().map(due).collect::<Result<_, _>>()?;
                let jobs: Vec<i64> = due.iter().map(|due| due.job).collect();
                self::lease(&jobs, 1, now + LEASE, connection).await?;
                Ok(due)
            })
        })
        .await
    }

    /// How many callbacks are owed and not given up.
    pub async fn owed_count(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM jobs WHERE given_up_at IS NULL")
            .fetch_one(&self.reads)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Callbacks with a stage that was given up: message, stages lost, last error.
    pub async fn given_up(
        &self,
        limit: i64,
    ) -> Result<Vec<(MessageId, String, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT message_id, lost, COALESCE(last_error, '') FROM jobs WHERE lost IS NOT NULL ORDER BY id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    message_id(row.try_get(0)?)?,
                    row.try_get(1)?,
                    row.try_get(2)?,
                ))
            })
            .collect()
    }
}

/// Applies what was posted in one transaction: one question, one delete, an update per stage that goes on.
pub(super) async fn apply(
    posted: &mut [Posted],
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    let ids: Vec<&MessageId> = posted.iter().map(|posted| &posted.due.message).collect();
    let mut acks: HashMap<MessageId, i8> = HashMap::with_capacity(ids.len());
    for list in sql::lists(&ids) {
        let text = format!(
            "SELECT id, ack FROM messages WHERE id IN ({})",
            sql::parameters(list.len(), 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for id in list {
            query = query.bind(id.as_str().to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            acks.insert(message_id(row.try_get(0)?)?, narrow(row.try_get(1)?)?);
        }
    }
    let (mut done, mut rests, mut on) = (Vec::new(), Vec::new(), BTreeMap::<i8, Vec<i64>>::new());
    for posted in posted.iter_mut() {
        let ack = acks.get(&posted.due.message).copied().unwrap_or(-1);
        let further = posted.stage >= 0 && (ack < 0 || ack > posted.stage);
        posted.next = further.then_some(ack);
        match (further, posted.due.lossy) {
            (true, _) => on.entry(posted.stage + 1).or_default().push(posted.due.job),
            (false, false) => done.push(posted.due.job),
            (false, true) => rests.push((posted.due.job, posted.stage)),
        }
    }
    for list in sql::lists(&done) {
        let text = format!(
            "DELETE FROM jobs WHERE id IN ({})",
            sql::parameters(list.len(), 1)
        );
        let query = sqlx::query(AssertSqlSafe(text));
        list.into_iter()
            .fold(query, sqlx::query::Query::bind)
            .execute(&mut *connection)
            .await?;
    }
    for (stage, jobs) in on {
        for list in sql::lists(&jobs) {
            let text = format!(
                "UPDATE jobs SET stage = $1, attempts = 0 WHERE id IN ({})",
                sql::parameters(list.len(), 2)
            );
            let query = sqlx::query(AssertSqlSafe(text)).bind(i64::from(stage));
            list.into_iter()
                .fold(query, sqlx::query::Query::bind)
                .execute(&mut *connection)
                .await?;
        }
    }
    for (job, stage) in rests {
        // What was lost stays visible, although a later stage arrived.
        let stage = if stage < 0 {
            ENDED
        } else {
            i64::from(stage) + 1
        };
        sqlx::query("UPDATE jobs SET stage = $1, attempts = 0, leased = 0, given_up_at = run_at WHERE id = $2")
            .bind(stage)
            .bind(job)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn lease(
    jobs: &[i64],
    leased: i64,
    run_at: Millis,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    for list in sql::lists(jobs) {
        let text = format!(
            "UPDATE jobs SET leased = $1, run_at = $2 WHERE id IN ({})",
            sql::parameters(list.len(), 3)
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(leased).bind(run_at);
        list.into_iter()
            .fold(query, sqlx::query::Query::bind)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn due(row: &AnyRow) -> Result<Due, StoreError> {
    let url: Option<String> = row.try_get(3)?;
    let lossy: i64 = row.try_get(7)?;
    Ok(Due {
        job: row.try_get(0)?,
        slot: narrow(row.try_get(1)?)?,
        message: message_id(row.try_get(2)?)?,
        url: url
            .and_then(|url| Url::parse(&url).ok())
            .ok_or_else(|| StoreError::Unreadable("a callback's URL".to_owned()))?,
        stage: narrow(row.try_get(4)?)?,
        ack: narrow(row.try_get(5)?)?,
        attempts: row.try_get(6)?,
        lossy: lossy != 0,
    })
}

impl Posted {
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        let _ = self.answer.send(done.map(|()| self.next));
    }
}
