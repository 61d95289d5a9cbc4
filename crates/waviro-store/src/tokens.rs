//! The tokens table of the administration API. The command line tool also writes to the table while
//! a gateway runs.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::clock::Millis;
use crate::names::Named;
use crate::row::narrow;
use crate::sql::{self, Bound};
use crate::{Store, StoreError, bots};

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

const COLUMNS: &str = "id, name, role, bot, created_at, last_used_at, expires_at, revoked_at";

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
        let new = (name.to_owned(), sha256.to_owned());
        let (word, bot) = match role {
            TokenRole::Admin => ("admin", None),
            TokenRole::Bot(bot_id) => ("bot", Some(bot_id)),
        };
        self.write("add_token", new, move |(name, sha256), connection, _| {
            Box::pin(async move {
                if Named::Tokens.is_taken(name, None, connection).await? {
                    return Ok(AddToken::NameTaken);
                }
                if !bots::exist(bot.as_slice(), connection).await? {
                    return Ok(AddToken::NoSuchBot);
                }
                let row = sql::query(format!(
                    "INSERT INTO tokens (id, name, sha256, role, bot, created_at, expires_at) \
                     VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM tokens), $1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}"
                ))
                .bind(name)
                .bind(sha256)
                .bind(word)
                .bind(bot.map(i64::from))
                .bind(now)
                .bind(expires_at)
                .fetch_one(connection)
                .await?;
                token(&row).map(AddToken::Added)
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
            let (id, text) = (row.id, "UPDATE tokens SET last_used_at = $1 WHERE id = $2");
            self.change("use_token", text, move |query| query.bind(now).bind(id))
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
        let select = select(
            "WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        );
        let row = select.bind(sha256).bind(now).fetch_optional(&self.reads);
        let row = row.await?;
        row.as_ref().map(token).transpose()
    }

    /// Returns up to `limit` tokens with an id above `after`, by id. Revoked and expired tokens are
    /// included.
    pub async fn tokens(&self, after: i64, limit: i64) -> Result<Vec<TokenRow>, StoreError> {
        let select = select("WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = select.bind(after).bind(limit).fetch_all(&self.reads);
        let rows = rows.await?;
        rows.iter().map(token).collect()
    }

    /// Returns a token, active or not.
    pub async fn token(&self, id: i64) -> Result<Option<TokenRow>, StoreError> {
        let select = select("WHERE id = $1").bind(id);
        let row = select.fetch_optional(&self.reads).await?;
        row.as_ref().map(token).transpose()
    }

    /// Returns the id of the token with this name, unless revoked.
    pub async fn token_named(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let text = "SELECT id FROM tokens WHERE name = $1 AND revoked_at IS NULL";
        let query = sqlx::query_scalar(text).bind(name);
        Ok(query.fetch_optional(&self.reads).await?)
    }

    /// Revokes a token. Returns `false` if the token does not exist or was revoked before.
    pub async fn revoke_token(&self, id: i64, now: Millis) -> Result<bool, StoreError> {
        let text = "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        let changed = self
            .change("revoke_token", text, move |query| query.bind(now).bind(id))
            .await?;
        Ok(changed == 1)
    }
}

fn select(rest: &str) -> Bound {
    sql::query(format!("SELECT {COLUMNS} FROM tokens {rest}"))
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
