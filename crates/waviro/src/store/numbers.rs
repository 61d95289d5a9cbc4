//! Which numbers are on WhatsApp, as the last lookup said.

use sqlx::Row;
use waviro_link::Number;

use super::{Store, StoreError};
use crate::clock::Millis;

impl Store {
    /// What the last lookup said of a number, and when.
    pub async fn number(&self, number: &Number) -> Result<Option<(bool, Millis)>, StoreError> {
        let row = sqlx::query("SELECT registered, checked_at FROM numbers WHERE number = $1")
            .bind(number.to_string())
            .fetch_optional(&self.reads)
            .await?;
        row.map(|row| {
            let registered: i64 = row.try_get(0)?;
            Ok((registered != 0, row.try_get(1)?))
        })
        .transpose()
    }

    /// Remembers a lookup.
    pub async fn remember_number(
        &self,
        number: &Number,
        registered: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let number = number.to_string();
        self.write("remember_number", move |connection, _| {
            let number = number.clone();
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO numbers (number, registered, checked_at) VALUES ($1, $2, $3) \
                     ON CONFLICT (number) DO UPDATE SET registered = excluded.registered, checked_at = excluded.checked_at",
                )
                .bind(number)
                .bind(i64::from(registered))
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets what was known of a number: the next message to it asks WhatsApp.
    pub async fn forget_number(&self, number: &Number) -> Result<(), StoreError> {
        let number = number.to_string();
        self.write("forget_number", move |connection, _| {
            let number = number.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM numbers WHERE number = $1")
                    .bind(number)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
