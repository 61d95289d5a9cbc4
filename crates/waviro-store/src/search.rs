//! Searches without an index: by text, or by a rare state in one chat. A search reads all rows of
//! the range.
//!
//! Searches have a connection of their own, so nothing else waits for searches, independent of
//! their number and the length of their rows. A search reads in steps of about 25 ms; the searches
//! of different bots alternate after each step, and a bot has one search at a time. A search that
//! does not end within [`WITHIN`] returns its results so far and the position to continue from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool};
use tokio::time::{Instant, timeout_at};

use crate::error::StoreError;

/// The maximum duration of a search: as long as people look at an empty page.
const WITHIN: Duration = Duration::from_secs(5);

/// The target duration of a step. The number of rows per step varies, because an attacker's rows
/// have 64 KiB and a shop's rows 100 bytes.
const STEP: Duration = Duration::from_millis(25);

/// The number of rows in the first step, and its limits in later steps.
const FIRST: i64 = 256;
const FEWEST: i64 = 8;
const MAX_STEP: i64 = 16_384;

/// The found rows, and the position to continue from if the search stopped early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<R, A> {
    /// The rows, in the order of the list.
    pub rows: Vec<R>,
    /// The last position read; `None` if the whole range was read.
    pub go_on: Option<A>,
}

/// The connection and the locks shared by all searches.
#[derive(Debug, Clone)]
pub(crate) struct Searches {
    pool: AnyPool,
    turns: Arc<Mutex<HashMap<i32, Weak<tokio::sync::Mutex<()>>>>>,
}

/// The result of one step.
pub(crate) struct Step<R, A> {
    /// The matching rows with their positions.
    pub(crate) found: Vec<(R, A)>,
    /// The last position read; `None` at the end of the range.
    pub(crate) read_to: Option<A>,
}

/// The future of a running step.
pub(crate) type Stepping<'s, R, A> = BoxFuture<'s, Result<Step<R, A>, StoreError>>;

/// A list that can be searched.
pub(crate) trait Searched: Sync {
    type Row: Send;
    type After: Clone + Send + Sync;

    /// Reads the next `rows` rows after a position and returns at most `limit` matches.
    fn step<'s>(
        &'s self,
        connection: &'s mut AnyConnection,
        after: &'s Self::After,
        rows: i64,
        limit: usize,
    ) -> Stepping<'s, Self::Row, Self::After>;
}

impl Searches {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self {
            pool,
            turns: Arc::default(),
        }
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Searches a list of a bot for `limit` rows.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the bot's previous search did not end in time, or the connection was
    /// not free in time.
    pub(crate) async fn search<S: Searched>(
        &self,
        bot_id: i32,
        searched: S,
        after: S::After,
        limit: usize,
    ) -> Result<Found<S::Row, S::After>, StoreError> {
        let until = Instant::now() + WITHIN;
        self.search_until(until, bot_id, searched, after, limit)
            .await
    }

    async fn search_until<S: Searched>(
        &self,
        until: Instant,
        bot_id: i32,
        searched: S,
        mut after: S::After,
        limit: usize,
    ) -> Result<Found<S::Row, S::After>, StoreError> {
        let turn = self.turn(bot_id);
        let turn = timeout_at(until, turn.lock()).await;
        let _turn = turn.map_err(|_| StoreError::Busy)?;
        let (mut found, mut rows) = (Vec::new(), FIRST);
        let mut has_read = false;
        loop {
            if has_read && Instant::now() >= until {
                let go_on = Some(after);
                return Ok(Found { rows: found, go_on });
            }
            let Ok(connection) = timeout_at(until, self.pool.acquire()).await else {
                let go_on = Some(after);
                return if has_read {
                    Ok(Found { rows: found, go_on })
                } else {
                    Err(StoreError::Busy)
                };
            };
            let mut connection = connection?;
            let began = Instant::now();
            let step = searched.step(&mut connection, &after, rows, limit - found.len());
            let step = step.await?;
            drop(connection);
            has_read = true;
            for (row, place) in step.found {
                found.push(row);
                after = place;
            }
            if found.len() >= limit {
                let go_on = Some(after);
                return Ok(Found { rows: found, go_on });
            }
            let Some(read_to) = step.read_to else {
                let go_on = None;
                return Ok(Found { rows: found, go_on });
            };
            after = read_to;
            rows = next_step(rows, began.elapsed());
        }
    }

