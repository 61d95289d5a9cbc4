//! The event subscriptions of the bots.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use url::Url;

use super::deliveries::EVENT;
use super::{Kinds, Store, StoreError};
use crate::clock::Millis;

/// A stored subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// The id, never reused.
    pub id: i64,
    /// The URL for events.
    pub url: Url,
    /// The subscribed kinds of events.
    pub kinds: Kinds,
    /// Events are written for the subscription.
    pub enabled: bool,
    /// The subscription's own timeout in seconds.
    pub timeout_s: Option<i64>,
    /// The cause if the gateway disabled the subscription.
    pub off_cause: Option<String>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

/// A subscription to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// The URL for events.
    pub url: Url,
    /// The subscribed kinds of events.
    pub kinds: Kinds,
    /// Events are written for the subscription.
    pub enabled: bool,
    /// The subscription's own timeout in seconds.
    pub timeout_s: Option<i64>,
}

/// A change of a subscription; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// The new URL; waiting deliveries follow.
    pub url: Option<Url>,
    /// The subscribed kinds, starting with the next event.
    pub kinds: Option<Kinds>,
    /// Enables or disables the subscription. Enabling deletes the cause set by the gateway.
    pub enabled: Option<bool>,
    /// The subscription's own timeout; `Some(None)` removes the timeout.
    pub timeout_s: Option<Option<i64>>,
}

/// The maximum number of subscriptions of a bot: each event is posted to every interested
/// subscription.
pub const MAX_SUBSCRIPTIONS: usize = 100;

const COLUMNS: &str = "id, url, kinds, enabled, timeout_s, off_cause, created_at, updated_at";

