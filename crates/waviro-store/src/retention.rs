//! Retention: deletes rows older than their limit, as background work ([`crate::background`]).
//!
//! Each step finds its rows at one end of an index, independent of the number of other rows. The
//! row with the highest id stays in each table that derives new ids from it; otherwise an id would
//! be assigned again.

use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::background::Budget;
use crate::clock::Millis;
use crate::{Store, StoreError, sql};

/// The maximum number of attempts or receipts deleted by one statement.
const CHILDREN: i64 = 200;

/// The time limits: older rows are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    pub events: Millis,
    /// Ended deliveries and their attempts.
    pub deliveries: Millis,
    /// Inbound messages.
    pub inbound: Millis,
    /// Failed messages and messages taken by WhatsApp, with the receipts of group members.
    pub messages: Millis,
    /// Handles for downloading files.
    pub media: Millis,
}

/// The result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of deleted rows.
    pub rows: u64,
    /// The files that can no longer be downloaded.
    pub media: Vec<String>,
}

/// The steps in order: deliveries and events are deleted before their messages.
const STEPS: [Step; 6] = [
    Step::Events,
    Step::Deliveries,
    Step::Taken,
    Step::Failed,
    Step::Inbound,
    Step::Handles,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Events,
    Deliveries,
    /// Messages taken by WhatsApp.
    Taken,
    /// Messages that failed.
    Failed,
    Inbound,
    Handles,
}

/// A sweep and its progress.
#[derive(Debug, Clone)]
pub struct Sweep {
    kept: RetentionLimits,
    step: usize,
    /// The bot ids: some steps run per bot, with the bot's own index.
    bot_ids: Arc<[i64]>,
    bot_index: usize,
    after: After,
}

/// A transaction of a sweep.
struct Batch<'c> {
    connection: &'c mut AnyConnection,
    budget: Budget,
    swept: Swept,
}

/// The last row checked: its time and its number.
type After = (Millis, i64);

/// The result of one step.
enum Progress {
    /// More rows may follow after this row.
    More(After),
    /// No rows are left.
    Done,
}

impl Store {
    /// Starts a sweep of all rows older than their limit.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn begin_sweep(
        &self,
        kept: RetentionLimits,
        now: Millis,
    ) -> Result<Sweep, StoreError> {
        for (sources, id) in self.sources_to_follow().await? {
            self.follow(sources, id, now).await?;
        }
        let bot_ids = sqlx::query_scalar("SELECT slot FROM bots ORDER BY slot");
        let bot_ids: Vec<i64> = bot_ids.fetch_all(&self.reads).await?;
        Ok(Sweep {
            kept,
            step: 0,
            bot_ids: bot_ids.into(),
            bot_index: 0,
            after: START,
        })
    }

    /// Deletes the next rows of a sweep, as many as the budget allows. Returns the deleted rows and
    /// the rest of the sweep.
    ///
    /// # Errors
    /// Any [`StoreError`]; then none of the next rows was deleted.
    pub async fn sweep(&self, sweep: Sweep) -> Result<(Swept, Option<Sweep>), StoreError> {
        self.in_background("sweep", move |connection, budget| {
            let batch = Batch {
                connection,
                budget,
                swept: Swept::default(),
            };
            Box::pin(batch.run(sweep.clone()))
        })
        .await
    }
}

impl Sweep {
    fn step(&self) -> Option<Step> {
        STEPS.get(self.step).copied()
    }

    /// The current bot; 0 in a step over all bots.
    fn bot_id(&self) -> Option<i64> {
        match self.step()? {
            Step::Events | Step::Deliveries => Some(0),
            _ => self.bot_ids.get(self.bot_index).copied(),
        }
    }

    /// Moves to the next bot, or to the next step.
    fn go_on(&mut self) {
        self.after = START;
        self.bot_index += 1;
        let by_bot = !matches!(self.step(), Some(Step::Events | Step::Deliveries));
        if !by_bot || self.bot_index >= self.bot_ids.len() {
            (self.step, self.bot_index) = (self.step + 1, 0);
        }
    }
}

/// The position before every row.
const START: After = (Millis::MIN, i64::MIN);

impl Progress {
    /// Returns [`Self::More`] if the query returned as many rows as requested.
    fn after(rows: &[AnyRow], limit: i64, last: After) -> Self {
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < limit {
            Self::Done
        } else {
            Self::More(last)
        }
    }
}

