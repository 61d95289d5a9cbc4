//! The message log: what a bot sent and what was written to it, newest first.

use std::fmt::Write as _;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use waviro_link::Content;

use super::content::decode;
use super::inbound::Detail;
use super::{Store, StoreError};
use crate::clock::Millis;

/// Rows read at a time while a text is looked for.
const CHUNK: i64 = 200;

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

const SENT: &str = "SELECT seq, id, chat, kind, body, notify_url, ack, cause, accepted_at, settled_at, delivered_at, read_at, reply_of FROM messages";

const HEARD: &str = "SELECT id, chat, sender, push_name, from_me, kind, body, at, received_at, quoted, detail FROM inbound";

impl Store {
    /// Messages that a bot sent, below the `seq` `before`, newest first. Where a text is looked for, everything in the range is read.
    pub async fn sent_log(
        &self,
        slot: i32,
        filter: &LogFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<SentRow>, StoreError> {
        let mut text = format!(
            "{SENT} WHERE bot = $1 AND seq < $2 AND accepted_at >= $3 AND accepted_at < $4"
        );
        filter.narrow(&mut text, 6, true);
        text.push_str(" ORDER BY seq DESC LIMIT $5");
        let mut before = before.unwrap_or(i64::MAX);
        let mut found = Vec::new();
        loop {
            let many = filter.chunk(limit);
            let query = sqlx::query(AssertSqlSafe(text.clone()))
                .bind(i64::from(slot))
                .bind(before)
                .bind(filter.since.unwrap_or(Millis::MIN))
                .bind(filter.until.unwrap_or(Millis::MAX))
                .bind(many);
            let query = filter.words(true).fold(query, sqlx::query::Query::bind);
            let rows = query.fetch_all(&self.reads).await?;
            for row in &rows {
                let row = sent(row)?;
                before = row.seq;
                if filter.holds(words(&row.content)) {
                    found.push(row);
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
            if i64::try_from(rows.len()).unwrap_or(i64::MAX) < many {
                return Ok(found);
            }
        }
    }

    /// Messages that were written to a bot, from `after` on, newest first. Where a text is looked for, everything in the range is read.
    pub async fn heard_log(
        &self,
        slot: i32,
        filter: &LogFilter,
        after: Option<HeardAfter>,
        limit: usize,
    ) -> Result<Vec<HeardRow>, StoreError> {
        let mut text = format!(
            "{HEARD} WHERE bot = $1 AND (received_at, id, sender, chat) < ($2, $3, $4, $5) AND received_at >= $6 AND received_at < $7"
        );
        filter.narrow(&mut text, 9, false);
        // SQLite takes an index for the order where it can, and would walk over all chats to find one's: the sign forbids it that.
        let by = if filter.chat.is_some() { "+" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            " ORDER BY {by}received_at DESC, id DESC, sender DESC, chat DESC LIMIT $8"
        );
        // Above every row there is.
        let mut after = after.unwrap_or_else(|| HeardAfter {
            received_at: Millis::MAX,
            id: String::new(),
            sender: String::new(),
            chat: String::new(),
        });
        let mut found = Vec::new();
        loop {
            let many = filter.chunk(limit);
            let query = sqlx::query(AssertSqlSafe(text.clone()))
                .bind(i64::from(slot))
                .bind(after.received_at)
                .bind(after.id.clone())
                .bind(after.sender.clone())
                .bind(after.chat.clone())
                .bind(filter.since.unwrap_or(Millis::MIN))
                .bind(filter.until.unwrap_or(Millis::MAX))
                .bind(many);
            let query = filter.words(false).fold(query, sqlx::query::Query::bind);
            let rows = query.fetch_all(&self.reads).await?;
            for row in &rows {
                let row = heard(row)?;
                after = row.place();
                if filter.holds(&row.text) {
                    found.push(row);
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
            if i64::try_from(rows.len()).unwrap_or(i64::MAX) < many {
                return Ok(found);
            }
        }
    }

    /// A message that the bot sent.
    pub async fn sent(&self, slot: i32, id: &str) -> Result<Option<SentRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("{SENT} WHERE bot = $1 AND id = $2")))
            .bind(i64::from(slot))
            .bind(id.to_owned())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(sent).transpose()
    }

    /// A message that was written to the bot; of several with this id, in other chats, the latest.
    pub async fn heard(&self, slot: i32, id: &str) -> Result<Option<HeardRow>, StoreError> {
        // By its id and not in the order of time, see [`Self::heard_log`].
        let text = format!("{HEARD} WHERE bot = $1 AND id = $2 ORDER BY +received_at DESC LIMIT 1");
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
        let text = format!("{SENT} WHERE reply_of = $1 ORDER BY seq LIMIT 500");
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(delivery)
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(sent).collect()
    }
}

impl LogFilter {
    /// Adds the conditions that are asked for, their parameters numbered from `first`. What LIKE finds is only a preselection: the
    /// databases differ in what case is to them, and a body is JSON.
    fn narrow(&self, text: &mut String, first: usize, sent: bool) {
        let mut next = first;
        // Writing to a String cannot fail.
        if self.chat.is_some() {
            let _ = write!(text, " AND chat = ${next}");
            next += 1;
        }
        if self.text.is_some() {
            let _ = write!(text, " AND LOWER(body) LIKE ${next} ESCAPE '!'");
        }
        // To the letter as the indexes have it: of a parameter no database can tell that one of them is meant.
        match self.ack.filter(|_| sent) {
            None => {}
            Some(..0) => text.push_str(" AND ack < 0"),
            Some(ack) => {
                let _ = write!(text, " AND ack = {ack}");
            }
        }
    }

    /// What the parameters of [`Self::narrow`] are. `json`: as the text stands in a JSON text.
    fn words(&self, json: bool) -> impl Iterator<Item = String> {
        let pattern = |needle: &str| {
            let quoted = if json {
                let quoted = serde_json::Value::from(needle).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            } else {
                needle.to_owned()
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
            pattern
        };
        let text = self.text.as_deref();
        [
            self.chat.clone(),
            text.map(|text| pattern(&text.to_lowercase())),
        ]
        .into_iter()
        .flatten()
    }

    fn chunk(&self, limit: usize) -> i64 {
        if self.text.is_some() {
            CHUNK
        } else {
            i64::try_from(limit).unwrap_or(i64::MAX)
        }
    }

    fn holds(&self, text: &str) -> bool {
        let needle = self.text.as_ref().map(|needle| needle.to_lowercase());
        needle.is_none_or(|needle| text.to_lowercase().contains(&needle))
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
