//! The message log: what a bot sent and what was written to it, newest first.

mod heard_list;
mod sent_list;

use std::fmt::Write as _;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use waviro_link::Content;

use super::content::decode;
use super::inbound::Detail;
use super::search::Found;
use super::{Store, StoreError};
use crate::clock::Millis;

use heard_list::HeardList;
use sent_list::SentList;

/// Which messages of a bot are asked for. `None` asks for all.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// With this chat: its address.
    pub chat: Option<String>,
    /// Of those sent: with this ack.
    pub ack: Option<i8>,
    /// Whose text or caption holds this, in any case.
    pub text: Option<String>,
    /// At this time or later.
    pub since: Option<Millis>,
    /// Before this time.
    pub until: Option<Millis>,
}

/// A message that was sent, or is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRow {
    /// The order of acceptance.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// Where to.
    pub chat: String,
    /// Its kind in a word.
    pub kind: String,
    /// What it says.
    pub content: Content,
    /// Where changes of its ack are posted.
    pub notify_url: Option<String>,
    /// -1 to 3.
    pub ack: i8,
    /// Why -1.
    pub cause: Option<String>,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// When WhatsApp took it, or it failed.
    pub settled_at: Option<Millis>,
    /// When it reached the phone.
    pub delivered_at: Option<Millis>,
    /// When it was read.
    pub read_at: Option<Millis>,
    /// The delivery whose answer it is of.
    pub reply_of: Option<i64>,
}

/// A message that was written to the bot.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardRow {
    /// Its id, unique within chat and sender.
    pub id: String,
    /// Where it was written.
    pub chat: String,
    /// Who wrote it.
    pub sender: String,
    /// The name that they give themselves.
    pub push_name: String,
    /// Written by the bot's own account on another device.
    pub from_me: bool,
    /// Its kind in a word.
    pub kind: String,
    /// Its text; empty for other kinds.
    pub text: String,
    /// WhatsApp's time.
    pub at: Millis,
    /// Ours.
    pub received_at: Millis,
    /// The id of the message that it answers.
    pub quoted: Option<String>,
    /// What its kind has beyond a text.
    pub detail: Detail,
}

/// After which row of [`SentRow`]s a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentAfter {
    /// Its `accepted_at`.
    pub accepted_at: Millis,
    /// Its `seq`.
    pub seq: i64,
}

/// After which row of [`HeardRow`]s a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardAfter {
    /// Its `received_at`.
    pub received_at: Millis,
    /// Its `id`.
    pub id: String,
    /// Its `sender`.
    pub sender: String,
    /// Its `chat`.
    pub chat: String,
}

const SENT: &str = "seq, id, chat, kind, body, notify_url, ack, cause, accepted_at, settled_at, delivered_at, read_at, reply_of";

const HEARD: &str =
    "id, chat, sender, push_name, from_me, kind, body, at, received_at, quoted, detail";

impl Store {
    /// Messages that a bot sent, after this place, newest first. Where a text is looked for, or a state within a chat, it is a search:
    /// it may end before it has read everything, and says where to go on.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Busy`] for a search that has no turn in time.
    pub async fn sent_log(
        &self,
        slot: i32,
        filter: &LogFilter,
        after: Option<SentAfter>,
        limit: usize,
    ) -> Result<Found<SentRow, SentAfter>, StoreError> {
        let first = SentAfter {
            accepted_at: filter.until.unwrap_or(Millis::MAX),
            seq: i64::MIN,
        };
        let after = after.map_or(first, |after| after.min(first));
        let list = SentList {
            slot,
            filter: filter.clone(),
        };
        if list.is_searched() {
            return self.search(slot, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<SentRow> = rows.iter().map(sent).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(row.accepted_at));
        Ok(Found { rows, go_on: None })
    }

    /// Messages that were written to a bot, after this place, newest first. Where a text is looked for it is a search, see
    /// [`Self::sent_log`].
    ///
    /// # Errors
    /// As [`Self::sent_log`].
    pub async fn heard_log(
        &self,
        slot: i32,
        filter: &LogFilter,
        after: Option<HeardAfter>,
        limit: usize,
    ) -> Result<Found<HeardRow, HeardAfter>, StoreError> {
        let first = HeardAfter::before(filter.until.unwrap_or(Millis::MAX));
        let after = match after {
            Some(after) if after.received_at < first.received_at => after,
            _ => first,
        };
        let list = HeardList {
            slot,
            filter: filter.clone(),
        };
        if list.is_searched() {
            return self.search(slot, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(&after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<HeardRow> = rows.iter().map(heard).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(row.received_at));
        Ok(Found { rows, go_on: None })
    }

    /// A message that the bot sent.
    pub async fn sent(&self, slot: i32, id: &str) -> Result<Option<SentRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {SENT} FROM messages WHERE bot = $1 AND id = $2"
        )))
        .bind(i64::from(slot))
        .bind(id.to_owned())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(sent).transpose()
    }

    /// A message that was written to the bot; of several with this id, in other chats, the latest.
    pub async fn heard(&self, slot: i32, id: &str) -> Result<Option<HeardRow>, StoreError> {
        // By its id and not in the order of time, see [`Self::heard_log`].
        let text = format!(
            "SELECT {HEARD} FROM inbound WHERE bot = $1 AND id = $2 ORDER BY +received_at DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(slot))
            .bind(id.to_owned())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(heard).transpose()
    }

    /// How many members of its group have a message, and how many of them read it; `None` where none was counted.
    pub async fn members_with(&self, id: &str) -> Result<Option<(i64, i64)>, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*), COALESCE(SUM(CASE WHEN level >= 3 THEN 1 ELSE 0 END), 0) FROM receipts WHERE message = $1",
        )
        .bind(id.to_owned())
        .fetch_one(&self.reads)
        .await?;
        let counted: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Some(counted).filter(|(members, _)| *members > 0))
    }

    /// The messages of the answers of this delivery, in their order.
    pub async fn replies_of(&self, delivery: i64) -> Result<Vec<SentRow>, StoreError> {
        let text =
            format!("SELECT {SENT} FROM messages WHERE reply_of = $1 ORDER BY seq LIMIT 500");
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(delivery)
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(sent).collect()
    }
}