    fn turn(&self, bot_id: i32) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&bot_id).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(bot_id, Arc::downgrade(&turn));
        turn
    }
}

/// Returns the number of rows for the next step.
fn next_step(rows: i64, took: Duration) -> i64 {
    if took < STEP / 2 {
        (rows * 2).min(MAX_STEP)
    } else if took > STEP * 2 {
        (rows / 4).max(FEWEST)
    } else {
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    /// The numbers up to `last`; every hundredth number matches.
    struct Numbers {
        last: i64,
    }

    impl Searched for Numbers {
        type Row = i64;
        type After = i64;

        fn step<'s>(
            &'s self,
            _: &'s mut AnyConnection,
            after: &'s i64,
            rows: i64,
            limit: usize,
        ) -> Stepping<'s, i64, i64> {
            Box::pin(async move {
                let to = after.saturating_add(rows).min(self.last);
                let fit = (*after + 1..=to).filter(|number| number % 100 == 0);
                let found: Vec<_> = fit.take(limit).map(|number| (number, number)).collect();
                let is_full = found.len() == limit;
                let last = found.last().map(|(_, place)| *place);
                let end = (to < self.last).then_some(to);
                Ok(Step {
                    read_to: if is_full { last } else { end },
                    found,
                })
            })
        }
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let store = Store::open(&url).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_search_reads_its_range_to_the_end_or_until_it_has_enough() {
        let (_folder, store) = store().await;
        let numbers = || Numbers { last: 10_000 };
        let all = store.searches.search(1, numbers(), 0, 200).await.unwrap();
        assert_eq!((all.rows.len(), all.go_on), (100, None));
        let some = store.searches.search(1, numbers(), 0, 3).await.unwrap();
        assert_eq!((some.rows, some.go_on), (vec![100, 200, 300], Some(300)));
        store.close().await;
    }

    #[tokio::test]
    async fn a_search_out_of_time_answers_what_it_found_and_where_to_go_on() {
        let (_folder, store) = store().await;
        let endless = Numbers { last: i64::MAX };
        let until = Instant::now() + Duration::from_millis(300);
        let most = usize::MAX;
        let found = store
            .searches
            .search_until(until, 1, endless, 0, most)
            .await;
        let found = found.unwrap();
        let read_to = found.go_on.unwrap();
        assert_eq!(found.rows.len(), usize::try_from(read_to / 100).unwrap());
        store.close().await;
    }

    #[tokio::test]
    async fn a_bots_second_search_waits_for_its_first_and_no_other_bots_does() {
        let (_folder, store) = store().await;
        let turn = store.searches.turn(1);
        let first = turn.lock().await;
        let soon = || Instant::now() + Duration::from_millis(50);
        let numbers = || Numbers { last: 10 };
        let second = store
            .searches
            .search_until(soon(), 1, numbers(), 0, 1)
            .await;
        assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
        let until = Instant::now() + WITHIN;
        assert!(
            store
                .searches
                .search_until(until, 2, numbers(), 0, 1)
                .await
                .is_ok()
        );
        drop(first);
        assert!(
            store
                .searches
                .search_until(until, 1, numbers(), 0, 1)
                .await
                .is_ok()
        );
        store.close().await;
    }

    #[test]
    fn long_rows_make_short_steps_and_short_rows_long_ones() {
        assert_eq!(next_step(256, Duration::from_millis(1)), 512);
        assert_eq!(next_step(MAX_STEP, Duration::from_millis(1)), MAX_STEP);
        assert_eq!(next_step(256, Duration::from_millis(25)), 256);
        assert_eq!(next_step(256, Duration::from_millis(80)), 64);
        assert_eq!(next_step(FEWEST, Duration::from_secs(1)), FEWEST);
    }
}
