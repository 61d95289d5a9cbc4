//! A cache of the lookups of numbers on WhatsApp.

use waviro_link::Number;

use crate::clock::Millis;
use crate::{Store, StoreError};

impl Store {
    /// Returns the result and the time of the last lookup of a number.
    pub async fn number(&self, number: &Number) -> Result<Option<(bool, Millis)>, StoreError> {
        let text = "SELECT registered, checked_at FROM numbers WHERE number = $1";
        let query = sqlx::query_as(text).bind(number.to_string());
        let row: Option<(i64, Millis)> = query.fetch_optional(&self.reads).await?;
        Ok(row.map(|(registered, at)| (registered != 0, at)))
    }

    /// Stores the result of a lookup.
    pub async fn remember_number(
        &self,
        number: &Number,
        registered: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let number = number.to_string();
        let text = "INSERT INTO numbers (number, registered, checked_at) VALUES ($1, $2, $3) \
            ON CONFLICT (number) DO UPDATE SET registered = excluded.registered, checked_at = excluded.checked_at";
        self.change("remember_number", text, move |query| {
            query.bind(&number).bind(i64::from(registered)).bind(now)
        })
        .await
        .map(drop)
    }

    /// Deletes the result of a number's lookup; the next message to the number asks WhatsApp.
    pub async fn forget_number(&self, number: &Number) -> Result<(), StoreError> {
        let number = number.to_string();
        let text = "DELETE FROM numbers WHERE number = $1";
        self.change("forget_number", text, move |query| query.bind(&number))
            .await
            .map(drop)
    }
}
