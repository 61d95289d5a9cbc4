//! The bots table. The command line tool also writes to the table while a gateway runs.

use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use waviro_link::Identity;

use crate::clock::Millis;
use crate::names::Named;
use crate::row::narrow;
use crate::{Store, StoreError, sql};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotRow {
    /// The bot id: the key of the bot's device in the link store and in the whole gateway.
    pub bot_id: i32,
    /// The name given by people.
    pub name: String,
    /// SHA-256 of the bot's SecretKey, lower-case hex.
    pub key_sha256: String,
    /// The time when the current key was set; `None` for a key set by an older version.
    pub key_created_at: Option<Millis>,
    /// The previous key, while it still works.
    pub previous_key: Option<PreviousKey>,
    pub created_at: Millis,
    /// The WhatsApp identity at the last link.
    pub linked: Option<Identity>,
    /// The settings as JSON; `None` for the defaults.
    pub settings: Option<String>,
    /// The bot was removed; its device has yet to be logged out and deleted.
    pub removed: bool,
}

/// A replaced key that still works for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousKey {
    /// The hash, as [`BotRow::key_sha256`].
    pub sha256: String,
    /// The time when the key stops working.
    pub until: Millis,
}

/// The result of [`Store::rename_bot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    Done,
    /// Another existing bot has a name that looks the same.
    NameTaken,
    /// The bot does not exist.
    Unknown,
}

/// The result of [`Store::add_bot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddBot {
    /// The bot was added with this id.
    Added(i32),
    /// Another existing bot has a name that looks the same.
    NameTaken,
    /// Another existing bot has this key.
    KeyTaken,
}

/// The result of setting a key of a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKey {
    Done,
    /// The bot does not exist.
    Unknown,
    /// Another existing bot has this key.
    Taken,
    /// The bot's SecretKey and its webhook key would be equal.
    KeysAlike,
}

const COLUMNS: &str = "slot, name, key_sha256, created_at, linked_number, linked_name, \
    CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, key_created_at, previous_key_sha256, previous_key_until, settings";

