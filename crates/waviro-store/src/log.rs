//! The message log: sent and inbound messages of a bot, newest first.

mod inbound;
mod list;
mod sent;

use sqlx::{AssertSqlSafe, Row};

use super::search::Found;
use super::{Store, StoreError};
use crate::clock::Millis;

use inbound::Inbound;
pub use inbound::{InboundAfter, InboundRow};
use list::{LogList, LogTable};
use sent::Sent;
pub use sent::{SentAfter, SentRow};

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
        self.log::<Sent>(bot_id, filter, after, limit).await
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
        self.log::<Inbound>(bot_id, filter, after, limit).await
    }

    async fn log<T: LogTable>(
        &self,
        bot_id: i32,
        filter: &LogFilter,
        after: Option<T::After>,
        limit: usize,
    ) -> Result<Found<T::Row, T::After>, StoreError> {
        let list = LogList::<T>::new(bot_id, filter.clone());
        let after = list.start(after);
        if list.is_searched() {
            return self.search(bot_id, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(&after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<T::Row> = rows.iter().map(T::row).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(T::time(&T::cursor(row))));
        Ok(Found { rows, go_on: None })
    }

    /// Returns a sent message.
    pub async fn sent(&self, bot_id: i32, id: &str) -> Result<Option<SentRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {} FROM messages WHERE bot = $1 AND id = $2",
            Sent::COLUMNS
        )))
        .bind(i64::from(bot_id))
        .bind(id.to_owned())
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(Sent::row).transpose()
    }

    /// Returns an inbound message. If several chats have a message with this id, returns the
    /// latest.
    pub async fn inbound(&self, bot_id: i32, id: &str) -> Result<Option<InboundRow>, StoreError> {
        // The `+` makes SQLite use the index by id and not the index by time.
        let text = format!(
            "SELECT {} FROM inbound WHERE bot = $1 AND id = $2 ORDER BY +received_at DESC LIMIT 1",
            Inbound::COLUMNS
        );
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(bot_id))
            .bind(id.to_owned())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(Inbound::row).transpose()
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
        let text = format!(
            "SELECT {} FROM messages WHERE reply_of = $1 ORDER BY seq LIMIT 500",
            Sent::COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(delivery)
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(Sent::row).collect()
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

/// Returns `true` if a letter has another case. The other case may consist of several letters.
fn has_case(one: char) -> bool {
    !one.to_lowercase().eq([one]) || !one.to_uppercase().eq([one])
}