impl Store {
    /// Returns all subscriptions of a bot, oldest first, including disabled subscriptions.
    pub async fn subscriptions(&self, bot_id: i32) -> Result<Vec<SubscriptionRow>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM subscriptions WHERE bot = $1 AND deleted_at IS NULL ORDER BY id"
        )))
        .bind(i64::from(bot_id))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(subscription).collect()
    }

    /// Returns a subscription of a bot.
    pub async fn subscription(
        &self,
        bot_id: i32,
        id: i64,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM subscriptions WHERE id = $1 AND bot = $2 AND deleted_at IS NULL"
        )))
        .bind(id)
        .bind(i64::from(bot_id))
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(subscription).transpose()
    }

    /// Adds a subscription; `None` if the bot has [`MAX_SUBSCRIPTIONS`].
    pub async fn add_subscription(
        &self,
        bot_id: i32,
        new: NewSubscription,
        now: Millis,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let most = i64::try_from(MAX_SUBSCRIPTIONS).unwrap_or(i64::MAX);
        let added = self.write("add_subscription", move |connection, _| {
            let new = new.clone();
            Box::pin(async move {
                let count = sqlx::query(
                    "SELECT COUNT(*) FROM subscriptions WHERE bot = $1 AND deleted_at IS NULL",
                )
                .bind(i64::from(bot_id))
                .fetch_one(&mut *connection)
                .await?;
                if count.try_get::<i64, _>(0)? >= most {
                    return Ok(None);
                }
                let row = sqlx::query(AssertSqlSafe(format!(
                    "INSERT INTO subscriptions (id, bot, url, kinds, enabled, timeout_s, created_at, updated_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM subscriptions), $1, $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
                )))
                .bind(i64::from(bot_id))
                .bind(new.url.to_string())
                .bind(new.kinds.words().join(","))
                .bind(i64::from(new.enabled))
                .bind(new.timeout_s)
                .bind(now)
                .bind(now)
                .fetch_one(connection)
                .await?;
                subscription(&row).map(Some)
            })
        });
        let added = added.await;
        self.state.audiences.forget(Some(bot_id));
        added
    }

    /// Changes a subscription; `None` if the bot has no such subscription. Deliveries waiting for
    /// the old URL are moved to the new URL.
    pub async fn change_subscription(
        &self,
        bot_id: i32,
        id: i64,
        change: SubscriptionChange,
        now: Millis,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let moved = change.url.is_some();
        let changed = self.write("change_subscription", move |connection, _| {
            let change = change.clone();
            Box::pin(async move {
                let row = sqlx::query(AssertSqlSafe(format!(
                    "SELECT {COLUMNS} FROM subscriptions WHERE id = $1 AND bot = $2 AND deleted_at IS NULL"
                )))
                .bind(id)
                .bind(i64::from(bot_id))
                .fetch_optional(&mut *connection)
                .await?;
                let Some(mut new) = row.as_ref().map(subscription).transpose()? else {
                    return Ok(None);
                };
                if let Some(url) = change.url {
                    new.url = url;
                }
                if let Some(enabled) = change.enabled {
                    new.enabled = enabled;
                    new.off_cause = None;
                }
                new.kinds = change.kinds.unwrap_or(new.kinds);
                new.timeout_s = change.timeout_s.unwrap_or(new.timeout_s);
                new.updated_at = now;
                sqlx::query(
                    "UPDATE subscriptions SET url = $1, kinds = $2, enabled = $3, timeout_s = $4, off_cause = $5, updated_at = $6 \
                     WHERE id = $7",
                )
                .bind(new.url.to_string())
                .bind(new.kinds.words().join(","))
                .bind(i64::from(new.enabled))
                .bind(new.timeout_s)
                .bind(new.off_cause.clone())
                .bind(now)
                .bind(id)
                .execute(connection)
                .await?;
                Ok(Some(new))
            })
        });
        let changed = changed.await;
        self.state.audiences.forget(Some(bot_id));
        if moved && matches!(changed, Ok(Some(_))) {
            self.follow(EVENT, id, now).await?;
        }
        changed
    }

    /// Disables the subscription of a delivery and stores the cause. A disabled subscription, or a
    /// subscription with another URL than `tried`, stays unchanged.
    pub async fn switch_subscription_off(
        &self,
        delivery: i64,
        tried: &Url,
        cause: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let tried = tried.to_string();
        let switched = self.write("switch_subscription_off", move |connection, _| {
            let (cause, tried) = (cause.clone(), tried.clone());
            Box::pin(async move {
                sqlx::query(
                    "UPDATE subscriptions SET enabled = 0, off_cause = $1, updated_at = $2 WHERE enabled = 1 AND url = $3 \
                     AND id = (SELECT source FROM deliveries WHERE id = $4 AND kind = 'event')",
                )
                .bind(cause)
                .bind(now)
                .bind(tried)
                .bind(delivery)
                .execute(connection)
                .await?;
                Ok(())
            })
        });
        let switched = switched.await;
        self.state.audiences.forget(None);
        switched
    }

    /// Deletes a subscription and cancels its waiting deliveries. Returns `false` if the bot has no
    /// such subscription.
    pub async fn delete_subscription(
        &self,
        bot_id: i32,
        id: i64,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let deleted = self.write("delete_subscription", move |connection, _| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE subscriptions SET deleted_at = $1 WHERE id = $2 AND bot = $3 AND deleted_at IS NULL",
                )
                .bind(now)
                .bind(id)
                .bind(i64::from(bot_id))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() > 0)
            })
        });
        let deleted = deleted.await;
        self.state.audiences.forget(Some(bot_id));
        if matches!(deleted, Ok(true)) {
            self.follow(EVENT, id, now).await?;
        }
        deleted
    }
}

fn subscription(row: &AnyRow) -> Result<SubscriptionRow, StoreError> {
    let (url, kinds, enabled): (String, String, i64) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let unreadable = || StoreError::Unreadable("a subscription".to_owned());
    Ok(SubscriptionRow {
        id: row.try_get(0)?,
        url: Url::parse(&url).map_err(|_| unreadable())?,
        kinds: Kinds::of(kinds.split(',')).ok_or_else(unreadable)?,
        enabled: enabled != 0,
        timeout_s: row.try_get(4)?,
        off_cause: row.try_get(5)?,
        created_at: row.try_get(6)?,
        updated_at: row.try_get(7)?,
    })
}
