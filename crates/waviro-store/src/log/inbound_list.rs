//! The list of a bot's inbound messages: its rows and its search.

use std::fmt::Write as _;

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::super::StoreError;
use super::super::search::{Searched, Step, Stepping};
use super::super::sql::Bound;
use super::{INBOUND, InboundAfter, InboundRow, LogFilter, inbound, narrow_text};

/// The inbound messages of a bot, newest first.
pub(super) struct InboundList {
    pub(super) bot_id: i32,
    pub(super) filter: LogFilter,
}

const ORDER: &str = "ORDER BY received_at DESC, id DESC, sender DESC, chat DESC";

impl InboundList {
    /// Returns `true` if no index covers the filter.
    pub(super) fn is_searched(&self) -> bool {
        self.filter.text.is_some()
    }

    /// Returns the condition for the rows after a position that an index covers: all rows, or the
    /// rows of a chat. The condition omits the far end of the range, see [`super::sent_list`].
    fn range(&self) -> &'static str {
        if self.filter.chat.is_some() {
            "bot = $1 AND (received_at, id, sender, chat) < ($2, $3, $4, $5) AND chat = $6"
        } else {
            "bot = $1 AND (received_at, id, sender, chat) < ($2, $3, $4, $5)"
        }
    }

    /// Binds the parameters of [`Self::range`].
    fn bound(&self, text: String, after: &InboundAfter) -> Bound {
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(self.bot_id))
            .bind(after.received_at)
            .bind(after.id.clone())
            .bind(after.sender.clone())
            .bind(after.chat.clone());
        match &self.filter.chat {
            Some(chat) => query.bind(chat.clone()),
            None => query,
        }
    }

    /// The number of the first parameter after the parameters of [`Self::range`].
    fn next(&self) -> usize {
        if self.filter.chat.is_some() { 7 } else { 6 }
    }

    /// Returns the query of the next rows, for a filter covered by an index.
    pub(super) fn page(&self, after: &InboundAfter, limit: i64) -> Bound {
        let text = format!(
            "SELECT {INBOUND} FROM inbound WHERE {} {ORDER} LIMIT ${}",
            self.range(),
            self.next()
        );
        self.bound(text, after).bind(limit)
    }

    /// Returns the last position of a step of `rows` rows; `None` if the range ends earlier.
    async fn step_end(
        &self,
        connection: &mut AnyConnection,
        after: &InboundAfter,
        rows: i64,
    ) -> Result<Option<InboundAfter>, StoreError> {
        let text = format!(
            "SELECT received_at, id, sender, chat FROM inbound WHERE {} {ORDER} LIMIT 1 OFFSET ${}",
            self.range(),
            self.next()
        );
        let query = self.bound(text, after).bind(rows - 1);
        let Some(row) = query.fetch_optional(connection).await? else {
            return Ok(None);
        };
        let end = InboundAfter {
            received_at: row.try_get(0)?,
            id: row.try_get(1)?,
            sender: row.try_get(2)?,
            chat: row.try_get(3)?,
        };
        Ok(Some(end).filter(|end| self.filter.reaches(end.received_at)))
    }
}

impl Searched for InboundList {
    type Row = InboundRow;
    type After = InboundAfter;

    fn step<'s>(
        &'s self,
        connection: &'s mut AnyConnection,
        after: &'s InboundAfter,
        rows: i64,
        limit: usize,
    ) -> Stepping<'s, InboundRow, InboundAfter> {
        Box::pin(async move {
            let end = self.step_end(connection, after, rows).await?;
            let mut next = self.next();
            let mut text = format!(
                "SELECT {INBOUND} FROM (SELECT * FROM inbound WHERE {} {ORDER} LIMIT ${next}) AS m WHERE 1 = 1",
                self.range()
            );
            next += 1;
            narrow_text(&self.filter, &mut text, &mut next);
            // Writing to a `String` cannot fail.
            let _ = write!(text, " {ORDER} LIMIT ${next}");
            let mut query = self.bound(text, after).bind(rows);
            if let Some(pattern) = self.filter.pattern(false) {
                query = query.bind(pattern);
            }
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = query.bind(most).fetch_all(connection).await?;
            let (mut fitting, mut last) = (Vec::new(), None);
            let mut is_whole = found.len() < limit;
            for row in &found {
                let row = inbound(row)?;
                let cursor = row.cursor();
                // The step ends here. If retention deleted rows since the end was computed, the
                // next step reads the row. Rows of equal time are ordered by the database, so only
                // the time is compared.
                let beyond = |end: &InboundAfter| cursor.received_at < end.received_at;
                if !self.filter.reaches(cursor.received_at) || end.as_ref().is_some_and(beyond) {
                    is_whole = true;
                    break;
                }
                last = Some(cursor.clone());
                if self.filter.holds(&row.text) {
                    fitting.push((row, cursor));
                }
            }
            Ok(Step {
                found: fitting,
                read_to: if is_whole { end } else { last },
            })
        })
    }
}
