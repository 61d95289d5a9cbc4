//! The bots as they stand in the database; also written by the command line tool while a gateway runs.

use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use waviro_link::Identity;

use super::messages::narrow;
use super::names::Named;
use super::{Store, StoreError};
use crate::clock::Millis;

/// A bot's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotRow {
    /// The key of its device in the link store; the bot's id everywhere inside.
    pub slot: i32,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its SecretKey, lower-case hex.
    pub key_sha256: String,
    /// When this key was made; `None` where an older version made it.
    pub key_created_at: Option<Millis>,
    /// The key before it, while it works too.
    pub previous_key: Option<PreviousKey>,
    /// When it was added.
    pub created_at: Millis,
    /// Who it was last linked as.
    pub linked: Option<Identity>,
    /// Its settings as JSON; `None` for the defaults.
    pub settings: Option<String>,
    /// It was removed; its device waits to be logged out and forgotten.
    pub removed: bool,
}

/// A key that was replaced and goes on working for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousKey {
    /// As [`BotRow::key_sha256`].
    pub sha256: String,
    /// When it dies.
    pub until: Millis,
}

/// What became of a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    /// The bot has it.
    Done,
    /// Another living bot has a name that looks like it.
    NameTaken,
    /// No such bot lives.
    Unknown,
}

/// What became of a new bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddBot {
    /// It has this slot.
    Added(i32),
    /// A bot with a name that looks like this one lives.
    NameTaken,
    /// Another living bot has this key.
    KeyTaken,
}

/// What became of another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKey {
    /// The bot has it.
    Done,
    /// No such bot lives.
    Unknown,
    /// Another living bot has it.
    Taken,
    /// The bot's SecretKey and its webhook key would be the same.
    KeysAlike,
}

const COLUMNS: &str = "slot, name, key_sha256, created_at, linked_number, linked_name, \
    CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, key_created_at, previous_key_sha256, previous_key_until, settings";

