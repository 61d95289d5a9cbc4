//! The SecretKey of a bot, and what the command line does to the table while a gateway may be running.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::invisible::{self, stored_name};
use crate::store::{AddBot, Renaming, Store, StoreError};

/// A fresh key: 256 random bits as 64 hex digits, so it holds no blank and no `;`. Shown once, kept nowhere.
pub struct SecretKey(String);

/// The longest time that a replaced key may go on working: whoever has not changed it in a week won't in two.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// Why a bot was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// A bot with a name that looks the same lives.
    #[error(
        "a bot of that name, or of one that looks the same, exists already; choose another name or remove that one"
    )]
    NameTaken,
    /// Blank, longer than 64 characters, or with control characters.
    #[error("a bot's name is 1 to 64 characters that can be seen, without control characters")]
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

/// Why a bot was not renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// The name.
    #[error(transparent)]
    Name(#[from] AddError),
    /// The bot.
    #[error(transparent)]
    Bot(#[from] NoSuchBot),
}

impl From<StoreError> for RenameError {
    fn from(error: StoreError) -> Self {
        Self::Bot(error.into())
    }
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
    let name = invisible::name(name).ok_or(AddError::BadName)?;
    let key = SecretKey::random(&mut rand::rng());
    match store.add_bot(&name, &key.sha256(), now).await? {
        AddBot::Added(slot) => Ok((slot, key)),
        AddBot::NameTaken => Err(AddError::NameTaken),
    }
}

/// Gives a bot another name.
///
/// # Errors
/// [`RenameError`].
pub async fn rename(store: &Store, slot: i32, name: &str) -> Result<(), RenameError> {
    let name = invisible::name(name).ok_or(AddError::BadName)?;
    match store.rename_bot(slot, &name).await? {
        Renaming::Done => Ok(()),
        Renaming::NameTaken => Err(AddError::NameTaken.into()),
        Renaming::Unknown => Err(NoSuchBot::Unknown.into()),
    }
}

/// The slot of the living bot of this name. The name may be typed in another Unicode form than the stored one.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn slot_of(store: &Store, name: &str) -> Result<i32, NoSuchBot> {
    let (bots, stored) = (store.bots().await?, stored_name(name));
    let named = |name: &str| bots.iter().find(|bot| !bot.removed && bot.name == name);
    let named = named(name).or_else(|| named(&stored));
    named.map(|bot| bot.slot).ok_or(NoSuchBot::Unknown)
}

/// Gives a bot another key; a running gateway knows it at its first use. The old one goes on working for `overlap`
/// milliseconds, or dies within two seconds.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn rotate_key(
    store: &Store,
    slot: i32,
    now: Millis,
    overlap: Millis,
) -> Result<SecretKey, NoSuchBot> {
    let key = SecretKey::random(&mut rand::rng());
    let until = (overlap > 0).then(|| now.saturating_add(overlap));
    if store.set_bot_key(slot, &key.sha256(), now, until).await? {
        Ok(key)
    } else {
        Err(NoSuchBot::Unknown)
    }
}

/// Marks a bot removed; a running gateway, or else the next one, ends its queue, logs its device out and forgets it.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn remove(store: &Store, slot: i32, now: Millis) -> Result<(), NoSuchBot> {
    if store.remove_bot(slot, now).await? {
        Ok(())
    } else {
        Err(NoSuchBot::Unknown)
    }
}
