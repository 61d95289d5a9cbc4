//! What came of posting callbacks.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::oneshot;
use waviro_link::MessageId;

use super::super::journal::{self, Tried};
use super::super::messages::{message_id, narrow};
use super::super::writer::{Command, Counters};
use super::super::{Store, StoreError, sql};
use super::{Attempt, Callback, ENDED, Fate};
use crate::clock::Millis;

/// How a stage was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The retry table is used up; later stages get a table of their own.
    TableUsedUp,
    /// The endpoint said 410: no later stage is posted either.
    Gone,
}

/// The writer's command.
pub(in super::super) struct Posted {
    delivery: i64,
    callback: Callback,
    stage: i8,
    attempt: Option<Attempt>,
    now: Millis,
    next: Option<i8>,
    answer: oneshot::Sender<Result<Option<i8>, StoreError>>,
}

impl Store {
    /// `stage` was answered with a 2xx, by this attempt; without one, nothing was left to post. Returns the message's ack
    /// where a further stage is owed; otherwise the delivery has ended. Durable when it returns: what was posted is never
    /// posted again after a later one.
    pub async fn posted(
        &self,
        delivery: i64,
        callback: &Callback,
        stage: i8,
        attempt: Option<Attempt>,
        now: Millis,
    ) -> Result<Option<i8>, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let posted = Posted {
            delivery,
            callback: callback.clone(),
            stage,
            attempt,
            now,
            next: None,
            answer,
        };
        self.submit(Command::Posted(posted)).await?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Gives `stage` up for good, after this attempt. The row stays, visibly; it goes on with the next stage where one is owed.
    pub async fn lose_stage(
        &self,
        delivery: i64,
        callback: &Callback,
        stage: i8,
        lost: Lost,
        attempt: Attempt,
        now: Millis,
    ) -> Result<(), StoreError> {
        let message = callback.message.clone();
        self.write("lose_stage", move |connection, counters| {
            let (message, attempt) = (message.clone(), attempt.clone());
            Box::pin(async move {
                let row = sqlx::query("SELECT ack FROM messages WHERE id = $1")
                    .bind(message.as_str().to_owned())
                    .fetch_optional(&mut *connection)
                    .await?;
                let ack: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
                let next = match lost {
                    Lost::TableUsedUp if stage >= 0 => i64::from(stage) + 1,
                    Lost::TableUsedUp | Lost::Gone => ENDED,
                };
                let goes_on = next <= ack || (ack < 0 && next < ENDED);
                let fate = match lost {
                    Lost::TableUsedUp => Fate::GivenUp,
                    Lost::Gone => Fate::Gone,
                };
                let updated = sqlx::query(
                    "UPDATE deliveries SET stage = $1, attempts = 0, run_at = $2, leased = 0, held = 0, last_error = $3, \
                     lost = CASE WHEN lost IS NULL THEN $4 ELSE lost || ',' || $5 END, fate = $6, ended_at = $7 \
                     WHERE id = $8 AND ended_at IS NULL RETURNING lane",
                )
                .bind(next)
                .bind(now)
                .bind(attempt.cause.clone())
                .bind(stage.to_string())
                .bind(stage.to_string())
                .bind((!goes_on).then(|| fate.word()))
                .bind((!goes_on).then_some(now))
                .bind(delivery)
                .fetch_all(&mut *connection)
                .await?;
                if !goes_on {
                    ended(&updated, counters)?;
                }
                let stage = i64::from(stage);
                let tried = Tried {
                    delivery,
                    stage,
                    attempt: &attempt,
                };
                journal::insert(&[tried], connection, counters).await
            })
        })
        .await
    }
}

/// Applies what was posted in one transaction: one question, an update per stage that goes on or ends, the journal.
pub(in super::super) async fn apply(
    posted: &mut [Posted],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let ids: Vec<&MessageId> = posted
        .iter()
        .map(|posted| &posted.callback.message)
        .collect();
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
    // By the stage that is next, and by when and how the row ends, if it does.
    let mut groups = BTreeMap::<(i64, Option<(Millis, &str)>), Vec<i64>>::new();
    for posted in posted.iter_mut() {
        let ack = acks.get(&posted.callback.message).copied().unwrap_or(-1);
        let further = posted.stage >= 0 && (ack < 0 || ack > posted.stage);
        posted.next = further.then_some(ack);
        let stage = if posted.stage < 0 {
            ENDED
        } else {
            i64::from(posted.stage) + 1
        };
        // What was lost stays visible, although a later stage arrived.
        let fate = if posted.callback.lossy {
            Fate::GivenUp
        } else {
            Fate::Delivered
        };
        let end = (!further).then(|| (posted.now, fate.word()));
        groups
            .entry((stage, end))
            .or_default()
            .push(posted.delivery);
    }
    for ((stage, end), deliveries) in groups {
        for list in sql::lists(&deliveries) {
            let change = if end.is_some() {
                "leased = 0, ended_at = $2, fate = $3"
            } else {
                "ended_at = $2, fate = $3"
            };
            let text = format!(
                "UPDATE deliveries SET stage = $1, attempts = 0, held = 0, {change} WHERE ended_at IS NULL AND id IN ({}) RETURNING lane",
                sql::parameters(list.len(), 4)
            );
            let query = sqlx::query(AssertSqlSafe(text))
                .bind(stage)
                .bind(end.map(|(at, _)| at))
                .bind(end.map(|(_, fate)| fate.to_owned()));
            let updated = (list.into_iter())
                .fold(query, sqlx::query::Query::bind)
                .fetch_all(&mut *connection)
                .await?;
            if end.is_some() {
                ended(&updated, counters)?;
            }
        }
    }
    let tried: Vec<_> = posted
        .iter()
        .filter_map(|posted| {
            let attempt = posted.attempt.as_ref()?;
            let (delivery, stage) = (posted.delivery, i64::from(posted.stage));
            Some(Tried {
                delivery,
                stage,
                attempt,
            })
        })
        .collect();
    journal::insert(&tried, connection, counters).await
}

/// Counts rows that were open and have ended; each row has its lane.
fn ended(rows: &[AnyRow], counters: &mut Counters) -> Result<(), StoreError> {
    for row in rows {
        let lane: String = row.try_get(0)?;
        counters.waiting.open(&lane, -1);
    }
    Ok(())
}

impl Posted {
    pub(in super::super) fn answer(self, done: Result<(), StoreError>) {
        let _ = self.answer.send(done.map(|()| self.next));
    }
}
