//! The sources of deliveries, rules and subscriptions: the queries that both tables share.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Executor, Row};
use url::Url;

use crate::clock::Millis;
use crate::deliveries::DeliveryKind;
use crate::{Store, StoreError, sql};

/// A table of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    Rules,
    Subscriptions,
}

impl Sources {
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Subscriptions => "subscriptions",
        }
    }

    /// The kind of the deliveries.
    pub(crate) fn kind(self) -> DeliveryKind {
        match self {
            Self::Rules => DeliveryKind::Keyword,
            Self::Subscriptions => DeliveryKind::Event,
        }
    }

    /// Returns a row of a bot.
    pub(crate) async fn row<'c>(
        self,
        columns: &str,
        bot_id: i32,
        id: i64,
        connection: impl Executor<'c, Database = Any>,
    ) -> Result<Option<AnyRow>, StoreError> {
        let table = self.table();
        let text = format!(
            "SELECT {columns} FROM {table} WHERE id = $1 AND bot = $2 AND deleted_at IS NULL"
        );
        let query = sql::query(text).bind(id).bind(i64::from(bot_id));
        Ok(query.fetch_optional(connection).await?)
    }

    /// Returns `true` if a bot has `most` rows.
    pub(crate) async fn are_full(
        self,
        bot_id: i32,
        most: usize,
        connection: &mut AnyConnection,
    ) -> Result<bool, StoreError> {
        let table = self.table();
        let text = format!("SELECT COUNT(*) FROM {table} WHERE bot = $1 AND deleted_at IS NULL");
        let query = sql::query(text).bind(i64::from(bot_id));
        let count: i64 = query.fetch_one(connection).await?.try_get(0)?;
        Ok(usize::try_from(count).is_ok_and(|count| count >= most))
    }
}

impl Store {
    /// Returns all rows of a bot, oldest first, including disabled rows.
    pub(crate) async fn sources(
        &self,
        sources: Sources,
        columns: &str,
        bot_id: i32,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let table = sources.table();
        let text = format!(
            "SELECT {columns} FROM {table} WHERE bot = $1 AND deleted_at IS NULL ORDER BY id"
        );
        let query = sql::query(text).bind(i64::from(bot_id));
        Ok(query.fetch_all(&self.reads).await?)
    }

    /// Disables the source of a delivery and stores the cause. A disabled source, or a source with
    /// another URL than `tried`, stays unchanged, because a user changed the source in the
    /// meantime.
    pub(crate) async fn switch_source_off(
        &self,
        name: &'static str,
        sources: Sources,
        delivery: i64,
        (tried, cause): (&Url, String),
        now: Millis,
    ) -> Result<(), StoreError> {
        let input = (tried.to_string(), cause, self.state.audiences.change());
        self.write(name, input, move |(tried, cause, _), connection, _| {
            let (table, kind) = (sources.table(), sources.kind().word());
            let text = format!(
                "UPDATE {table} SET enabled = 0, off_cause = $1, updated_at = $2 WHERE enabled = 1 AND url = $3 \
                 AND id = (SELECT source FROM deliveries WHERE id = $4 AND kind = '{kind}')"
            );
            Box::pin(async move {
                let query = sql::query(text).bind(cause).bind(now).bind(tried);
                query.bind(delivery).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a source and cancels its waiting deliveries. Returns `false` if the bot has no such
    /// source.
    pub(crate) async fn delete_source(
        &self,
        name: &'static str,
        sources: Sources,
        bot_id: i32,
        id: i64,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let changing = self.state.audiences.change();
        let deleted = self.write(name, changing, move |_, connection, _| {
            let table = sources.table();
            let text = format!(
                "UPDATE {table} SET deleted_at = $1 WHERE id = $2 AND bot = $3 AND deleted_at IS NULL"
            );
            Box::pin(async move {
                let query = sql::query(text).bind(now).bind(id).bind(i64::from(bot_id));
                Ok(query.execute(connection).await?.rows_affected() > 0)
            })
        });
        let deleted = deleted.await?;
        if deleted {
            self.follow(sources, id, now).await?;
        }
        Ok(deleted)
    }
}
