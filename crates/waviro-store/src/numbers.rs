//! A cache of the lookups of numbers on WhatsApp.

use sqlx::Row;
use waviro_link::Number;

use super::{Store, StoreError};
use crate::clock::Millis;

impl Store {
    /// Returns the result and the time of the last lookup of a number.
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

    /// Stores the result of a lookup.
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

    /// Deletes the result of a number's lookup; the next message to the number asks WhatsApp.
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
