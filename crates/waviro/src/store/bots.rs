//! The bots as they stand in the database; also written by the command line tool while a gateway runs.

use sqlx::Row;
use sqlx::any::AnyRow;
use waviro_link::Identity;

use super::messages::narrow;
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
    /// When it was added.
    pub created_at: Millis,
    /// Who it was last linked as.
    pub linked: Option<Identity>,
    /// It was removed; its device waits to be logged out and forgotten.
    pub removed: bool,
}

/// What became of a new bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddBot {
    /// It has this slot.
    Added(i32),
    /// A bot of that name lives.
    NameTaken,
}

impl Store {
    /// Every bot whose device was not forgotten yet, removed ones included, by slot.
    pub async fn bots(&self) -> Result<Vec<BotRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT slot, name, key_sha256, created_at, linked_number, linked_name, \
             CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END FROM bots WHERE forgotten_at IS NULL ORDER BY slot",
        )
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(bot).collect()
    }

    /// Adds a bot under the next slot.
    pub async fn add_bot(
        &self,
        name: &str,
        key_sha256: &str,
        now: Millis,
    ) -> Result<AddBot, StoreError> {
        let (name, key) = (name.to_owned(), key_sha256.to_owned());
        self.write(move |connection, _| {
            let (name, key) = (name.clone(), key.clone());
            Box::pin(async move {
                let taken = sqlx::query("SELECT slot FROM bots WHERE name = $1 AND removed_at IS NULL")
                    .bind(name.clone())
                    .fetch_optional(&mut *connection)
                    .await?;
                if taken.is_some() {
                    return Ok(AddBot::NameTaken);
                }
                let row = sqlx::query(
                    "INSERT INTO bots (slot, name, key_sha256, created_at) \
                     VALUES ((SELECT COALESCE(MAX(slot), 0) + 1 FROM bots), $1, $2, $3) RETURNING slot",
                )
                .bind(name)
                .bind(key)
                .bind(now)
                .fetch_one(connection)
                .await?;
                Ok(AddBot::Added(narrow(row.try_get(0)?)?))
            })
        })
        .await
    }

    /// Gives a bot another key; `false` where no bot of that name lives.
    pub async fn set_bot_key(&self, name: &str, key_sha256: &str) -> Result<bool, StoreError> {
        let (name, key) = (name.to_owned(), key_sha256.to_owned());
        self.write(move |connection, _| {
            let (name, key) = (name.clone(), key.clone());
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET key_sha256 = $1 WHERE name = $2 AND removed_at IS NULL",
                )
                .bind(key)
                .bind(name)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// Ends a bot for users: its key is dead and its name free. `false` where no bot of that name lives.
    pub async fn remove_bot(&self, name: &str, now: Millis) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |connection, _| {
            let name = name.clone();
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET removed_at = $1 WHERE name = $2 AND removed_at IS NULL",
                )
                .bind(now)
                .bind(name)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// The removed bot's device is logged out and its keys are wiped: nothing is left to do.
    pub async fn bot_forgotten(&self, slot: i32, now: Millis) -> Result<(), StoreError> {
        self.write(move |connection, _| {
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

    /// Remembers who the bot's device is linked as.
    pub async fn bot_linked(&self, slot: i32, identity: &Identity) -> Result<(), StoreError> {
        let (number, name) = (identity.number.to_string(), identity.name.clone());
        self.write(move |connection, _| {
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

fn bot(row: &AnyRow) -> Result<BotRow, StoreError> {
    let (number, name): (Option<String>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
    let removed: i64 = row.try_get(6)?;
    Ok(BotRow {
        slot: narrow(row.try_get(0)?)?,
        name: row.try_get(1)?,
        key_sha256: row.try_get(2)?,
        created_at: row.try_get(3)?,
        linked: number
            .and_then(|number| number.parse().ok())
            .map(|number| Identity {
                number,
                name: name.unwrap_or_default(),
            }),
        removed: removed != 0,
    })
}