impl Batch<'_> {
    /// Deletes rows until the budget is spent. Returns the rest of the sweep.
    async fn run(mut self, mut sweep: Sweep) -> Result<(Swept, Option<Sweep>), StoreError> {
        let kept = sweep.kept;
        while let (Some(step), Some(bot_id)) = (sweep.step(), sweep.bot_id()) {
            let after = sweep.after;
            let progress = match step {
                Step::Events => self.events(kept.events).await?,
                Step::Deliveries => self.deliveries(kept.deliveries, after).await?,
                Step::Taken => self.messages("> 0", bot_id, kept.messages, after).await?,
                Step::Failed => self.messages("< 0", bot_id, kept.messages, after).await?,
                Step::Inbound => self.inbound(bot_id, kept.inbound).await?,
                Step::Handles => self.handles(bot_id, kept.media).await?,
            };
            match progress {
                Progress::More(after) => sweep.after = after,
                Progress::Done => sweep.go_on(),
            }
            if self.budget.is_spent() {
                return Ok((self.swept, Some(sweep)));
            }
        }
        Ok((self.swept, None))
    }

    /// Event ids rise with time, so the oldest events are at one end of the table.
    async fn events(&mut self, before: Millis) -> Result<Progress, StoreError> {
        let rows = self.budget.rows();
        let done = sqlx::query(
            "DELETE FROM events WHERE at < $1 AND id < (SELECT MAX(id) FROM events) \
             AND id IN (SELECT id FROM events ORDER BY id LIMIT $2)",
        )
        .bind(before)
        .bind(rows)
        .execute(&mut *self.connection)
        .await?;
        self.swept.rows += done.rows_affected();
        Ok(if done.rows_affected() < rows.unsigned_abs() {
            Progress::Done
        } else {
            Progress::More(START)
        })
    }

    async fn deliveries(
        &mut self,
        before: Millis,
        (at, id): After,
    ) -> Result<Progress, StoreError> {
        let limit = self.budget.rows();
        let rows = sqlx::query(
            "SELECT id, ended_at FROM deliveries WHERE ended_at IS NOT NULL AND ended_at < $1 AND (ended_at, id) > ($2, $3) \
             AND id < (SELECT MAX(id) FROM deliveries) \
             AND id <> COALESCE((SELECT delivery FROM attempts WHERE id = (SELECT MAX(id) FROM attempts)), 0) \
             ORDER BY ended_at, id LIMIT $4",
        )
        .bind(before)
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        let (mut ids, mut last) = (Vec::with_capacity(rows.len()), (at, id));
        for row in &rows {
            last = (row.try_get(1)?, row.try_get(0)?);
            ids.push(last.1);
        }
        for (listed, list) in sql::numbered(&ids, 2) {
            let attempts = format!(
                "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE delivery IN ({listed}) LIMIT $1)"
            );
            if !self.children(&attempts, &list).await? {
                return Ok(Progress::More((at, id)));
            }
            let deliveries = "DELETE FROM deliveries WHERE id IN";
            self.change_listed(deliveries, list).await?;
        }
        Ok(Progress::after(&rows, limit, last))
    }

    /// A message with a waiting callback stays, because the callback is built from the message.
    async fn messages(
        &mut self,
        ack: &str,
        bot_id: i64,
        before: Millis,
        (at, seq): After,
    ) -> Result<Progress, StoreError> {
        let limit = self.budget.rows();
        let text = format!(
            "SELECT m.id, m.settled_at, m.seq, CASE WHEN m.seq < (SELECT MAX(seq) FROM messages) AND NOT EXISTS \
             (SELECT 1 FROM deliveries d WHERE d.bot = m.bot AND d.subject = m.id AND d.ended_at IS NULL) THEN 1 ELSE 0 END \
             FROM messages m WHERE m.bot = $1 AND m.ack {ack} AND m.settled_at < $2 AND (m.settled_at, m.seq) > ($3, $4) \
             ORDER BY m.settled_at, m.seq LIMIT $5"
        );
        let rows = sql::query(text)
            .bind(bot_id)
            .bind(before)
            .bind(at)
            .bind(seq)
            .bind(limit)
            .fetch_all(&mut *self.connection)
            .await?;
        let (mut ids, mut last) = (Vec::<String>::with_capacity(rows.len()), (at, seq));
        for row in &rows {
            last = (row.try_get(1)?, row.try_get(2)?);
            if row.try_get::<i64, _>(3)? != 0 {
                ids.push(row.try_get(0)?);
            }
        }
        for (listed, list) in sql::numbered(&ids, 2) {
            let receipts = format!(
                "DELETE FROM receipts WHERE (message, member) IN \
                 (SELECT message, member FROM receipts WHERE message IN ({listed}) LIMIT $1)"
            );
            if !self.children(&receipts, &list).await? {
                return Ok(Progress::More((at, seq)));
            }
            self.change_listed("DELETE FROM messages WHERE id IN", list)
                .await?;
        }
        Ok(Progress::after(&rows, limit, last))
    }

    async fn inbound(&mut self, bot_id: i64, before: Millis) -> Result<Progress, StoreError> {
        let text = "SELECT id FROM inbound WHERE bot = $1 AND received_at < $2 ORDER BY received_at LIMIT $3";
        let (ids, progress) = self.oldest_inbound(text, bot_id, before).await?;
        for (listed, list) in sql::numbered(&ids, 3) {
            // The `+` makes SQLite use the index by id and not scan all old rows. A message with
            // the same id in another chat may be deleted too: the message is also old, and has a
            // file of its own.
            let text = format!(
                "DELETE FROM inbound WHERE bot = $1 AND +received_at < $2 AND id IN ({listed}) \
                 RETURNING CASE WHEN media_handle IS NOT NULL THEN media END"
            );
            let query = sql::query(text).bind(bot_id).bind(before);
            let query = sql::bind_all(query, list);
            let gone = query.fetch_all(&mut *self.connection).await?;
            self.swept.rows += gone.len() as u64;
            for row in &gone {
                let media: Option<String> = row.try_get(0)?;
                self.swept.media.extend(media);
            }
        }
        Ok(progress)
    }

    async fn handles(&mut self, bot_id: i64, before: Millis) -> Result<Progress, StoreError> {
        let text = "SELECT media FROM inbound WHERE bot = $1 AND received_at < $2 AND media_handle IS NOT NULL \
            ORDER BY received_at LIMIT $3";
        let (media, progress) = self.oldest_inbound(text, bot_id, before).await?;
        for list in sql::lists(&media) {
            let handles = "UPDATE inbound SET media_handle = NULL WHERE media IN";
            self.change_listed(handles, list).await?;
        }
        self.swept.media.extend(media);
        Ok(progress)
    }

    /// Runs a query for the oldest inbound messages of a bot. The changed rows no longer match the
    /// query, so each step starts at the oldest row.
    async fn oldest_inbound(
        &mut self,
        text: &'static str,
        bot_id: i64,
        before: Millis,
    ) -> Result<(Vec<String>, Progress), StoreError> {
        let limit = self.budget.rows();
        let rows = sqlx::query(text)
            .bind(bot_id)
            .bind(before)
            .bind(limit)
            .fetch_all(&mut *self.connection)
            .await?;
        let keys = rows.iter().map(|row| row.try_get(0));
        let keys = keys.collect::<Result<_, _>>()?;
        Ok((keys, Progress::after(&rows, limit, START)))
    }

    /// Runs a statement that ends in `IN` for the listed keys, and counts its rows.
    async fn change_listed<K: Key>(&mut self, text: &str, list: Vec<K>) -> Result<(), StoreError> {
        let text = format!("{text} ({})", sql::parameters(list.len(), 1));
        let query = sql::bind_all(sql::query(text), list);
        self.swept.rows += query.execute(&mut *self.connection).await?.rows_affected();
        Ok(())
    }

    /// Deletes the child rows of `keys`, [`CHILDREN`] at a time. Returns `true` if none is left;
    /// `false` means that the budget is spent.
    async fn children<K: Key>(&mut self, text: &str, keys: &[K]) -> Result<bool, StoreError> {
        loop {
            let query = sql::query(text.to_owned()).bind(CHILDREN);
            let query = sql::bind_all(query, keys);
            let done = query.execute(&mut *self.connection).await?;
            if done.rows_affected() < CHILDREN.unsigned_abs() {
                return Ok(true);
            }
            if self.budget.is_spent() {
                return Ok(false);
            }
        }
    }
}

/// A key of a row.
trait Key:
    Clone + Send + Sync + 'static + for<'q> sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any>
{
}

impl Key for i64 {}
impl Key for String {}
