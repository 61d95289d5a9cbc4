//! The secrets of a bot toward users' endpoints: the `webhookkey` of the documented payload and the
//! signing secrets.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::bots::{SetKey, sha256};
use crate::clock::Millis;
use crate::{Store, StoreError, sql};

/// The secrets of a bot. The secrets are stored unhashed, because signing needs the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsRow {
    /// The value of `webhookkey` in the documented payload.
    pub webhook_key: String,
    /// The secret that signs deliveries: `whsec_` and base64.
    pub signing: String,
    /// The previous signing secret, and the time until which it signs too.
    pub before: Option<(String, Millis)>,
    /// The bot's settings as JSON; `None` for the defaults.
    pub settings: Option<String>,
}

const COLUMNS: &str = "webhook_key, signing_secret, signing_before, signing_before_until, settings";

impl Store {
    /// Returns the secrets of a bot; `None` if the bot has no secrets yet or does not exist.
    pub async fn secrets(&self, bot_id: i32) -> Result<Option<SecretsRow>, StoreError> {
        let row = sql::query(format!(
            "SELECT {COLUMNS} FROM bots WHERE slot = $1 AND signing_secret IS NOT NULL AND webhook_key IS NOT NULL"
        ))
        .bind(i64::from(bot_id))
        .fetch_optional(&self.reads)
        .await?;
        row.as_ref().map(secrets).transpose()
    }

    /// Stores the given secrets if the bot has none, and returns the bot's secrets; `None` if the
    /// bot does not exist.
    pub async fn give_secrets(
        &self,
        bot_id: i32,
        webhook_key: String,
        signing: String,
    ) -> Result<Option<SecretsRow>, StoreError> {
        let new = (webhook_key, signing);
        self.write("give_secrets", new, move |(webhook_key, signing), connection, _| {
            Box::pin(async move {
                let row = sql::query(format!(
                    "UPDATE bots SET webhook_key = COALESCE(webhook_key, $1), signing_secret = COALESCE(signing_secret, $2) \
                     WHERE slot = $3 RETURNING {COLUMNS}"
                ))
                .bind(webhook_key)
                .bind(signing)
                .bind(i64::from(bot_id))
                .fetch_optional(connection)
                .await?;
                row.as_ref().map(secrets).transpose()
            })
        })
        .await
    }

    /// Replaces the signing secret; the previous secret signs too until `before_until`. Returns
    /// `false` if the bot does not exist.
    pub async fn rotate_signing(
        &self,
        bot_id: i32,
        signing: String,
        before_until: Millis,
    ) -> Result<bool, StoreError> {
        let text = "UPDATE bots SET signing_before = signing_secret, signing_before_until = $1, signing_secret = $2 \
            WHERE slot = $3 AND removed_at IS NULL";
        let changed = self
            .change("rotate_signing", text, move |query| {
                query
                    .bind(before_until)
                    .bind(&signing)
                    .bind(i64::from(bot_id))
            })
            .await?;
        Ok(changed == 1)
    }

    /// Replaces the webhook key with immediate effect.
    pub async fn set_webhook_key(
        &self,
        bot_id: i32,
        webhook_key: String,
    ) -> Result<SetKey, StoreError> {
        self.write("set_webhook_key", webhook_key, move |new, connection, _| {
            Box::pin(async move {
                let known: Option<String> = sqlx::query_scalar(
                    "SELECT key_sha256 FROM bots WHERE slot = $1 AND removed_at IS NULL",
                )
                .bind(i64::from(bot_id))
                .fetch_optional(&mut *connection)
                .await?;
                let Some(known) = known else {
                    return Ok(SetKey::Unknown);
                };
                if sha256(new) == known {
                    return Ok(SetKey::KeysAlike);
                }
                sqlx::query("UPDATE bots SET webhook_key = $1 WHERE slot = $2")
                    .bind(new)
                    .bind(i64::from(bot_id))
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
