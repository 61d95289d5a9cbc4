//! Login sessions of the dashboard. Each use of a session reads the database, so an ended session
//! stops working at once, even if the command line tool ended it.

use std::time::Duration;

use rand::Rng;
use sha2::{Digest, Sha256};
use waviro_store::clock::millis;
use waviro_store::{StoreError, UserRow};

use super::Users;

/// The lifetime of a session. A daily user logs in once a month.
pub const LIVES: Duration = Duration::from_hours(24 * 30);

/// The secret stored in the browser: 256 random bits as 64 hex digits. The database stores only the
/// hash.
pub struct Session(String);

impl Session {
    /// Returns the text, for the browser alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Users {
    /// Starts a session for an authenticated user.
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

    /// Returns the user of a session.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn of(&self, session: &str) -> Result<Option<UserRow>, StoreError> {
        // The lookup compares hashes, so its duration reveals nothing about the session.
        self.store.session(&sha256(session), self.clock.now()).await
    }

    /// Ends a session.
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
