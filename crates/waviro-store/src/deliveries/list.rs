//! The list of a bot's deliveries, in both directions: its rows and its search.

use std::fmt::Write as _;

use sqlx::{AnyConnection, Row};

use super::due::{DeliveryKind, DeliveryOutcome};
use super::log::{COLUMNS, DeliveryFilter, DeliveryRow, ENDPOINT, delivery};
use crate::clock::Millis;
use crate::search::{Found, Searched, Step, Stepping};
use crate::sql::{self, Bound};
use crate::{Store, StoreError};

/// The position before a page: the last delivery of the previous page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryAfter {
    pub created_at: Millis,
    pub id: i64,
}

/// All states of deliveries; `None` means that the delivery has not ended.
const OUTCOMES: [Option<DeliveryOutcome>; 5] = [
    None,
    Some(DeliveryOutcome::Delivered),
    Some(DeliveryOutcome::GivenUp),
    Some(DeliveryOutcome::Gone),
    Some(DeliveryOutcome::Cancelled),
];

/// The deliveries of a bot.
pub(super) struct DeliveryList {
    pub(super) bot_id: i32,
    pub(super) filter: DeliveryFilter,
    pub(super) oldest_first: bool,
}

impl Store {
    /// Returns deliveries of a bot after a position, newest first. A filter with more than one of
    /// message, endpoint, and kind or state needs a search, see [`Store::sent_log`].
    ///
    /// # Errors
    /// As [`Store::sent_log`].
    pub async fn deliveries(
        &self,
        bot_id: i32,
        filter: &DeliveryFilter,
        after: Option<DeliveryAfter>,
        limit: usize,
    ) -> Result<Found<DeliveryRow, DeliveryAfter>, StoreError> {
        let list = DeliveryList {
            bot_id,
            filter: filter.clone(),
            oldest_first: false,
        };
        list.page(self, after, limit).await
    }
}

impl DeliveryList {
    /// Returns the rows after a position.
    pub(super) async fn page(
        self,
        store: &Store,
        after: Option<DeliveryAfter>,
        limit: usize,
    ) -> Result<Found<DeliveryRow, DeliveryAfter>, StoreError> {
        let after = self.within(after);
        if self.is_searched() {
            return store.searches.search(self.bot_id, self, after, limit).await;
        }
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = Vec::new();
        for state in self.states() {
            let text = format!(
                "SELECT {COLUMNS} FROM deliveries d {ENDPOINT} WHERE {}{state} {} LIMIT ${}",
                self.range(),
                self.order(),
                self.next()
            );
            let query = self.bound(text, after).bind(most);
            for row in query.fetch_all(&store.reads).await? {
                rows.push(delivery(&row)?);
            }
        }
        rows.sort_by_key(DeliveryRow::cursor);
        if !self.oldest_first {
            rows.reverse();
        }
        rows.truncate(limit);
        rows.retain(|row| self.reaches(row.created_at));
        Ok(Found { rows, go_on: None })
    }

    /// Returns `true` if no single index covers the filter.
    fn is_searched(&self) -> bool {
        let filter = &self.filter;
        let narrowed = [
            filter.subject.is_some(),
            filter.endpoint.is_some(),
            filter.kind.is_some() || filter.outcome.is_some(),
        ];
        narrowed.into_iter().filter(|narrowed| *narrowed).count() > 1
    }

    /// Returns the later of two positions: the beginning of the filter's time range and `after`.
    fn within(&self, after: Option<DeliveryAfter>) -> DeliveryAfter {
        let created_at = if self.oldest_first {
            self.filter.since.unwrap_or(Millis::MIN)
        } else {
            self.filter.until.unwrap_or(Millis::MAX)
        };
        let first = DeliveryAfter {
            created_at,
            id: i64::MIN,
        };
        match after {
            Some(after) if self.oldest_first => after.max(first),
            Some(after) => after.min(first),
            None => first,
        }
    }

    /// Returns `true` if `created_at` is not beyond the far end of the time range.
    fn reaches(&self, created_at: Millis) -> bool {
        if self.oldest_first {
            self.filter.until.is_none_or(|until| created_at < until)
        } else {
            self.filter.since.is_none_or(|since| created_at >= since)
        }
    }

    /// Returns the condition for the rows after a position that an index covers: all rows, the rows
    /// of a message, or the rows to an endpoint. The condition omits the far end of the range: with
    /// two ends, SQLite prefers an index by time and scans all messages and states.
    fn range(&self) -> String {
        let mut range = if self.oldest_first {
            "d.bot = $1 AND (d.created_at, d.id) > ($2, $3)".to_owned()
        } else {
            "d.bot = $1 AND (d.created_at, d.id) < ($2, $3)".to_owned()
        };
        if let Some((column, _)) = self.key() {
            // Writing to a `String` cannot fail.
            let _ = write!(range, " AND d.{column} = $4");
        }
        range
    }

    /// Binds the parameters of [`Self::range`].
    fn bound(&self, text: String, after: DeliveryAfter) -> Bound {
        let query = sql::query(text)
            .bind(i64::from(self.bot_id))
            .bind(after.created_at)
            .bind(after.id);
        match self.key() {
            Some((_, value)) => query.bind(value),
            None => query,
        }
    }

