//! Replay: an operator has a delivery posted again.
//!
//! A replay without another body reopens the same row under the same webhook id, so the endpoint
//! may discard a known delivery. A replayed callback posts only the current ack of the message,
//! because the endpoint needs the current state. A replay with another body is a new row. The new
//! row refers to the first row; together the rows are a family. A family sends a webhook reply to
//! its chat only once, unless the operator requests another reply.

use sqlx::{AnyConnection, Row};

use super::due::{DeliveryKind, PARKED, endpoint_of};
use super::list::{DeliveryAfter, DeliveryList};
use super::log::DeliveryFilter;
use crate::clock::Millis;
use crate::counts::Counters;
use crate::{Store, StoreError, row};

/// The maximum number of rows in one transaction, so that other commands of the writer do not wait
/// long.
const TOGETHER: usize = 100;

/// The options of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Another body and its webhook id.
    pub edited: Option<(String, String)>,
    /// The webhook reply is sent to the chat even if a reply was sent before.
    pub reply: bool,
}

/// The result of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaying {
    /// The delivery with this id is due now.
    Due(i64),
    /// The delivery or a replay with another body has not ended.
    Open,
    /// The rule or subscription is disabled or deleted, or the message is deleted, so nothing can
    /// be posted.
    Pointless,
    /// The delivery is a callback, and a callback cannot be replayed with another body.
    NoBody,
    /// The bot has no such delivery.
    Unknown,
}

/// The result of a replay of many deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The number of deliveries due now.
    pub due: usize,
    /// The number of skipped deliveries: the rule or subscription is disabled or deleted, the
    /// message is deleted, or another row of the family is open.
    pub left_out: usize,
    /// The id of the last delivery checked, if more deliveries match.
    pub more_after: Option<i64>,
}

impl Store {
    /// Replays a delivery of a bot.
    pub async fn replay(
        &self,
        bot_id: i32,
        id: i64,
        replay: Replay,
        now: Millis,
    ) -> Result<Replaying, StoreError> {
        self.write("replay", replay, move |replay, connection, counters| {
            Box::pin(again(bot_id, id, replay, now, connection, counters))
        })
        .await
    }

    /// Replays the deliveries matching the filter after the delivery `after`, up to `most`.
    pub async fn replay_all(
        &self,
        bot_id: i32,
        filter: &DeliveryFilter,
        after: i64,
        most: usize,
        now: Millis,
    ) -> Result<Replayed, StoreError> {
        let list = DeliveryList {
            bot_id,
            filter: filter.clone(),
            oldest_first: true,
        };
        let after = self.cursor_of(bot_id, after).await?;
        let mut found = list.page(self, after, most + 1).await?;
        let more = found.rows.len() > most;
        found.rows.truncate(most);
        let ids: Vec<i64> = found.rows.iter().map(|row| row.id).collect();
        let more = ids.last().copied().filter(|_| more);
        let mut replayed = Replayed {
            more_after: more.or(found.go_on.map(|place| place.id)),
            ..Replayed::default()
        };
        for chunk in ids.chunks(TOGETHER) {
            let chunk = chunk.to_vec();
            let outcomes = self.write("replay_all", chunk, move |chunk, connection, counters| {
                Box::pin(async move {
                    let (replay, mut outcomes) = (Replay::default(), Vec::new());
                    for &id in chunk {
                        outcomes.push(again(bot_id, id, &replay, now, connection, counters).await?);
                    }
                    Ok(outcomes)
                })
            });
            for outcome in outcomes.await? {
                match outcome {
                    Replaying::Due(_) => replayed.due += 1,
                    _ => replayed.left_out += 1,
                }
            }
        }
        Ok(replayed)
    }

    /// Returns the position of a delivery in the list; `None`, the beginning of the list, if the id
    /// is unknown.
    async fn cursor_of(&self, bot_id: i32, id: i64) -> Result<Option<DeliveryAfter>, StoreError> {
        let text = "SELECT created_at FROM deliveries WHERE id = $1 AND bot = $2";
        let query = sqlx::query_scalar(text).bind(id).bind(i64::from(bot_id));
        let created_at: Option<Millis> = query.fetch_optional(&self.reads).await?;
        Ok(created_at.map(|created_at| DeliveryAfter { created_at, id }))
    }
}

