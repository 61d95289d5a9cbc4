//! What a bot proves itself with to users' endpoints: the document's webhook key, and the secrets that sign.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::bots::{SetKey, sha256};
use super::{Store, StoreError};
use crate::clock::Millis;

/// A bot's secrets. They are kept as they are: a hash signs nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsRow {
    /// What the document's payload carries as `webhookkey`.
    pub webhook_key: String,
    /// Signs what is posted: `whsec_` and base64.
    pub signing: String,
    /// The one before signs too, until then.
    pub before: Option<(String, Millis)>,
    /// The bot's settings as JSON; `None` for the defaults.
    pub settings: Option<String>,
}

const COLUMNS: &str = "webhook_key, signing_secret, signing_before, signing_before_until, settings";

impl Store {
    /// A bot's secrets; `None` where it has none yet, or where there is no such bot.
    pub async fn secrets(&self, slot: i32) -> Result<Option<SecretsRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM bots WHERE slot = $1 AND signing_secret IS NOT NULL AND webhook_key IS NOT NULL"
        )))
        .bind(i64::from(slot))
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(secrets).transpose()
    }

    /// Gives a bot the secrets that it has none of, and returns what it has then; `None` where there is no such bot.
    pub async fn give_secrets(
        &self,
        slot: i32,
        webhook_key: String,
        signing: String,
    ) -> Result<Option<SecretsRow>, StoreError> {
        self.write("give_secrets", move |connection, _| {
            let (webhook_key, signing) = (webhook_key.clone(), signing.clone());
            Box::pin(async move {
                let row = sqlx::query(AssertSqlSafe(format!(
                    "UPDATE bots SET webhook_key = COALESCE(webhook_key, $1), signing_secret = COALESCE(signing_secret, $2) \
                     WHERE slot = $3 RETURNING {COLUMNS}"
                )))
                .bind(webhook_key)
                .bind(signing)
                .bind(i64::from(slot))
                .fetch_optional(connection)
                .await?;
                row.as_ref().map(secrets).transpose()
            })
        })
        .await
    }

    /// Gives a bot another signing secret; the one that it had signs too, until then. `false` where there is no such bot.
    pub async fn rotate_signing(
        &self,
        slot: i32,
        signing: String,
        before_until: Millis,
    ) -> Result<bool, StoreError> {
        self.write("rotate_signing", move |connection, _| {
            let signing = signing.clone();
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE bots SET signing_before = signing_secret, signing_before_until = $1, signing_secret = $2 \
                     WHERE slot = $3 AND removed_at IS NULL",
                )
                .bind(before_until)
                .bind(signing)
                .bind(i64::from(slot))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    /// Gives a bot another webhook key, at once.
    pub async fn set_webhook_key(
        &self,
        slot: i32,
        webhook_key: String,
    ) -> Result<SetKey, StoreError> {
        self.write("set_webhook_key", move |connection, _| {
            let webhook_key = webhook_key.clone();
            Box::pin(async move {
                let known = sqlx::query(
                    "SELECT key_sha256 FROM bots WHERE slot = $1 AND removed_at IS NULL",
                )
                .bind(i64::from(slot))
                .fetch_optional(&mut *connection)
                .await?;
                let Some(known) = known else {
                    return Ok(SetKey::Unknown);
                };
                if sha256(&webhook_key) == known.try_get::<String, _>(0)? {
                    return Ok(SetKey::KeysAlike);
                }
                sqlx::query("UPDATE bots SET webhook_key = $1 WHERE slot = $2")
                    .bind(webhook_key)
                    .bind(i64::from(slot))
                    .execute(connection)
                    .await?;
                Ok(SetKey::Done)
            })
        })
        .await
    }
}

fn secrets(row: &AnyRow) -> Result<SecretsRow, StoreError> {
    let (before, until): (Option<String>, Option<Millis>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(SecretsRow {
        webhook_key: row.try_get(0)?,
        signing: row.try_get(1)?,
        before: before.zip(until),
        settings: row.try_get(4)?,
    })
}

impl std::fmt::Debug for SecretsRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretsRow(…)")
    }
}
