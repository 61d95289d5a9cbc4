//! The SecretKey of a bot, and what the command line does to the table while a gateway may be running.

use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::store::{AddBot, Store, StoreError};

/// A fresh key: 256 random bits as 64 hex digits, so it holds no blank and no `;`. Shown once, kept nowhere.
pub struct SecretKey(String);

/// Why a bot was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// A bot of that name lives.
    #[error("a bot of that name exists already; choose another name or remove that one")]
    NameTaken,
    /// Empty, longer than 64 characters, or with control characters.
    #[error("a bot's name is 1 to 64 characters without control characters")]
    BadName,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a named bot was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchBot {
    /// No bot of that name lives.
    #[error("there is no bot of that name; `waviro bot list` shows all")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SecretKey {
    /// A key from a generator fit for secrets.
    pub fn random(random: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(hex::encode(bytes))
    }

    /// The text, to be shown to its owner and nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it: SHA-256 in lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Adds a bot to the table; a running gateway sees it within two seconds, or at the first use of its key.
///
/// # Errors
/// [`AddError`].
pub async fn add(store: &Store, name: &str, now: Millis) -> Result<(i32, SecretKey), AddError> {
    let length = name.chars().count();
    if !(1..=64).contains(&length) || name.chars().any(char::is_control) {
        return Err(AddError::BadName);
    }
    let key = SecretKey::random(&mut rand::rng());
    match store.add_bot(name, &key.sha256(), now).await? {
        AddBot::Added(slot) => Ok((slot, key)),
        AddBot::NameTaken => Err(AddError::NameTaken),
    }
}

/// Gives a bot another key; a running gateway forgets the old one within two seconds.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn rotate_key(store: &Store, name: &str) -> Result<SecretKey, NoSuchBot> {
    let key = SecretKey::random(&mut rand::rng());
    if store.set_bot_key(name, &key.sha256()).await? {
        Ok(key)
    } else {
        Err(NoSuchBot::Unknown)
    }
}

/// Marks a bot removed; a running gateway, or else the next one, ends its queue, logs its device out and forgets it.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn remove(store: &Store, name: &str, now: Millis) -> Result<(), NoSuchBot> {
    if store.remove_bot(name, now).await? {
        Ok(())
    } else {
        Err(NoSuchBot::Unknown)
    }
}
