//! The list of a bot's sent messages: its rows and its search.

use std::fmt::Write as _;

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::super::StoreError;
use super::super::search::{Searched, Step, Stepping};
use super::super::sql::Bound;
use super::{LogFilter, SENT, SentAfter, SentRow, narrow_text, sent};

/// The sent messages of a bot, newest first.
pub(super) struct SentList {
    pub(super) bot_id: i32,
    pub(super) filter: LogFilter,
}

const ORDER: &str = "ORDER BY accepted_at DESC, seq DESC";

impl SentList {
    /// Returns `true` if no single index covers the filter.
    pub(super) fn is_searched(&self) -> bool {
        let filter = &self.filter;
        filter.text.is_some() || (filter.chat.is_some() && filter.ack.is_some())
    }

    /// Returns the condition for the rows after a position that an index covers: all rows, the rows
    /// of a chat, or the rows with an ack. The condition omits the far end of the range: with two
    /// ends, SQLite prefers an index by time and scans all chats and states.
    fn range(&self) -> String {
        let base = "bot = $1 AND (accepted_at, seq) < ($2, $3)";
        match (&self.filter.chat, self.ack()) {
            (Some(_), _) => format!("{base} AND chat = $4"),
            (None, Some(ack)) => format!("{base} AND ack = {ack}"),
            (None, None) => base.to_owned(),
        }
    }

    /// Binds the parameters of [`Self::range`].
    fn bound(&self, text: String, after: SentAfter) -> Bound {
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(self.bot_id))
            .bind(after.accepted_at)
            .bind(after.seq);
        match &self.filter.chat {
            Some(chat) => query.bind(chat.clone()),
            None => query,
        }
    }

    /// The number of the first parameter after the parameters of [`Self::range`].
    fn next(&self) -> usize {
        if self.filter.chat.is_some() { 5 } else { 4 }
    }

    /// Returns the ack for the condition. A value below -1 counts as -1, the only ack below 0.
    fn ack(&self) -> Option<i8> {
        self.filter.ack.map(|ack| ack.max(-1))
    }

    /// Returns the query of the next rows, for a filter covered by an index.
    pub(super) fn page(&self, after: SentAfter, limit: i64) -> Bound {
        let text = format!(
            "SELECT {SENT} FROM messages WHERE {} {ORDER} LIMIT ${}",
            self.range(),
            self.next()
        );
        self.bound(text, after).bind(limit)
    }

    /// Returns the last position of a step of `rows` rows; `None` if the range ends earlier.
    async fn step_end(
        &self,
        connection: &mut AnyConnection,
        after: SentAfter,
        rows: i64,
    ) -> Result<Option<SentAfter>, StoreError> {
        let text = format!(
            "SELECT accepted_at, seq FROM messages WHERE {} {ORDER} LIMIT 1 OFFSET ${}",
            self.range(),
            self.next()
        );
        let query = self.bound(text, after).bind(rows - 1);
        let Some(row) = query.fetch_optional(connection).await? else {
            return Ok(None);
        };
        let (accepted_at, seq) = (row.try_get(0)?, row.try_get(1)?);
        let end = SentAfter { accepted_at, seq };
        Ok(Some(end).filter(|end| self.filter.reaches(end.accepted_at)))
    }
}

impl Searched for SentList {
    type Row = SentRow;
    type After = SentAfter;

    fn step<'s>(
        &'s self,
        connection: &'s mut AnyConnection,
        after: &'s SentAfter,
        rows: i64,
        limit: usize,
    ) -> Stepping<'s, SentRow, SentAfter> {
        Box::pin(async move {
            let end = self.step_end(connection, *after, rows).await?;
            let mut next = self.next();
            let mut text = format!(
                "SELECT {SENT} FROM (SELECT * FROM messages WHERE {} {ORDER} LIMIT ${next}) AS m WHERE 1 = 1",
                self.range()
            );
            next += 1;
            // Writing to a `String` cannot fail.
            if let Some(ack) = self.ack() {
                let _ = write!(text, " AND ack = {ack}");
            }
            narrow_text(&self.filter, &mut text, &mut next);
            let _ = write!(text, " {ORDER} LIMIT ${next}");
            let mut query = self.bound(text, *after).bind(rows);
            if let Some(pattern) = self.filter.pattern(true) {
                query = query.bind(pattern);
            }
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = query.bind(most).fetch_all(connection).await?;
            let (mut fitting, mut last) = (Vec::new(), None);
            let mut is_whole = found.len() < limit;
            for row in &found {
                let row = sent(row)?;
                let cursor = row.cursor();
                // The step ends here. If retention deleted rows since the end was computed, the
                // next step reads the row.
                if !self.filter.reaches(cursor.accepted_at) || end.is_some_and(|end| cursor < end) {
                    is_whole = true;
                    break;
                }
                last = Some(cursor);
                if self.filter.holds(super::words(&row.content)) {
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
