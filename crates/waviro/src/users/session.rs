//! Sessions of the dashboard. One is looked for in the database at each use, so one that was ended, also by the command line tool, is
//! dead at once.

use std::time::Duration;

use rand::Rng;
use sha2::{Digest, Sha256};

use super::Users;
use crate::clock::millis;
use crate::store::{StoreError, UserRow};

/// A session ends after this; whoever works daily logs in once a month.
pub const LIVES: Duration = Duration::from_hours(24 * 30);

/// What a browser keeps: 256 random bits as 64 hex digits. Only its hash is kept here.
pub struct Session(String);

impl Session {
    /// Nobody's.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self("0".repeat(64))
    }

    /// The text, for the browser alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Users {
    /// Lets a user in who has proved otherwise who they are.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn begin(&self, user: i64) -> Result<Session, StoreError> {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let session = Session(hex::encode(bytes));
        let now = self.clock.now();
        let until = now.saturating_add(millis(LIVES));
        let hash = sha256(session.reveal());
        self.store.begin_session(&hash, user, now, until).await?;
        Ok(session)
    }

    /// Whose session this is.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn of(&self, session: &str) -> Result<Option<UserRow>, StoreError> {
        // A lookup by hash: what the time of it tells is about the hash, not about the session.
        self.store.session(&sha256(session), self.clock.now()).await
    }

    /// Logs out.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn log_out(&self, session: &str) -> Result<(), StoreError> {
        self.store.end_session(&sha256(session)).await
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