impl Store {
    /// Returns all bots with a device, by id. Removed bots are included until their device is
    /// deleted.
    pub async fn bots(&self) -> Result<Vec<BotRow>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM bots WHERE forgotten_at IS NULL ORDER BY slot");
        let rows = sql::query(text).fetch_all(&self.reads).await?;
        rows.iter().map(bot).collect()
    }

    /// Returns a bot that is not removed.
    pub async fn bot(&self, bot_id: i32) -> Result<Option<BotRow>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM bots WHERE slot = $1 AND removed_at IS NULL");
        let row = sql::query(text)
            .bind(i64::from(bot_id))
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(bot).transpose()
    }

    /// Adds a bot under the next id; `webhook_key` is `None` if no key is known yet.
    pub async fn add_bot(
        &self,
        name: &str,
        key_sha256: &str,
        webhook_key: Option<String>,
        now: Millis,
    ) -> Result<AddBot, StoreError> {
        let new = (name.to_owned(), key_sha256.to_owned(), webhook_key);
        self.write("add_bot", new, move |(name, key, webhook_key), connection, _| {
            Box::pin(async move {
                if Named::Bots.is_taken(name, None, connection).await? {
                    return Ok(AddBot::NameTaken);
                }
                if key_is_taken(key, None, now, connection).await? {
                    return Ok(AddBot::KeyTaken);
                }
                // `streamed_at` is copied, so that a listener to the stream of all bots also gets
                // the events of a bot added while the listener was disconnected.
                let added = sqlx::query_scalar(
                    "INSERT INTO bots (slot, name, key_sha256, created_at, key_created_at, webhook_key, streamed_at) \
                     SELECT COALESCE(MAX(slot), 0) + 1, $1, $2, $3, $3, $4, MAX(streamed_at) FROM bots RETURNING slot",
                )
                .bind(name)
                .bind(key)
                .bind(now)
                .bind(webhook_key)
                .fetch_one(connection)
                .await?;
                Ok(AddBot::Added(narrow(added)?))
            })
        })
        .await
    }

    /// Replaces the key of a bot. The previous key works until `overlap_until`, or stops at once if
    /// that is `None`; an earlier previous key stops at once. Setting the current key again changes
    /// nothing.
    pub async fn set_bot_key(
        &self,
        bot_id: i32,
        key_sha256: &str,
        now: Millis,
        overlap_until: Option<Millis>,
    ) -> Result<SetKey, StoreError> {
        let key = key_sha256.to_owned();
        self.write("set_bot_key", key, move |key, connection, _| {
            Box::pin(async move {
                let known: Option<(String, Option<String>)> = sqlx::query_as(
                    "SELECT key_sha256, webhook_key FROM bots WHERE slot = $1 AND removed_at IS NULL",
                )
                .bind(i64::from(bot_id))
                .fetch_optional(&mut *connection)
                .await?;
                let Some((current, webhook_key)) = known else {
                    return Ok(SetKey::Unknown);
                };
                if current == *key {
                    return Ok(SetKey::Done);
                }
                if webhook_key.is_some_and(|webhook_key| sha256(&webhook_key) == *key) {
                    return Ok(SetKey::KeysAlike);
                }
                if key_is_taken(key, Some(bot_id), now, connection).await? {
                    return Ok(SetKey::Taken);
                }
                sqlx::query(
                    "UPDATE bots SET previous_key_sha256 = CASE WHEN $1 > 0 THEN key_sha256 END, \
                     previous_key_until = CASE WHEN $1 > 0 THEN $1 END, key_sha256 = $2, key_created_at = $3 \
                     WHERE slot = $4 AND removed_at IS NULL",
                )
                .bind(overlap_until.unwrap_or(0))
                .bind(key)
                .bind(now)
                .bind(i64::from(bot_id))
                .execute(connection)
                .await?;
                Ok(SetKey::Done)
            })
        })
        .await
    }

    /// Revokes the previous key of a bot at once.
    pub async fn drop_previous_key(&self, bot_id: i32) -> Result<(), StoreError> {
        let text =
            "UPDATE bots SET previous_key_sha256 = NULL, previous_key_until = NULL WHERE slot = $1";
        self.change("drop_previous_key", text, move |query| {
            query.bind(i64::from(bot_id))
        })
        .await
        .map(drop)
    }

    pub async fn rename_bot(&self, bot_id: i32, name: &str) -> Result<Renaming, StoreError> {
        // The cached audience contains the name, because events carry the name.
        let input = (name.to_owned(), self.state.audiences.change());
        self.write("rename_bot", input, move |(name, _), connection, _| {
            Box::pin(async move {
                let own = Some(i64::from(bot_id));
                if Named::Bots.is_taken(name, own, connection).await? {
                    return Ok(Renaming::NameTaken);
                }
                let done =
                    sqlx::query("UPDATE bots SET name = $1 WHERE slot = $2 AND removed_at IS NULL")
                        .bind(name)
                        .bind(i64::from(bot_id))
                        .execute(connection)
                        .await?;
                Ok(if done.rows_affected() == 1 {
                    Renaming::Done
                } else {
                    Renaming::Unknown
                })
            })
        })
        .await
    }

    /// Removes a bot for users: its keys and tokens stop working and its name is free. Returns
    /// `false` if the bot does not exist.
    pub async fn remove_bot(&self, bot_id: i32, now: Millis) -> Result<bool, StoreError> {
        self.write("remove_bot", (), move |(), connection, _| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET removed_at = $1 WHERE slot = $2 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(i64::from(bot_id))
                .execute(&mut *connection)
                .await?;
                sqlx::query(
                    "UPDATE tokens SET revoked_at = $1 WHERE bot = $2 AND revoked_at IS NULL",
                )
                .bind(now)
                .bind(i64::from(bot_id))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// Records that the device of a removed bot is logged out and its keys are deleted.
    pub async fn bot_forgotten(&self, bot_id: i32, now: Millis) -> Result<(), StoreError> {
        let text = "UPDATE bots SET forgotten_at = $1 WHERE slot = $2";
        self.change("bot_forgotten", text, move |query| {
            query.bind(now).bind(i64::from(bot_id))
        })
        .await
        .map(drop)
    }

    /// Replaces the settings of a bot with JSON, or with the defaults for `None`. Returns `false`
    /// if the bot does not exist.
    pub async fn set_settings(
        &self,
        bot_id: i32,
        settings: Option<String>,
    ) -> Result<bool, StoreError> {
        let text = "UPDATE bots SET settings = $1 WHERE slot = $2 AND removed_at IS NULL";
        let changed = self
            .change("set_settings", text, move |query| {
                query.bind(&settings).bind(i64::from(bot_id))
            })
            .await?;
        Ok(changed == 1)
    }

    /// Stores the WhatsApp identity of the bot's linked device.
    pub async fn bot_linked(&self, bot_id: i32, identity: &Identity) -> Result<(), StoreError> {
        let (number, name) = (identity.number.to_string(), identity.name.clone());
        let text = "UPDATE bots SET linked_number = $1, linked_name = $2 WHERE slot = $3";
        self.change("bot_linked", text, move |query| {
            query.bind(&number).bind(&name).bind(i64::from(bot_id))
        })
        .await
        .map(drop)
    }
}

/// Returns `true` if all these bots exist.
pub(crate) async fn exist(
    bot_ids: &[i32],
    connection: &mut AnyConnection,
) -> Result<bool, StoreError> {
    for bot_id in bot_ids {
        let found = sqlx::query("SELECT slot FROM bots WHERE slot = $1 AND removed_at IS NULL")
            .bind(i64::from(*bot_id))
            .fetch_optional(&mut *connection)
            .await?;
        if found.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns `true` if an existing bot other than `except` uses this key, also as a previous key
/// within its overlap. A removed bot gives up the key, because the column is unique over all rows.
async fn key_is_taken(
    key_sha256: &str,
    except: Option<i32>,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<bool, StoreError> {
    let taken = sqlx::query(
        "SELECT slot FROM bots WHERE removed_at IS NULL AND slot <> $1 \
         AND (key_sha256 = $2 OR (previous_key_sha256 = $2 AND previous_key_until > $3))",
    )
    .bind(i64::from(except.unwrap_or(0)))
    .bind(key_sha256)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_some() {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE bots SET key_sha256 = 'removed ' || CAST(slot AS TEXT) WHERE key_sha256 = $1 AND removed_at IS NOT NULL",
    )
    .bind(key_sha256)
    .execute(connection)
    .await?;
    Ok(false)
}

/// The stored hash of a SecretKey.
pub(crate) fn sha256(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

fn bot(row: &AnyRow) -> Result<BotRow, StoreError> {
    let (number, name): (Option<String>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
    let removed: i64 = row.try_get(6)?;
    let (previous, until): (Option<String>, Option<Millis>) = (row.try_get(8)?, row.try_get(9)?);
    Ok(BotRow {
        bot_id: narrow(row.try_get(0)?)?,
        name: row.try_get(1)?,
        key_sha256: row.try_get(2)?,
        key_created_at: row.try_get(7)?,
        previous_key: previous
            .zip(until)
            .map(|(sha256, until)| PreviousKey { sha256, until }),
        created_at: row.try_get(3)?,
        linked: number
            .and_then(|number| number.parse().ok())
            .map(|number| Identity {
                number,
                name: name.unwrap_or_default(),
            }),
        settings: row.try_get(10)?,
        removed: removed != 0,
    })
}