async fn again(
    bot_id: i32,
    id: i64,
    replay: &Replay,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Replaying, StoreError> {
    // The delivery goes to the current URL of its rule or subscription.
    let row = sqlx::query(
        "SELECT d.kind, m.ack, COALESCE(r.url, s.url, d.url), d.line, COALESCE(d.replay_of, d.id), \
         CASE WHEN COALESCE(r.enabled, s.enabled, 0) = 0 OR r.deleted_at IS NOT NULL OR s.deleted_at IS NOT NULL THEN 0 ELSE 1 END, \
         (SELECT COUNT(*) FROM deliveries f WHERE f.id = COALESCE(d.replay_of, d.id) AND f.ended_at IS NULL) \
         + (SELECT COUNT(*) FROM deliveries f WHERE f.replay_of = COALESCE(d.replay_of, d.id) AND f.ended_at IS NULL), \
         (SELECT f.replied_at FROM deliveries f WHERE f.id = COALESCE(d.replay_of, d.id)), \
         (SELECT MAX(f.replied_at) FROM deliveries f WHERE f.replay_of = COALESCE(d.replay_of, d.id)) \
         FROM deliveries d LEFT JOIN messages m ON d.kind = 'notify_ack' AND m.id = d.subject \
         LEFT JOIN rules r ON d.kind = 'keyword' AND r.id = d.source \
         LEFT JOIN subscriptions s ON d.kind = 'event' AND s.id = d.source WHERE d.id = $1 AND d.bot = $2",
    )
    .bind(id)
    .bind(i64::from(bot_id))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(Replaying::Unknown);
    };
    let (kind, ack): (String, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let (url, line): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    let (first, wanted, open): (i64, i64, i64) =
        (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let replied: (Option<Millis>, Option<Millis>) = (row.try_get(7)?, row.try_get(8)?);
    let replied_at = replied.0.max(replied.1).filter(|_| !replay.reply);
    if open != 0 {
        return Ok(Replaying::Open);
    }
    let stage = match (DeliveryKind::of(&kind)?, ack) {
        (DeliveryKind::Callback, _) if replay.edited.is_some() => return Ok(Replaying::NoBody),
        (DeliveryKind::Callback, Some(ack)) => ack.max(0),
        (DeliveryKind::Keyword | DeliveryKind::Event, _) if wanted != 0 => 0,
        _ => return Ok(Replaying::Pointless),
    };
    let endpoint = endpoint_of(&row::url(&url, "a delivery")?);
    let run_at = if line_is_open(line, connection).await? {
        PARKED
    } else {
        now
    };
    if let Some((body, webhook_id)) = &replay.edited {
        counters.delivery += 1;
        let new = counters.delivery;
        sqlx::query(
            "INSERT INTO deliveries (id, kind, bot, subject, chat, source, webhook_id, url, lane, body, stage, attempts, run_at, leased, \
             held, line, replied_at, replays, replay_of, created_at) \
             SELECT $1, kind, bot, subject, chat, source, $2, $3, $4, $5, 0, 0, $6, 0, 0, line, $7, 0, $8, $9 \
             FROM deliveries WHERE id = $10",
        )
        .bind(new)
        .bind(webhook_id)
        .bind(url)
        .bind(&endpoint)
        .bind(body)
        .bind(run_at)
        .bind(replied_at)
        .bind(first)
        .bind(now)
        .bind(id)
        .execute(connection)
        .await?;
        counters.waiting.open(&endpoint, 1);
        return Ok(Replaying::Due(new));
    }
    sqlx::query(
        "UPDATE deliveries SET stage = $1, attempts = 0, run_at = $2, leased = 0, held = 0, answer = NULL, \
         last_error = NULL, last_error_code = NULL, last_status = NULL, lost = NULL, \
         fate = NULL, note = NULL, note_code = NULL, ended_at = NULL, replays = replays + 1, url = $3, lane = $4, \
         replied_at = $5 WHERE id = $6",
    )
    .bind(stage)
    .bind(run_at)
    .bind(url)
    .bind(&endpoint)
    .bind(replied_at)
    .bind(id)
    .execute(connection)
    .await?;
    counters.waiting.open(&endpoint, 1);
    Ok(Replaying::Due(id))
}

/// Returns `true` if the line has an open delivery. The replay then waits, and is posted after the
/// open deliveries.
async fn line_is_open(
    line: Option<String>,
    connection: &mut AnyConnection,
) -> Result<bool, StoreError> {
    let Some(line) = line else {
        return Ok(false);
    };
    let text = "SELECT id FROM deliveries WHERE ended_at IS NULL AND line = $1 LIMIT 1";
    let query = sqlx::query(text).bind(line);
    Ok(query.fetch_optional(connection).await?.is_some())
}