    /// Returns the column and the value that narrow the range.
    fn key(&self) -> Option<(&'static str, &str)> {
        let subject = self.filter.subject.as_deref();
        let endpoint = self.filter.endpoint.as_deref();
        (subject.map(|subject| ("subject", subject)))
            .or_else(|| endpoint.map(|endpoint| ("lane", endpoint)))
    }

    /// The number of the first parameter after the parameters of [`Self::range`].
    fn next(&self) -> usize {
        if self.key().is_some() { 5 } else { 4 }
    }

    fn order(&self) -> &'static str {
        if self.oldest_first {
            "ORDER BY d.created_at, d.id"
        } else {
            "ORDER BY d.created_at DESC, d.id DESC"
        }
    }

    /// Returns the conditions on kind and outcome, one for each pair. Only within one pair the
    /// index has the order of the list.
    fn states(&self) -> Vec<String> {
        let (kind, outcome) = (self.filter.kind, self.filter.outcome);
        if kind.is_none() && outcome.is_none() {
            return vec![String::new()];
        }
        let kinds = kind.map_or(DeliveryKind::ALL.to_vec(), |kind| vec![kind]);
        let outcomes = outcome.map_or(OUTCOMES.to_vec(), |outcome| vec![outcome]);
        let mut states = Vec::with_capacity(kinds.len() * outcomes.len());
        for kind in kinds {
            for outcome in &outcomes {
                let outcome = outcome.map_or("IS NULL".to_owned(), |outcome| {
                    format!("= '{}'", outcome.word())
                });
                states.push(format!(
                    " AND d.kind = '{}' AND d.fate {outcome}",
                    kind.word()
                ));
            }
        }
        states
    }

    /// Returns the conditions for each row of a search.
    fn rest(&self, next: &mut usize) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        if let Some(kind) = self.filter.kind {
            let _ = write!(text, " AND d.kind = '{}'", kind.word());
        }
        match self.filter.outcome {
            None => {}
            Some(None) => text.push_str(" AND d.fate IS NULL"),
            Some(Some(outcome)) => {
                let _ = write!(text, " AND d.fate = '{}'", outcome.word());
            }
        }
        if self.filter.endpoint.is_some() {
            let _ = write!(text, " AND d.lane = ${next}");
            *next += 1;
        }
        text
    }

    /// Returns the last position of a step of `rows` rows; `None` if the range ends earlier.
    async fn step_end(
        &self,
        connection: &mut AnyConnection,
        after: DeliveryAfter,
        rows: i64,
    ) -> Result<Option<DeliveryAfter>, StoreError> {
        let text = format!(
            "SELECT d.created_at, d.id FROM deliveries d WHERE {} {} LIMIT 1 OFFSET ${}",
            self.range(),
            self.order(),
            self.next()
        );
        let query = self.bound(text, after).bind(rows - 1);
        let Some(row) = query.fetch_optional(connection).await? else {
            return Ok(None);
        };
        let (created_at, id) = (row.try_get(0)?, row.try_get(1)?);
        let end = DeliveryAfter { created_at, id };
        Ok(Some(end).filter(|end| self.reaches(end.created_at)))
    }
}

impl Searched for DeliveryList {
    type Row = DeliveryRow;
    type After = DeliveryAfter;

    fn step<'s>(
        &'s self,
        connection: &'s mut AnyConnection,
        after: &'s DeliveryAfter,
        rows: i64,
        limit: usize,
    ) -> Stepping<'s, DeliveryRow, DeliveryAfter> {
        Box::pin(async move {
            let end = self.step_end(connection, *after, rows).await?;
            let mut next = self.next();
            let mut text = format!(
                "SELECT {COLUMNS} FROM (SELECT * FROM deliveries d WHERE {} {} LIMIT ${next}) AS d {ENDPOINT} WHERE 1 = 1",
                self.range(),
                self.order()
            );
            next += 1;
            text.push_str(&self.rest(&mut next));
            // Writing to a `String` cannot fail.
            let _ = write!(text, " {} LIMIT ${next}", self.order());
            let mut query = self.bound(text, *after).bind(rows);
            if let Some(endpoint) = &self.filter.endpoint {
                query = query.bind(endpoint);
            }
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = query.bind(most).fetch_all(connection).await?;
            let mut is_whole = rows.len() < limit;
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                let row = delivery(row)?;
                let cursor = row.cursor();
                // The step ends here. If retention deleted rows since the end was computed, the
                // next step reads the row.
                let beyond = |end: DeliveryAfter| {
                    if self.oldest_first {
                        cursor > end
                    } else {
                        cursor < end
                    }
                };
                if !self.reaches(cursor.created_at) || end.is_some_and(beyond) {
                    is_whole = true;
                    break;
                }
                found.push((row, cursor));
            }
            let last = found.last().map(|(_, cursor)| *cursor);
            Ok(Step {
                found,
                read_to: if is_whole { end } else { last },
            })
        })
    }
}

impl DeliveryRow {
    /// The position of this row.
    #[must_use]
    pub fn cursor(&self) -> DeliveryAfter {
        DeliveryAfter {
            created_at: self.created_at,
            id: self.id,
        }
    }
}
