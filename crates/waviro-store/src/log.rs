//! The message log: sent and inbound messages of a bot, newest first.

mod filter;
mod inbound;
mod list;
mod sent;

use crate::search::Found;
use crate::{Store, StoreError, sql};

pub use filter::LogFilter;
use inbound::Inbound;
pub use inbound::{InboundAfter, InboundRow};
use list::{LogList, LogTable};
use sent::Sent;
pub use sent::{SentAfter, SentRow};

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
            return self.searches.search(bot_id, list, after, limit).await;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = list.page(&after, limit).fetch_all(&self.reads).await?;
        let mut rows: Vec<T::Row> = rows.iter().map(T::row).collect::<Result<_, _>>()?;
        rows.retain(|row| filter.reaches(T::time(&T::cursor(row))));
        Ok(Found { rows, go_on: None })
    }

    /// Returns a sent message.
    pub async fn sent(&self, bot_id: i32, id: &str) -> Result<Option<SentRow>, StoreError> {
        let row = sql::query(format!(
            "SELECT {} FROM messages WHERE bot = $1 AND id = $2",
            Sent::COLUMNS
        ))
        .bind(i64::from(bot_id))
        .bind(id)
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
        let row = sql::query(text)
            .bind(i64::from(bot_id))
            .bind(id)
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(Inbound::row).transpose()
    }

    /// Returns the number of group members that received a message, and the number that read it;
    /// `None` if no member is recorded.
    pub async fn members_with(&self, id: &str) -> Result<Option<(i64, i64)>, StoreError> {
        let counted: (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(CASE WHEN level >= 3 THEN 1 ELSE 0 END), 0) FROM receipts WHERE message = $1",
        )
        .bind(id)
        .fetch_one(&self.reads)
        .await?;
        Ok(Some(counted).filter(|(members, _)| *members > 0))
    }

    /// Returns the messages sent for the webhook reply of a delivery, in their order.
    pub async fn replies_of(&self, delivery: i64) -> Result<Vec<SentRow>, StoreError> {
        let text = format!(
            "SELECT {} FROM messages WHERE reply_of = $1 ORDER BY seq LIMIT 500",
            Sent::COLUMNS
        );
        let rows = sql::query(text)
            .bind(delivery)
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(Sent::row).collect()
    }
}
