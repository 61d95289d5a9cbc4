//! Values generated once for this installation.

use sqlx::Row;

use super::{Store, StoreError};

/// The name of the secret that signs links to files.
const MEDIA_SECRET: &str = "media_secret";

impl Store {
    /// Returns the secret that signs links to files; `None` before it is generated.
    pub async fn kept_media_secret(&self) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT value FROM installation WHERE name = $1")
            .bind(MEDIA_SECRET)
            .fetch_optional(&self.reads)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Replaces the secret that signs links to files.
    pub async fn rotate_media_secret(&self, fresh: String) -> Result<(), StoreError> {
        self.write("rotate_media_secret", move |connection, _| {
            let fresh = fresh.clone();
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO installation (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(MEDIA_SECRET)
                .bind(fresh)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Returns the secret that signs links to files. Stores `fresh` if the installation has no
    /// secret yet.
    pub async fn media_secret(&self, fresh: String) -> Result<String, StoreError> {
        self.write("media_secret", move |connection, _| {
            let fresh = fresh.clone();
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                )
                .bind(MEDIA_SECRET)
                .bind(fresh)
                .execute(&mut *connection)
                .await?;
                let row = sqlx::query("SELECT value FROM installation WHERE name = $1")
                    .bind(MEDIA_SECRET)
                    .fetch_one(connection)
                    .await?;
                Ok(row.try_get(0)?)
            })
        })
        .await
    }
}
