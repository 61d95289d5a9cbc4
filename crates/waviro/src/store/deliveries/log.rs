//! Reading deliveries back: which there are, what was tried, and what waits for endpoints in trouble.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::super::messages::narrow;
use super::super::search::Found;
use super::super::{Store, StoreError};
use super::list::{DeliveryAfter, DeliveryList};
use super::{Attempt, EVENT, Fate, KEYWORD, NOTIFY_ACK, PARKED, Trouble};
use crate::clock::Millis;

/// The attempts of a delivery that are read back, the latest: a whole table of retries and many a replay.
const ATTEMPTS: i64 = 200;

/// What a delivery tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// Changes of a message's ack.
    Callback,
    /// An incoming text, to a rule's URL.
    Keyword,
    /// An event, to a subscription's URL.
    Event,
}

/// Which deliveries of a bot are asked for. `None` asks for all.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// How they ended; `Some(None)` = they did not.
    pub fate: Option<Option<Fate>>,
    /// What they tell of.
    pub kind: Option<DeliveryKind>,
    /// Of this message.
    pub subject: Option<String>,
    /// To this endpoint: its [`super::lane`].
    pub endpoint: Option<String>,
    /// Made at this time or later.
    pub since: Option<Millis>,
    /// Made before this time.
    pub until: Option<Millis>,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id.
    pub id: i64,
    /// What it tells of.
    pub kind: DeliveryKind,
    /// The bot's slot.
    pub slot: i32,
    /// The id of the message that it tells of.
    pub subject: String,
    /// Where an answer goes.
    pub chat: Option<String>,
    /// The rule or the subscription.
    pub source: Option<i64>,
    /// Stable over attempts; `None` for callbacks, whose stages have one each.
    pub webhook_id: Option<String>,
    /// Where to.
    pub url: String,
    /// What is posted; `None` for callbacks, whose stages have one each.
    pub body: Option<String>,
    /// Failed attempts since it was made, replayed, or its last stage arrived.
    pub failed: i64,
    /// The next attempt; `None` where it has ended, is under way, or waits for the one before it.
    pub next_at: Option<Millis>,
    /// It is in the gateway's hands now.
    pub under_way: bool,
    /// Of the last failed attempt.
    pub last_error: Option<String>,
    /// Stages of a callback that were given up, as `1,2`.
    pub lost: Option<String>,
    /// How it ended; `None` = it did not.
    pub fate: Option<Fate>,
    /// What became of the answer, in words.
    pub note: Option<String>,
    /// When an answer's messages went to the chat.
    pub replied_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// How often it was posted again by hand.
    pub replays: i64,
    /// The delivery that it repeats with another body.
    pub replay_of: Option<i64>,
    /// When it was made.
    pub created_at: Millis,
    /// When its endpoint was switched off, if it is.
    pub endpoint_off_at: Option<Millis>,
}

/// An attempt as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The callback's stage that it posted; 0 for others.
    pub stage: i64,
    /// The rest.
    pub attempt: Attempt,
}

pub(super) const COLUMNS: &str = "d.id, d.kind, d.bot, d.subject, d.chat, d.source, d.webhook_id, d.url, d.body, d.attempts, d.run_at, d.leased, \
     d.last_error, d.lost, d.fate, d.note, d.replied_at, d.ended_at, d.replays, d.replay_of, d.created_at, e.off_at";

/// What [`COLUMNS`] take from elsewhere.
pub(super) const ENDPOINT: &str = "LEFT JOIN endpoints e ON e.lane = d.lane";

impl Store {
    /// Deliveries of a bot after this place, newest first. Where more than one of a message, an endpoint and a kind or state is asked
    /// for, it is a search, see [`Store::sent_log`].
    ///
    /// # Errors
    /// As [`Store::sent_log`].
    pub async fn deliveries(
        &self,
        slot: i32,
        filter: &DeliveryFilter,
        after: Option<DeliveryAfter>,
        limit: usize,
    ) -> Result<Found<DeliveryRow, DeliveryAfter>, StoreError> {
        let list = DeliveryList {
            slot,
            filter: filter.clone(),
            oldest_first: false,
        };
        list.page(self, after, limit).await
    }

    /// One delivery of a bot.
    pub async fn delivery(&self, slot: i32, id: i64) -> Result<Option<DeliveryRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM deliveries d {ENDPOINT} WHERE d.bot = $1 AND d.id = $2"
        )))
        .bind(i64::from(slot))
        .bind(id)
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(delivery).transpose()
    }

    /// The latest attempts of a delivery, 200 at most, the oldest of them first.
    pub async fn attempts(&self, delivery: i64) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT stage, at, url, status, duration_ms, address, answer, cause FROM attempts WHERE delivery = $1 \
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
                    cause: row.try_get(7)?,
                },
            })
        });
        rows.collect()
    }

    /// Endpoints in trouble, 1,000 at most, and how much waits for each; the longest in trouble first.
    pub async fn waiting_for(&self) -> Result<Vec<(Trouble, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT lane, failing_since, last_error, off_at FROM endpoints ORDER BY failing_since, lane LIMIT 1000",
        )
        .fetch_all(&self.reads)
        .await?;
        let waiting = self.waiting();
        let rows = rows.iter().map(|row| {
            let trouble = Trouble {
                lane: row.try_get(0)?,
                failing_since: row.try_get(1)?,
                last_error: row.try_get(2)?,
                off_at: row.try_get(3)?,
            };
            let waits = waiting.open_in(&trouble.lane);
            Ok((trouble, waits))
        });
        rows.collect()
    }
}

impl DeliveryKind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Callback, Self::Keyword, Self::Event];

    /// As the row says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Callback => NOTIFY_ACK,
            Self::Keyword => KEYWORD,
            Self::Event => EVENT,
        }
    }

    fn of(word: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|kind| kind.word() == word);
        known.ok_or_else(|| StoreError::Unreadable(format!("a delivery of kind {word}")))
    }
}

impl Fate {
    fn of(word: &str) -> Result<Self, StoreError> {
        let all = [Self::Delivered, Self::GivenUp, Self::Gone, Self::Cancelled];
        let known = all.into_iter().find(|fate| fate.word() == word);
        known.ok_or_else(|| StoreError::Unreadable(format!("a delivery that ended {word}")))
    }
}

pub(super) fn delivery(row: &AnyRow) -> Result<DeliveryRow, StoreError> {
    let (kind, fate): (String, Option<String>) = (row.try_get(1)?, row.try_get(14)?);
    let (run_at, leased): (Millis, i64) = (row.try_get(10)?, row.try_get(11)?);
    let ended_at: Option<Millis> = row.try_get(17)?;
    let waits = ended_at.is_none() && leased == 0 && run_at != PARKED;
    Ok(DeliveryRow {
        id: row.try_get(0)?,
        kind: DeliveryKind::of(&kind)?,
        slot: narrow(row.try_get(2)?)?,
        subject: row.try_get(3)?,
        chat: row.try_get(4)?,
        source: row.try_get(5)?,
        webhook_id: row.try_get(6)?,
        url: row.try_get(7)?,
        body: row.try_get(8)?,
        failed: row.try_get(9)?,
        next_at: waits.then_some(run_at),
        under_way: leased != 0,
        last_error: row.try_get(12)?,
        lost: row.try_get(13)?,
        fate: fate.as_deref().map(Fate::of).transpose()?,
        note: row.try_get(15)?,
        replied_at: row.try_get(16)?,
        ended_at,
        replays: row.try_get(18)?,
        replay_of: row.try_get(19)?,
        created_at: row.try_get(20)?,
        endpoint_off_at: row.try_get(21)?,
    })
}