impl Store {
    /// Every bot whose device was not forgotten yet, removed ones included, by slot.
    pub async fn bots(&self) -> Result<Vec<BotRow>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM bots WHERE forgotten_at IS NULL ORDER BY slot");
        let rows = sqlx::query(AssertSqlSafe(text))
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(bot).collect()
    }

    /// One living bot.
    pub async fn bot(&self, slot: i32) -> Result<Option<BotRow>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM bots WHERE slot = $1 AND removed_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(i64::from(slot))
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(bot).transpose()
    }

    /// Adds a bot under the next slot, with a webhook key if one is known already.
    pub async fn add_bot(
        &self,
        name: &str,
        key_sha256: &str,
        webhook_key: Option<String>,
        now: Millis,
    ) -> Result<AddBot, StoreError> {
        let (name, key) = (name.to_owned(), key_sha256.to_owned());
        self.write("add_bot", move |connection, _| {
            let (name, key, webhook_key) = (name.clone(), key.clone(), webhook_key.clone());
            Box::pin(async move {
                if Named::Bots.is_taken(&name, None, connection).await? {
                    return Ok(AddBot::NameTaken);
                }
                if key_is_taken(&key, None, now, connection).await? {
                    return Ok(AddBot::KeyTaken);
                }
                // Who listens to all bots finds this one's events too, though he be away while it is made.
                let row = sqlx::query(
                    "INSERT INTO bots (slot, name, key_sha256, created_at, key_created_at, webhook_key, streamed_at) \
                     SELECT COALESCE(MAX(slot), 0) + 1, $1, $2, $3, $3, $4, MAX(streamed_at) FROM bots RETURNING slot",
                )
                .bind(name)
                .bind(key)
                .bind(now)
                .bind(webhook_key)
                .fetch_one(connection)
                .await?;
                Ok(AddBot::Added(narrow(row.try_get(0)?)?))
            })
        })
        .await
    }

    /// Gives a bot another key. The one before goes on working until `overlap_until`, or dies at once; one before that is dead.
    /// The key that the bot has already changes nothing.
    pub async fn set_bot_key(
        &self,
        slot: i32,
        key_sha256: &str,
        now: Millis,
        overlap_until: Option<Millis>,
    ) -> Result<SetKey, StoreError> {
        let key = key_sha256.to_owned();
        self.write("set_bot_key", move |connection, _| {
            let key = key.clone();
            Box::pin(async move {
                let known = sqlx::query(
                    "SELECT key_sha256, webhook_key FROM bots WHERE slot = $1 AND removed_at IS NULL",
                )
                .bind(i64::from(slot))
                .fetch_optional(&mut *connection)
                .await?;
                let Some(known) = known else {
                    return Ok(SetKey::Unknown);
                };
                let (current, webhook_key): (String, Option<String>) =
                    (known.try_get(0)?, known.try_get(1)?);
                if current == key {
                    return Ok(SetKey::Done);
                }
                if webhook_key.is_some_and(|webhook_key| sha256(&webhook_key) == key) {
                    return Ok(SetKey::KeysAlike);
                }
                if key_is_taken(&key, Some(slot), now, connection).await? {
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
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(SetKey::Done)
            })
        })
        .await
    }

    /// Ends what is left of the time of a bot's previous key.
    pub async fn drop_previous_key(&self, slot: i32) -> Result<(), StoreError> {
        self.write("drop_previous_key", move |connection, _| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE bots SET previous_key_sha256 = NULL, previous_key_until = NULL WHERE slot = $1",
                )
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives a bot another name.
    pub async fn rename_bot(&self, slot: i32, name: &str) -> Result<Renaming, StoreError> {
        let name = name.to_owned();
        let renamed = self.write("rename_bot", move |connection, _| {
            let name = name.clone();
            Box::pin(async move {
                let own = Some(i64::from(slot));
                if Named::Bots.is_taken(&name, own, connection).await? {
                    return Ok(Renaming::NameTaken);
                }
                let done =
                    sqlx::query("UPDATE bots SET name = $1 WHERE slot = $2 AND removed_at IS NULL")
                        .bind(name)
                        .bind(i64::from(slot))
                        .execute(connection)
                        .await?;
                Ok(if done.rows_affected() == 1 {
                    Renaming::Done
                } else {
                    Renaming::Unknown
                })
            })
        });
        let renamed = renamed.await;
        // Events carry the name.
        self.state.audiences.forget(Some(slot));
        renamed
    }

    /// Ends a bot for users: its keys and its tokens are dead and its name is free. `false` where no such bot lives.
    pub async fn remove_bot(&self, slot: i32, now: Millis) -> Result<bool, StoreError> {
        self.write("remove_bot", move |connection, _| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET removed_at = $1 WHERE slot = $2 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(i64::from(slot))
                .execute(&mut *connection)
                .await?;
                sqlx::query(
                    "UPDATE tokens SET revoked_at = $1 WHERE bot = $2 AND revoked_at IS NULL",
                )
                .bind(now)
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// The removed bot's device is logged out and its keys are wiped: nothing is left to do.
    pub async fn bot_forgotten(&self, slot: i32, now: Millis) -> Result<(), StoreError> {
        self.write("bot_forgotten", move |connection, _| {
            Box::pin(async move {
                sqlx::query("UPDATE bots SET forgotten_at = $1 WHERE slot = $2")
                    .bind(now)
                    .bind(i64::from(slot))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives a living bot other settings, JSON; `None` for the defaults. `false` where there is no such bot.
    pub async fn set_settings(
        &self,
        slot: i32,
        settings: Option<String>,
    ) -> Result<bool, StoreError> {
        self.write("set_settings", move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET settings = $1 WHERE slot = $2 AND removed_at IS NULL",
                )
                .bind(settings)
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// Remembers who the bot's device is linked as.
    pub async fn bot_linked(&self, slot: i32, identity: &Identity) -> Result<(), StoreError> {
        let (number, name) = (identity.number.to_string(), identity.name.clone());
        self.write("bot_linked", move |connection, _| {
            let (number, name) = (number.clone(), name.clone());
            Box::pin(async move {
                sqlx::query("UPDATE bots SET linked_number = $1, linked_name = $2 WHERE slot = $3")
                    .bind(number)
                    .bind(name)
                    .bind(i64::from(slot))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// Whether a living bot other than `except` answers to this key, also for the rest of an overlap. Removed bots give the key up: it is
/// unique over all rows.
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
    .bind(key_sha256.to_owned())
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_some() {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE bots SET key_sha256 = 'removed ' || CAST(slot AS TEXT) WHERE key_sha256 = $1 AND removed_at IS NOT NULL",
    )
    .bind(key_sha256.to_owned())
    .execute(connection)
    .await?;
    Ok(false)
}

/// As a SecretKey is stored.
pub(super) fn sha256(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

fn bot(row: &AnyRow) -> Result<BotRow, StoreError> {
    let (number, name): (Option<String>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
    let removed: i64 = row.try_get(6)?;
    let (previous, until): (Option<String>, Option<Millis>) = (row.try_get(8)?, row.try_get(9)?);
    Ok(BotRow {
        slot: narrow(row.try_get(0)?)?,
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
