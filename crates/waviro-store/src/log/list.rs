//! A list of the message log: its pages and its search.

use std::fmt::Write as _;
use std::marker::PhantomData;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::filter::LogFilter;
use crate::clock::Millis;
use crate::error::StoreError;
use crate::search::{Searched, Step, Stepping};
use crate::sql::{self, Bound, parameters};

/// A table of the message log. An index covers all rows of a bot, the rows of a chat, and the rows
/// in a state, each in the order of the positions.
pub(super) trait LogTable: Send + Sync {
    type Row: Send;
    /// The position of a row in the list.
    type After: Clone + Send + Sync;

    const TABLE: &'static str;
    /// The columns of [`LogTable::row`].
    const COLUMNS: &'static str;
    /// The columns of a position, the time first.
    const POSITION: &'static [&'static str];
    /// The column `body` is JSON.
    const HAS_JSON_BODY: bool;

    fn row(row: &AnyRow) -> Result<Self::Row, StoreError>;
    /// Returns the readable text of a row.
    fn text(row: &Self::Row) -> &str;
    /// Returns the condition for the state of a row.
    fn state(filter: &LogFilter) -> Option<String>;

    /// Returns the position before all rows of the time `at` and after all newer rows.
    fn before(at: Millis) -> Self::After;
    fn cursor(row: &Self::Row) -> Self::After;
    fn bind(query: Bound, position: &Self::After) -> Bound;
    fn time(position: &Self::After) -> Millis;
    /// Returns true if a row is after the end of a step.
    fn is_beyond(cursor: &Self::After, end: &Self::After) -> bool;
}

/// The messages of a bot in a table, newest first.
pub(super) struct LogList<T> {
    bot_id: i32,
    filter: LogFilter,
    table: PhantomData<T>,
}

impl<T: LogTable> LogList<T> {
    pub(super) fn new(bot_id: i32, filter: LogFilter) -> Self {
        Self {
            bot_id,
            filter,
            table: PhantomData,
        }
    }

    /// Returns `true` if no single index covers the filter.
    pub(super) fn is_searched(&self) -> bool {
        let filter = &self.filter;
        filter.text.is_some() || (filter.chat.is_some() && T::state(filter).is_some())
    }

    /// Returns the position to start from: `after`, but not before the newer end of the filter.
    pub(super) fn start(&self, after: Option<T::After>) -> T::After {
        let first = T::before(self.filter.until.unwrap_or(Millis::MAX));
        match after {
            Some(after) if T::time(&after) < T::time(&first) => after,
            _ => first,
        }
    }

    /// Returns the condition for the rows after a position that an index covers: all rows, the rows
    /// of a chat, or the rows in a state. The condition omits the far end of the range: with two
    /// ends, SQLite prefers an index by time and scans all chats and states.
    fn range(&self) -> String {
        let columns = T::POSITION.len();
        let (position, after) = (T::POSITION.join(", "), parameters(columns, 2));
        let base = format!("bot = $1 AND ({position}) < ({after})");
        match (&self.filter.chat, T::state(&self.filter)) {
            (Some(_), _) => format!("{base} AND chat = ${}", columns + 2),
            (None, Some(state)) => format!("{base} AND {state}"),
            (None, None) => base,
        }
    }

    /// Binds the parameters of [`Self::range`].
    fn bound(&self, text: String, after: &T::After) -> Bound {
        let query = sql::query(text).bind(i64::from(self.bot_id));
        let query = T::bind(query, after);
        match &self.filter.chat {
            Some(chat) => query.bind(chat),
            None => query,
        }
    }

    /// The number of the first parameter after the parameters of [`Self::range`].
    fn next(&self) -> usize {
        T::POSITION.len() + 2 + usize::from(self.filter.chat.is_some())
    }

    fn order() -> String {
        format!("ORDER BY {} DESC", T::POSITION.join(" DESC, "))
    }

    /// Returns the query of the next rows, for a filter covered by an index.
    pub(super) fn page(&self, after: &T::After, limit: i64) -> Bound {
        let text = format!(
            "SELECT {} FROM {} WHERE {} {} LIMIT ${}",
            T::COLUMNS,
            T::TABLE,
            self.range(),
            Self::order(),
            self.next()
        );
        self.bound(text, after).bind(limit)
    }

    /// Returns the last position of a step of `rows` rows; `None` if the range ends earlier.
    async fn step_end(
        &self,
        connection: &mut AnyConnection,
        after: &T::After,
        rows: i64,
    ) -> Result<Option<T::After>, StoreError> {
        let text = format!(
            "SELECT {} FROM {} WHERE {} {} LIMIT 1 OFFSET ${}",
            T::COLUMNS,
            T::TABLE,
            self.range(),
            Self::order(),
            self.next()
        );
        let query = self.bound(text, after).bind(rows - 1);
        let row = query.fetch_optional(connection).await?;
        let row = row.as_ref().map(T::row).transpose()?;
        let end = row.as_ref().map(T::cursor);
        Ok(end.filter(|end| self.filter.reaches(T::time(end))))
    }

    /// Returns the query of a step: at most `limit` rows that may match, among the next `rows`
    /// rows.
    fn step_rows(&self, after: &T::After, rows: i64, limit: usize) -> Bound {
        let (mut next, order) = (self.next(), Self::order());
        let mut text = format!(
            "SELECT {} FROM (SELECT * FROM {} WHERE {} {order} LIMIT ${next}) AS m WHERE 1 = 1",
            T::COLUMNS,
            T::TABLE,
            self.range()
        );
        next += 1;
        // Writing to a `String` cannot fail.
        if let Some(state) = T::state(&self.filter) {
            let _ = write!(text, " AND {state}");
        }
        let pattern = self.filter.pattern(T::HAS_JSON_BODY);
        if pattern.is_some() {
            let _ = write!(text, " AND LOWER(body) LIKE ${next} ESCAPE '!'");
            next += 1;
        }
        let _ = write!(text, " {order} LIMIT ${next}");
        let mut query = self.bound(text, after).bind(rows);
        if let Some(pattern) = pattern {
            query = query.bind(pattern);
        }
        query.bind(i64::try_from(limit).unwrap_or(i64::MAX))
    }
}

impl<T: LogTable> Searched for LogList<T> {
    type Row = T::Row;
    type After = T::After;

    fn step<'s>(
        &'s self,
        connection: &'s mut AnyConnection,
        after: &'s T::After,
        rows: i64,
        limit: usize,
    ) -> Stepping<'s, T::Row, T::After> {
        Box::pin(async move {
            let end = self.step_end(connection, after, rows).await?;
            let query = self.step_rows(after, rows, limit);
            let found = query.fetch_all(connection).await?;
            let (mut fitting, mut last) = (Vec::new(), None);
            let mut is_whole = found.len() < limit;
            for row in &found {
                let row = T::row(row)?;
                let cursor = T::cursor(&row);
                // The step ends here. If retention deleted rows since the end was computed, the
                // next step reads the row.
                let is_beyond = end.as_ref().is_some_and(|end| T::is_beyond(&cursor, end));
                if !self.filter.reaches(T::time(&cursor)) || is_beyond {
                    is_whole = true;
                    break;
                }
                last = Some(cursor.clone());
                if self.filter.holds(T::text(&row)) {
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
