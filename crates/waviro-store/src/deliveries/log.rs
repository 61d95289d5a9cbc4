//! Reads deliveries, their attempts, and the backlog of failing endpoints.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::attempt::{Attempt, AttemptFailure};
use super::due::{DeliveryKind, DeliveryOutcome, PARKED};
use super::reply_note::ReplyNote;
use super::settle::EndpointFailure;
use crate::clock::Millis;
use crate::row::narrow;
use crate::{Store, StoreError, sql};

/// The maximum number of attempts returned for a delivery. The latest attempts are returned: a full
/// series of retries and many replays.
const ATTEMPTS: i64 = 200;

/// Conditions on the deliveries of a bot; `None` matches all.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// The final state; `Some(None)` matches deliveries not yet ended.
    pub outcome: Option<Option<DeliveryOutcome>>,
    pub kind: Option<DeliveryKind>,
    /// The id of a message.
    pub subject: Option<String>,
    /// Scheme, host and port, see [`super::endpoint_of`].
    pub endpoint: Option<String>,
    /// The earliest creation time, inclusive.
    pub since: Option<Millis>,
    /// The latest creation time, exclusive.
    pub until: Option<Millis>,
}

/// A stored delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: i64,
    pub kind: DeliveryKind,
    /// The bot id.
    pub bot_id: i32,
    /// The id of the message, or of the other subject of an event.
    pub subject: String,
    /// The chat that gets the webhook reply.
    pub chat: Option<String>,
    /// The id of the rule or the subscription.
    pub source: Option<i64>,
    /// The webhook id, the same for all attempts; `None` for callbacks, because each stage has its
    /// own.
    pub webhook_id: Option<String>,
    pub url: String,
    /// The body to post; `None` for callbacks, because each stage has its own.
    pub body: Option<String>,
    /// The number of failed attempts since the creation, the last replay, or the last delivered
    /// stage.
    pub failed: i64,
    /// The time of the next attempt; `None` if the delivery has ended, is in progress, or waits for
    /// an earlier delivery.
    pub next_at: Option<Millis>,
    /// The delivery is leased to the running gateway.
    pub under_way: bool,
    /// The error of the last failed attempt.
    pub last_error: Option<AttemptFailure>,
    /// The given-up stages of a callback, as `1,2`.
    pub lost: Option<String>,
    /// The final state; `None` for a delivery not yet ended.
    pub outcome: Option<DeliveryOutcome>,
    /// The outcome of the webhook reply.
    pub note: Option<ReplyNote>,
    /// The time when the messages of the webhook reply were queued.
    pub replied_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    /// The number of replays by an operator.
    pub replays: i64,
    /// The first delivery of the family, for a replay with another body.
    pub replay_of: Option<i64>,
    pub created_at: Millis,
    /// The time when the endpoint was switched off; `None` if the endpoint is on.
    pub endpoint_off_at: Option<Millis>,
}

/// An attempt from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The stage of the callback; 0 for other kinds.
    pub stage: i64,
    pub attempt: Attempt,
}

pub(super) const COLUMNS: &str = "d.id, d.kind, d.bot, d.subject, d.chat, d.source, d.webhook_id, d.url, d.body, d.attempts, d.run_at, d.leased, \
     d.last_error, d.lost, d.fate, d.note, d.replied_at, d.ended_at, d.replays, d.replay_of, d.created_at, e.off_at, \
     d.last_error_code, d.last_status, d.note_code";

/// The join for the columns of [`COLUMNS`] from the table of endpoints.
pub(super) const ENDPOINT: &str = "LEFT JOIN endpoints e ON e.lane = d.lane";

impl Store {
    /// Returns a delivery of a bot.
    pub async fn delivery(&self, bot_id: i32, id: i64) -> Result<Option<DeliveryRow>, StoreError> {
        let row = sql::query(format!(
            "SELECT {COLUMNS} FROM deliveries d {ENDPOINT} WHERE d.bot = $1 AND d.id = $2"
        ))
        .bind(i64::from(bot_id))
        .bind(id)
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(delivery).transpose()
    }

    /// Returns the latest attempts of a delivery, at most 200, oldest first.
    pub async fn attempts(&self, delivery: i64) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT stage, at, url, status, duration_ms, address, answer, cause, cause_code FROM attempts WHERE delivery = $1 \
             ORDER BY id DESC LIMIT $2",
        )
        .bind(delivery)
        .bind(ATTEMPTS)
        .fetch_all(&self.reads)
        .await?;
        let rows = rows.iter().rev().map(|row| {
            let status: Option<i64> = row.try_get(3)?;
            Ok(AttemptRow {
                stage: row.try_get(0)?,
                attempt: Attempt {
                    at: row.try_get(1)?,
                    url: row.try_get(2)?,
                    status: status.map(narrow).transpose()?,
                    took_ms: row.try_get(4)?,
                    address: row.try_get(5)?,
                    answer: row.try_get(6)?,
                    // The status of the attempt is the status of its failure.
                    failure: AttemptFailure::read(row, [7, 8, 3])?,
                },
            })
        });
        rows.collect()
    }

    /// Returns failing endpoints, at most 1,000, with the number of waiting deliveries. The
    /// endpoint that has failed longest is first.
    pub async fn waiting_for(&self) -> Result<Vec<(EndpointFailure, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT lane, failing_since, off_at, last_error, last_error_code, last_status FROM endpoints \
             ORDER BY failing_since, lane LIMIT 1000",
        )
        .fetch_all(&self.reads)
        .await?;
        let waiting = self.waiting();
        let rows = rows.iter().map(|row| {
            let failure = EndpointFailure::read(row)?;
            let waits = waiting.open_in(&failure.endpoint);
            Ok((failure, waits))
        });
        rows.collect()
    }
}

pub(super) fn delivery(row: &AnyRow) -> Result<DeliveryRow, StoreError> {
    let (kind, outcome): (String, Option<String>) = (row.try_get(1)?, row.try_get(14)?);
    let (run_at, leased): (Millis, i64) = (row.try_get(10)?, row.try_get(11)?);
    let ended_at: Option<Millis> = row.try_get(17)?;
    let waits = ended_at.is_none() && leased == 0 && run_at != PARKED;
    Ok(DeliveryRow {
        id: row.try_get(0)?,
        kind: DeliveryKind::of(&kind)?,
        bot_id: narrow(row.try_get(2)?)?,
        subject: row.try_get(3)?,
        chat: row.try_get(4)?,
        source: row.try_get(5)?,
        webhook_id: row.try_get(6)?,
        url: row.try_get(7)?,
        body: row.try_get(8)?,
        failed: row.try_get(9)?,
        next_at: waits.then_some(run_at),
        under_way: leased != 0,
        last_error: AttemptFailure::read(row, [12, 22, 23])?,
        lost: row.try_get(13)?,
        outcome: outcome.as_deref().map(DeliveryOutcome::of).transpose()?,
        note: ReplyNote::read(row, [15, 24])?,
        replied_at: row.try_get(16)?,
        ended_at,
        replays: row.try_get(18)?,
        replay_of: row.try_get(19)?,
        created_at: row.try_get(20)?,
        endpoint_off_at: row.try_get(21)?,
    })
}
