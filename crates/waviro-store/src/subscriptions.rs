//! The event subscriptions of the bots.

use sqlx::Row;
use sqlx::any::AnyRow;
use url::Url;

use crate::clock::Millis;
use crate::events::Kinds;
use crate::sources::Sources;
use crate::{Store, StoreError, sql};

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
        let rows = self.sources(Sources::Subscriptions, COLUMNS, bot_id);
        rows.await?.iter().map(subscription).collect()
    }

    /// Returns a subscription of a bot.
    pub async fn subscription(
        &self,
        bot_id: i32,
        id: i64,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let row = Sources::Subscriptions.row(COLUMNS, bot_id, id, &self.reads);
        row.await?.as_ref().map(subscription).transpose()
    }

    /// Adds a subscription; `None` if the bot has [`MAX_SUBSCRIPTIONS`].
    pub async fn add_subscription(
        &self,
        bot_id: i32,
        new: NewSubscription,
        now: Millis,
    ) -> Result<Option<SubscriptionRow>, StoreError> {
        let input = (new, self.state.audiences.change());
        self.write("add_subscription", input, move |(new, _), connection, _| {
            Box::pin(async move {
                let full = Sources::Subscriptions.are_full(bot_id, MAX_SUBSCRIPTIONS, connection);
                if full.await? {
                    return Ok(None);
                }
                let row = sql::query(format!(
                    "INSERT INTO subscriptions (id, bot, url, kinds, enabled, timeout_s, created_at, updated_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM subscriptions), $1, $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
                ))
                .bind(i64::from(bot_id))
                .bind(new.url.as_str())
                .bind(new.kinds.words().join(","))
                .bind(i64::from(new.enabled))
                .bind(new.timeout_s)
                .bind(now)
                .bind(now)
                .fetch_one(connection)
                .await?;
                subscription(&row).map(Some)
            })
        })
        .await
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
        let input = (change, self.state.audiences.change());
        let changed = self.write("change_subscription", input, move |(change, _), connection, _| {
            Box::pin(async move {
                let known = Sources::Subscriptions.row(COLUMNS, bot_id, id, &mut *connection);
                let Some(mut new) = known.await?.as_ref().map(subscription).transpose()? else {
                    return Ok(None);
                };
                if let Some(url) = &change.url {
                    new.url = url.clone();
                }
                if let Some(enabled) = change.enabled {
                    (new.enabled, new.off_cause) = (enabled, None);
                }
                new.kinds = change.kinds.unwrap_or(new.kinds);
                new.timeout_s = change.timeout_s.unwrap_or(new.timeout_s);
                new.updated_at = now;
                sqlx::query(
                    "UPDATE subscriptions SET url = $1, kinds = $2, enabled = $3, timeout_s = $4, off_cause = $5, updated_at = $6 \
                     WHERE id = $7",
                )
                .bind(new.url.as_str())
                .bind(new.kinds.words().join(","))
                .bind(i64::from(new.enabled))
                .bind(new.timeout_s)
                .bind(&new.off_cause)
                .bind(now)
                .bind(id)
                .execute(connection)
                .await?;
                Ok(Some(new))
            })
        });
        let changed = changed.await?;
        if moved && changed.is_some() {
            self.follow(Sources::Subscriptions, id, now).await?;
        }
        Ok(changed)
    }

    /// Disables the subscription of a delivery, see [`Self::switch_source_off`].
    pub async fn switch_subscription_off(
        &self,
        delivery: i64,
        tried: &Url,
        cause: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (name, tried) = ("switch_subscription_off", (tried, cause));
        self.switch_source_off(name, Sources::Subscriptions, delivery, tried, now)
            .await
    }

    /// Deletes a subscription and cancels its waiting deliveries. Returns `false` if the bot has no
    /// such subscription.
    pub async fn delete_subscription(
        &self,
        bot_id: i32,
        id: i64,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let name = "delete_subscription";
        self.delete_source(name, Sources::Subscriptions, bot_id, id, now)
            .await
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
