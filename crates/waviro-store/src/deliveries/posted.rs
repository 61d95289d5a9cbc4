//! Records the results of posted callbacks.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AnyConnection, Row};

use super::attempt::Attempt;
use super::due::{Callback, DeliveryOutcome, ENDED};
use crate::clock::Millis;
use crate::command::{Command, Posted, submit};
use crate::counts::Counters;
use crate::journal::{self, Tried};
use crate::row::narrow;
use crate::{Store, StoreError, sql};

/// The cause for giving up a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All retries failed; later stages get retries of their own.
    TableUsedUp,
    /// The endpoint answered 410: no later stage is posted.
    Gone,
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
        submit(&self.writes, |answer| {
            Command::Posted(Posted {
                delivery,
                callback: callback.clone(),
                stage,
                attempt,
                now,
                next: None,
                answer,
            })
        })
        .await
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
        let input = (callback.message.clone(), attempt);
        self.write("lose_stage", input, move |(message, attempt), connection, counters| {
            Box::pin(async move {
                let ack = sqlx::query_scalar("SELECT ack FROM messages WHERE id = $1")
                    .bind(message.as_str())
                    .fetch_optional(&mut *connection);
                let ack: i64 = ack.await?.unwrap_or(0);
                let next = match lost {
                    Lost::TableUsedUp if stage >= 0 => i64::from(stage) + 1,
                    Lost::TableUsedUp | Lost::Gone => ENDED,
                };
                let goes_on = next <= ack || (ack < 0 && next < ENDED);
                let outcome = match lost {
                    Lost::TableUsedUp => DeliveryOutcome::GivenUp,
                    Lost::Gone => DeliveryOutcome::Gone,
                };
                let endpoints: Vec<String> = sqlx::query_scalar(
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
                    counters.waiting.close(&endpoints);
                }
                let tried = Tried::new(delivery, i64::from(stage), attempt);
                journal::insert(&[tried], connection, counters).await
            })
        })
        .await
    }
}

/// Applies the results of one transaction: one query, one update for each next stage or end, then
/// the journal.
pub(crate) async fn apply(
    posted: &mut [Posted],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let ids = posted.iter().map(|posted| posted.callback.message.as_str());
    let ids: Vec<&str> = ids.collect();
    let mut acks: HashMap<String, i8> = HashMap::with_capacity(ids.len());
    for (listed, list) in sql::numbered(&ids, 1) {
        let text = format!("SELECT id, ack FROM messages WHERE id IN ({listed})");
        let query = sql::bind_all(sql::query(text), list);
        for row in query.fetch_all(&mut *connection).await? {
            acks.insert(row.try_get(0)?, narrow(row.try_get(1)?)?);
        }
    }
    // The groups are by the next stage, and by the time and the state of the end.
    let mut groups = BTreeMap::<(i64, Option<(Millis, &str)>), Vec<i64>>::new();
    for posted in posted.iter_mut() {
        let ack = acks.get(posted.callback.message.as_str());
        let ack = ack.copied().unwrap_or(-1);
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
        for (listed, list) in sql::numbered(&deliveries, 4) {
            let change = if end.is_some() {
                "leased = 0, ended_at = $2, fate = $3"
            } else {
                "ended_at = $2, fate = $3"
            };
            let text = format!(
                "UPDATE deliveries SET stage = $1, attempts = 0, held = 0, {change} WHERE ended_at IS NULL AND id IN ({listed}) RETURNING lane"
            );
            let query = sql::query(text)
                .bind(stage)
                .bind(end.map(|(at, _)| at))
                .bind(end.map(|(_, outcome)| outcome));
            let updated = sql::bind_all(query, list);
            let updated = updated.fetch_all(&mut *connection).await?;
            if end.is_some() {
                let endpoints = updated.iter().map(|row| row.try_get(0));
                let endpoints = endpoints.collect::<Result<Vec<String>, _>>()?;
                counters.waiting.close(&endpoints);
            }
        }
    }
    let tried = posted.iter().filter_map(|posted| {
        let attempt = posted.attempt.as_ref()?;
        Some(Tried::new(posted.delivery, posted.stage.into(), attempt))
    });
    let tried: Vec<_> = tried.collect();
    journal::insert(&tried, connection, counters).await
}
