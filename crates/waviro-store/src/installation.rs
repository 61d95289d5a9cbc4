//! Values generated once for this installation.

use crate::{Store, StoreError};

/// The name of the secret that signs links to files.
const MEDIA_SECRET: &str = "media_secret";

const GET: &str = "SELECT value FROM installation WHERE name = $1";

impl Store {
    /// Returns the secret that signs links to files; `None` before it is generated.
    pub async fn kept_media_secret(&self) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar(GET).bind(MEDIA_SECRET);
        Ok(query.fetch_optional(&self.reads).await?)
    }

    /// Replaces the secret that signs links to files.
    pub async fn rotate_media_secret(&self, fresh: String) -> Result<(), StoreError> {
        let text = "INSERT INTO installation (name, value) VALUES ($1, $2) \
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.change("rotate_media_secret", text, move |query| {
            query.bind(MEDIA_SECRET).bind(&fresh)
        })
        .await
        .map(drop)
    }

    /// Returns the secret that signs links to files. Stores `fresh` if the installation has no
    /// secret yet.
    pub async fn media_secret(&self, fresh: String) -> Result<String, StoreError> {
        self.write("media_secret", fresh, move |fresh, connection, _| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                )
                .bind(MEDIA_SECRET)
                .bind(fresh)
                .execute(&mut *connection)
                .await?;
                let query = sqlx::query_scalar(GET).bind(MEDIA_SECRET);
                Ok(query.fetch_one(connection).await?)
            })
        })
        .await
    }
}
