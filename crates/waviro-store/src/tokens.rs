//! The tokens table of the administration API. The command line tool also writes to the table while
//! a gateway runs.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::messages::narrow;
use super::names::Named;
use super::{Store, StoreError};
use crate::clock::Millis;

/// The minimum interval between two writes of a token's last use.
const NOTED_EVERY: Millis = 60_000;

/// The permissions of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRole {
    /// All operations.
    Admin,
    /// The operations on one bot, given by its id.
    Bot(i32),
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: i64,
    /// The name given by people.
    pub name: String,
    pub role: TokenRole,
    pub created_at: Millis,
    /// The time of the last use, precise to the minute.
    pub last_used_at: Option<Millis>,
    /// The time of expiry.
    pub expires_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
}

/// The result of adding a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddToken {
    Added(TokenRow),
    /// A token that is not revoked has a name that looks the same.
    NameTaken,
    /// The bot does not exist.
    NoSuchBot,
}

const COLUMNS: &str =
    "id, name, role, bot, created_at, last_used_at, expires_at, revoked_at FROM tokens";

impl Store {
    /// Adds a token under the next id.
    pub async fn add_token(
        &self,
        name: &str,
        sha256: &str,
        role: TokenRole,
        now: Millis,
        expires_at: Option<Millis>,
    ) -> Result<AddToken, StoreError> {
        let (name, sha256) = (name.to_owned(), sha256.to_owned());
        let (word, bot) = match role {
            TokenRole::Admin => ("admin", None),
            TokenRole::Bot(bot_id) => ("bot", Some(i64::from(bot_id))),
        };
        self.write("add_token", move |connection, _| {
            let (name, sha256) = (name.clone(), sha256.clone());
            Box::pin(async move {
                if Named::Tokens.is_taken(&name, None, connection).await? {
                    return Ok(AddToken::NameTaken);
                }
                if let Some(bot_id) = bot {
                    let lives =
                        sqlx::query("SELECT slot FROM bots WHERE slot = $1 AND removed_at IS NULL")
                            .bind(bot_id)
                            .fetch_optional(&mut *connection)
                            .await?;
                    if lives.is_none() {
                        return Ok(AddToken::NoSuchBot);
                    }
                }
                let row = sqlx::query(
                    "INSERT INTO tokens (id, name, sha256, role, bot, created_at, expires_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM tokens), $1, $2, $3, $4, $5, $6) RETURNING id",
                )
                .bind(name.clone())
                .bind(sha256)
                .bind(word)
                .bind(bot)
                .bind(now)
                .bind(expires_at)
                .fetch_one(connection)
                .await?;
                Ok(AddToken::Added(TokenRow {
                    id: row.try_get(0)?,
                    name,
                    role,
                    created_at: now,
                    last_used_at: None,
                    expires_at,
                    revoked_at: None,
                }))
            })
        })
        .await
    }

    /// Returns the active token with this hash and records its use, with at most one write a
    /// minute. After the commit of a revocation, every call returns `None`.
    pub async fn use_token(
        &self,
        sha256: &str,
        now: Millis,
    ) -> Result<Option<TokenRow>, StoreError> {
        let Some(mut row) = self.living_token(sha256, now).await? else {
            return Ok(None);
        };
        if row.last_used_at.is_none_or(|at| at <= now - NOTED_EVERY) {
            let id = row.id;
            self.write("use_token", move |connection, _| {
                Box::pin(async move {
                    sqlx::query("UPDATE tokens SET last_used_at = $1 WHERE id = $2")
                        .bind(now)
                        .bind(id)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .await?;
            row.last_used_at = Some(now);
        }
        Ok(Some(row))
    }

    async fn living_token(
        &self,
        sha256: &str,
        now: Millis,
    ) -> Result<Option<TokenRow>, StoreError> {
        let text = select(
            "WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(sha256.to_owned())
            .bind(now)
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(token).transpose()
    }

    /// Returns up to `limit` tokens with an id above `after`, by id. Revoked and expired tokens are
    /// included.
    pub async fn tokens(&self, after: i64, limit: i64) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(select(
            "WHERE id > $1 ORDER BY id LIMIT $2",
        )))
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(token).collect()
    }

    /// Returns a token, active or not.
    pub async fn token(&self, id: i64) -> Result<Option<TokenRow>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(select("WHERE id = $1")))
            .bind(id)
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(token).transpose()
    }

    /// Returns the id of the token with this name, unless revoked.
    pub async fn token_named(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT id FROM tokens WHERE name = $1 AND revoked_at IS NULL")
            .bind(name.to_owned())
            .fetch_optional(&self.reads)
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Revokes a token. Returns `false` if the token does not exist or was revoked before.
    pub async fn revoke_token(&self, id: i64, now: Millis) -> Result<bool, StoreError> {
        self.write("revoke_token", move |connection, _| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
                )
                .bind(now)
                .bind(id)
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }
}

fn select(rest: &str) -> String {
    format!("SELECT {COLUMNS} {rest}")
}

fn token(row: &AnyRow) -> Result<TokenRow, StoreError> {
    let (word, bot): (String, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
    let role = match (word.as_str(), bot) {
        ("admin", _) => TokenRole::Admin,
        ("bot", Some(bot_id)) => TokenRole::Bot(narrow(bot_id)?),
        _ => {
            return Err(StoreError::Unreadable(format!(
                "a token's role is {word:?}"
            )));
        }
    };
    Ok(TokenRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        role,
        created_at: row.try_get(4)?,
        last_used_at: row.try_get(5)?,
        expires_at: row.try_get(6)?,
        revoked_at: row.try_get(7)?,
    })
}
