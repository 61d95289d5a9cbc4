//! Posting again by hand.
//!
//! Without another body the same row is opened again, with the same webhook id: an endpoint that has seen it may drop it. Of a
//! callback only the message's ack as it is now is posted, since the endpoint wants to know where the message stands. With another
//! body it is a row of its own, which names the one that it repeats.

use sqlx::{AnyConnection, Row};
use url::Url;

use super::super::writer::Counters;
use super::super::{Store, StoreError};
use super::{DeliveryFilter, EVENT, KEYWORD, NOTIFY_ACK, PARKED, lane};
use crate::clock::Millis;

/// Rows of one transaction: the writer has others to serve.
const TOGETHER: usize = 100;

/// How to post again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Another body, and the webhook id that it goes under.
    pub edited: Option<(String, String)>,
    /// Whether a keyword's answer is sent to the chat although one was sent before.
    pub reply: bool,
}

/// What became of a wish to post again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaying {
    /// This delivery is due now.
    Due(i64),
    /// It has not ended.
    Open,
    /// Its rule is off or deleted, or its message is gone: it would be posted to nobody.
    Pointless,
    /// A callback has no body of its own.
    NoBody,
    /// The bot has no such delivery.
    Unknown,
}

/// What became of a wish to post many again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// So many are due now.
    pub due: usize,
    /// So many could not be: their rule is off or deleted, or their message is gone.
    pub left_out: usize,
    /// The last one looked at, where there are more.
    pub more_after: Option<i64>,
}

impl Store {
    /// Posts a delivery of a bot again.
    pub async fn replay(
        &self,
        slot: i32,
        id: i64,
        replay: Replay,
        now: Millis,
    ) -> Result<Replaying, StoreError> {
        self.write(move |connection, counters| {
            let replay = replay.clone();
            Box::pin(async move { again(slot, id, &replay, now, connection, counters).await })
        })
        .await
    }

    /// Posts again what the filter finds above the id `after`, `most` at a time.
    pub async fn replay_all(
        &self,
        slot: i32,
        filter: &DeliveryFilter,
        after: i64,
        most: usize,
        now: Millis,
    ) -> Result<Replayed, StoreError> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let mut ids = self.delivery_ids(slot, filter, after, limit).await?;
        let more = ids.len() > most;
        ids.truncate(most);
        let mut replayed = Replayed {
            more_after: ids.last().copied().filter(|_| more),
            ..Replayed::default()
        };
        for chunk in ids.chunks(TOGETHER) {
            let chunk = chunk.to_vec();
            let outcomes = self.write(move |connection, counters| {
                let chunk = chunk.clone();
                Box::pin(async move {
                    let (replay, mut outcomes) = (Replay::default(), Vec::new());
                    for id in chunk {
                        outcomes.push(again(slot, id, &replay, now, connection, counters).await?);
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
}

async fn again(
    slot: i32,
    id: i64,
    replay: &Replay,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Replaying, StoreError> {
    // A webhook goes where its rule points now.
    let row = sqlx::query(
        "SELECT d.kind, CASE WHEN d.ended_at IS NULL THEN 1 ELSE 0 END, m.ack, COALESCE(r.url, d.url), d.line, \
         CASE WHEN r.id IS NULL OR r.enabled = 0 OR r.deleted_at IS NOT NULL THEN 1 ELSE 0 END \
         FROM deliveries d LEFT JOIN messages m ON d.kind = 'notify_ack' AND m.id = d.subject \
         LEFT JOIN rules r ON d.kind = 'keyword' AND r.id = d.source WHERE d.id = $1 AND d.bot = $2",
    )
    .bind(id)
    .bind(i64::from(slot))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(Replaying::Unknown);
    };
    let (kind, open, ack): (String, i64, Option<i64>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (url, line, ruleless): (String, Option<String>, i64) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    if open != 0 {
        return Ok(Replaying::Open);
    }
    let stage = match (kind.as_str(), ack) {
        (NOTIFY_ACK, _) if replay.edited.is_some() => return Ok(Replaying::NoBody),
        (NOTIFY_ACK, Some(ack)) => ack.max(0),
        (KEYWORD, _) if ruleless == 0 => 0,
        (EVENT, _) => 0,
        _ => return Ok(Replaying::Pointless),
    };
    let place =
        Url::parse(&url).map_err(|_| StoreError::Unreadable("a delivery's URL".to_owned()))?;
    let run_at = if line_is_open(line, connection).await? {
        PARKED
    } else {
        now
    };
    let answers = i64::from(replay.reply);
    if let Some((body, webhook_id)) = &replay.edited {
        counters.delivery += 1;
        let new = counters.delivery;
        sqlx::query(
            "INSERT INTO deliveries (id, kind, bot, subject, chat, source, webhook_id, url, lane, body, stage, attempts, run_at, leased, \
             held, line, replied_at, replays, replay_of, created_at) \
             SELECT $1, kind, bot, subject, chat, source, $2, $3, $4, $5, 0, 0, $6, 0, 0, line, \
             CASE WHEN $7 = 1 THEN NULL ELSE replied_at END, 0, id, $8 FROM deliveries WHERE id = $9",
        )
        .bind(new)
        .bind(webhook_id.clone())
        .bind(url)
        .bind(lane(&place))
        .bind(body.clone())
        .bind(run_at)
        .bind(answers)
        .bind(now)
        .bind(id)
        .execute(connection)
        .await?;
        return Ok(Replaying::Due(new));
    }
    sqlx::query(
        "UPDATE deliveries SET stage = $1, attempts = 0, run_at = $2, leased = 0, held = 0, answer = NULL, last_error = NULL, lost = NULL, \
         fate = NULL, note = NULL, ended_at = NULL, replays = replays + 1, url = $3, lane = $4, \
         replied_at = CASE WHEN $5 = 1 THEN NULL ELSE replied_at END WHERE id = $6",
    )
    .bind(stage)
    .bind(run_at)
    .bind(url)
    .bind(lane(&place))
    .bind(answers)
    .bind(id)
    .execute(connection)
    .await?;
    Ok(Replaying::Due(id))
}

/// Whether something of this line is open, which is followed by what has waited for it.
async fn line_is_open(
    line: Option<String>,
    connection: &mut AnyConnection,
) -> Result<bool, StoreError> {
    let Some(line) = line else {
        return Ok(false);
    };
    let open =
        sqlx::query("SELECT id FROM deliveries WHERE ended_at IS NULL AND line = $1 LIMIT 1")
            .bind(line)
            .fetch_optional(connection)
            .await?;
    Ok(open.is_some())
}