impl LogFilter {
    /// Whether the range holds a row of this time, as far as its older end is concerned.
    fn reaches(&self, at: Millis) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    /// What LIKE finds is only a preselection: the databases differ in what case is to them, and a body is JSON. `json`: as the text
    /// stands in a JSON text.
    fn pattern(&self, json: bool) -> Option<String> {
        let needle = self.text.as_deref()?.to_lowercase();
        let quoted = if json {
            let quoted = serde_json::Value::from(needle).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        } else {
            needle
        };
        let mut pattern = "%".to_owned();
        for one in quoted.chars() {
            match one {
                '!' | '%' | '_' => pattern.extend(['!', one]),
                // SQLite knows the case of ASCII alone.
                _ if !one.is_ascii() && has_case(one) => pattern.push('%'),
                _ => pattern.push(one),
            }
        }
        pattern.push('%');
        Some(pattern)
    }

    fn holds(&self, text: &str) -> bool {
        let needle = self.text.as_ref().map(|needle| needle.to_lowercase());
        needle.is_none_or(|needle| text.to_lowercase().contains(&needle))
    }
}

impl SentRow {
    /// Where the page after this row begins.
    #[must_use]
    pub fn place(&self) -> SentAfter {
        SentAfter {
            accepted_at: self.accepted_at,
            seq: self.seq,
        }
    }
}

impl HeardAfter {
    /// Before every row of this moment, and after every row of a later one.
    fn before(at: Millis) -> Self {
        Self {
            received_at: at,
            id: String::new(),
            sender: String::new(),
            chat: String::new(),
        }
    }
}

impl HeardRow {
    /// Where the page after this row begins.
    #[must_use]
    pub fn place(&self) -> HeardAfter {
        HeardAfter {
            received_at: self.received_at,
            id: self.id.clone(),
            sender: self.sender.clone(),
            chat: self.chat.clone(),
        }
    }
}

/// What people read of a content.
#[must_use]
pub fn words(content: &Content) -> &str {
    match content {
        Content::Text(text) => text,
        Content::Location(place) => place.name.as_deref().unwrap_or_default(),
        Content::Contact(card) => &card.name,
        Content::Media(media) => media.caption.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// Adds the preselection of a text, if one is looked for, its parameter numbered `next`.
fn narrow_text(filter: &LogFilter, text: &mut String, next: &mut usize) {
    if filter.text.is_some() {
        // Writing to a String cannot fail.
        let _ = write!(text, " AND LOWER(body) LIKE ${next} ESCAPE '!'");
        *next += 1;
    }
}

/// Whether a letter has another form, which may be of more letters than one.
fn has_case(one: char) -> bool {
    !one.to_lowercase().eq([one]) || !one.to_uppercase().eq([one])
}

fn sent(row: &AnyRow) -> Result<SentRow, StoreError> {
    let (kind, body): (String, String) = (row.try_get(3)?, row.try_get(4)?);
    Ok(SentRow {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        chat: row.try_get(2)?,
        content: decode(&kind, &body)?,
        kind,
        notify_url: row.try_get(5)?,
        ack: super::messages::narrow(row.try_get(6)?)?,
        cause: row.try_get(7)?,
        accepted_at: row.try_get(8)?,
        settled_at: row.try_get(9)?,
        delivered_at: row.try_get(10)?,
        read_at: row.try_get(11)?,
        reply_of: row.try_get(12)?,
    })
}

fn heard(row: &AnyRow) -> Result<HeardRow, StoreError> {
    let (from_me, detail): (i64, Option<String>) = (row.try_get(4)?, row.try_get(10)?);
    Ok(HeardRow {
        id: row.try_get(0)?,
        chat: row.try_get(1)?,
        sender: row.try_get(2)?,
        push_name: row.try_get(3)?,
        from_me: from_me != 0,
        kind: row.try_get(5)?,
        text: row.try_get(6)?,
        at: row.try_get(7)?,
        received_at: row.try_get(8)?,
        quoted: row.try_get(9)?,
        detail: detail.map_or_else(Detail::default, |detail| Detail::read(&detail)),
    })
}
