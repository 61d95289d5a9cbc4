//! The message log: sent and inbound messages of a bot, newest first.

mod inbound_list;
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

use inbound_list::InboundList;
use sent_list::SentList;

/// Conditions on the messages of a bot; `None` matches all.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// The chat's address.
    pub chat: Option<String>,
    /// The ack, for sent messages only.
    pub ack: Option<i8>,
    /// A part of the text or the caption, compared without case.
    pub text: Option<String>,
    /// The earliest time, inclusive.
    pub since: Option<Millis>,
    /// The latest time, exclusive.
    pub until: Option<Millis>,
}

/// A sent or queued message.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRow {
    /// The position in the order of acceptance.
    pub seq: i64,
    pub id: String,
    /// The address of the recipient.
    pub chat: String,
    /// The name of the kind.
    pub kind: String,
    pub content: Content,
    /// The URL for callbacks.
    pub notify_url: Option<String>,
    /// The ack, -1 to 3.
    pub ack: i8,
    /// The cause of a failure.
    pub cause: Option<String>,
    pub accepted_at: Millis,
    /// The time of the server ack or of the failure.
    pub settled_at: Option<Millis>,
    pub delivered_at: Option<Millis>,
    pub read_at: Option<Millis>,
    /// The delivery whose webhook reply contains this message.
    pub reply_of: Option<i64>,
}

/// An inbound message.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundRow {
    /// The message id, unique within chat and sender.
    pub id: String,
    pub chat: String,
    pub sender: String,
    /// The sender's own profile name.
    pub push_name: String,
    /// Sent by the bot's own account on another device.
    pub from_me: bool,
    /// The name of the kind.
    pub kind: String,
    /// The text; empty for other kinds.
    pub text: String,
    /// The time set by WhatsApp.
    pub at: Millis,
    /// The time of arrival at the gateway.
    pub received_at: Millis,
    /// The id of the quoted message.
    pub quoted: Option<String>,
    /// The details of kinds other than text.
    pub detail: Detail,
}

/// The position before a page of [`SentRow`]s: the last row of the previous page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentAfter {
    pub accepted_at: Millis,
    pub seq: i64,
}

/// The position before a page of [`InboundRow`]s: the last row of the previous page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundAfter {
    pub received_at: Millis,
    pub id: String,
    pub sender: String,
    pub chat: String,
}

const SENT: &str = "seq, id, chat, kind, body, notify_url, ack, cause, accepted_at, settled_at, delivered_at, read_at, reply_of";

const INBOUND: &str =
    "id, chat, sender, push_name, from_me, kind, body, at, received_at, quoted, detail";

impl Store {
    /// Returns the sent messages of a bot after a position, newest first. A filter by text, or by
    /// ack within a chat, needs a search. A search may stop before the end of the range; the result
    /// then holds the position to continue from.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Busy`] if a search could not start in time.
    pub async fn sent_log(
        &self,
        bot_id: i32,
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
            bot_id,
            filter: filter.clone(),
        };
        if list.is_searched() {
            return self.search(bot_id, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<SentRow> = rows.iter().map(sent).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(row.accepted_at));
        Ok(Found { rows, go_on: None })
    }

    /// Returns the inbound messages of a bot after a position, newest first. A filter by text needs
    /// a search, see [`Self::sent_log`].
    ///
    /// # Errors
    /// As [`Self::sent_log`].
    pub async fn inbound_log(
        &self,
        bot_id: i32,
        filter: &LogFilter,
        after: Option<InboundAfter>,
        limit: usize,
    ) -> Result<Found<InboundRow, InboundAfter>, StoreError> {
        let first = InboundAfter::before(filter.until.unwrap_or(Millis::MAX));
        let after = match after {
            Some(after) if after.received_at < first.received_at => after,
            _ => first,
        };
        let list = InboundList {
            bot_id,
            filter: filter.clone(),
        };
        if list.is_searched() {
            return self.search(bot_id, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(&after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<InboundRow> = rows.iter().map(inbound).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(row.received_at));
        Ok(Found { rows, go_on: None })
    }

    /// Returns a sent message.
    pub async fn sent(&self, bot_id: i32, id: &str) -> Result<Option<SentRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {SENT} FROM messages WHERE bot = $1 AND id = $2"
        )))
        .bind(i64::from(bot_id))
        .bind(id.to_owned())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(sent).transpose()
    }

    /// Returns an inbound message. If several chats have a message with this id, returns the
    /// latest.
    pub async fn inbound(&self, bot_id: i32, id: &str) -> Result<Option<InboundRow>, StoreError> {
        // The `+` makes SQLite use the index by id and not the index by time.
        let text = format!(
            "SELECT {INBOUND} FROM inbound WHERE bot = $1 AND id = $2 ORDER BY +received_at DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(bot_id))
            .bind(id.to_owned())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(inbound).transpose()
    }

    /// Returns the number of group members that received a message, and the number that read it;
    /// `None` if no member is recorded.
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

    /// Returns the messages sent for the webhook reply of a delivery, in their order.
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
    /// Returns `true` if `at` is not before the older end of the range.
    fn reaches(&self, at: Millis) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    /// Returns a LIKE pattern for the text. The pattern only preselects rows, because the databases
    /// differ in upper and lower case, and a body is JSON. With `json`, the pattern matches the
    /// text as encoded in JSON.
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
                // SQLite's `LOWER` handles ASCII only.
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
    /// The position of this row.
    #[must_use]
    pub fn cursor(&self) -> SentAfter {
        SentAfter {
            accepted_at: self.accepted_at,
            seq: self.seq,
        }
    }
}

impl InboundAfter {
    /// The position before all rows of the time `at` and after all newer rows.
    fn before(at: Millis) -> Self {
        Self {
            received_at: at,
            id: String::new(),
            sender: String::new(),
            chat: String::new(),
        }
    }
}

impl InboundRow {
    /// The position of this row.
    #[must_use]
    pub fn cursor(&self) -> InboundAfter {
        InboundAfter {
            received_at: self.received_at,
            id: self.id.clone(),
            sender: self.sender.clone(),
            chat: self.chat.clone(),
        }
    }
}

/// Returns the readable text of a content: the text, the name of a location or contact, or the
/// caption.
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

/// Appends the preselection by text, with `next` as the number of its parameter.
fn narrow_text(filter: &LogFilter, text: &mut String, next: &mut usize) {
    if filter.text.is_some() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " AND LOWER(body) LIKE ${next} ESCAPE '!'");
        *next += 1;
    }
}

/// Returns `true` if a letter has another case. The other case may consist of several letters.
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

fn inbound(row: &AnyRow) -> Result<InboundRow, StoreError> {
    let (from_me, detail): (i64, Option<String>) = (row.try_get(4)?, row.try_get(10)?);
    Ok(InboundRow {
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
