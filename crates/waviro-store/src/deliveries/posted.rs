//! Records the results of posted callbacks.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::oneshot;
use waviro_link::MessageId;

use super::super::journal::{self, Tried};
use super::super::messages::{message_id, narrow};
use super::super::writer::{Command, Counters};
use super::super::{Store, StoreError, sql};
use super::{Attempt, Callback, DeliveryOutcome, ENDED};
use crate::clock::Millis;

/// The cause for giving up a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All retries failed; later stages get retries of their own.
    TableUsedUp,
    /// The endpoint answered 410: no later stage is posted.
    Gone,
}

/// The command of [`Store::posted`] for the writer.
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
    /// Records that `stage` was answered with a 2xx status. `attempt` is `None` if no stage was
    /// left to post. Returns the message's ack if a further stage is to be posted; otherwise the
    /// delivery has ended. The result is durable when the function returns, so a posted stage is
    /// never posted again after a later stage.
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

    /// Gives up `stage` after its last attempt. The row keeps the lost stage, and continues with
    /// the next stage if one is to be posted.
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
                let outcome = match lost {
                    Lost::TableUsedUp => DeliveryOutcome::GivenUp,
                    Lost::Gone => DeliveryOutcome::Gone,
                };
                let updated = sqlx::query(
                    "UPDATE deliveries SET stage = $1, attempts = 0, run_at = $2, leased = 0, held = 0, last_error = $3, \
                     last_error_code = $4, last_status = $5, lost = CASE WHEN lost IS NULL THEN $6 ELSE lost || ',' || $7 END, \
                     fate = $8, ended_at = $9 WHERE id = $10 AND ended_at IS NULL RETURNING lane",
                )
                .bind(next)
                .bind(now)
                .bind(attempt.text())
                .bind(attempt.code())
                .bind(attempt.failed_status())
                .bind(stage.to_string())
                .bind(stage.to_string())
                .bind((!goes_on).then(|| outcome.word()))
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

/// Applies the results of one transaction: one query, one update for each next stage or end, then
/// the journal.
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
    // The groups are by the next stage, and by the time and the state of the end.
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
        // A lost stage decides the final state, even if a later stage was delivered.
        let outcome = if posted.callback.lossy {
            DeliveryOutcome::GivenUp
        } else {
            DeliveryOutcome::Delivered
        };
        let end = (!further).then(|| (posted.now, outcome.word()));
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
                .bind(end.map(|(_, outcome)| outcome.to_owned()));
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

/// Subtracts ended rows from the counts. Each row contains its endpoint.
fn ended(rows: &[AnyRow], counters: &mut Counters) -> Result<(), StoreError> {
    for row in rows {
        let endpoint: String = row.try_get(0)?;
        counters.waiting.open(&endpoint, -1);
    }
    Ok(())
}

impl Posted {
    pub(in super::super) fn answer(self, done: Result<(), StoreError>) {
        let _ = self.answer.send(done.map(|()| self.next));
    }
}
