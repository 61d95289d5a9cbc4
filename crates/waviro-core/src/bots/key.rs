//! The keys of a bot, and the changes that the command line makes to the table while a gateway may
//! be running.

mod guess;

use std::time::Duration;

use sha2::{Digest, Sha256};
use waviro_store::clock::Millis;
use waviro_store::invisible::{self, is_blank, nfc};
use waviro_store::{AddBot, Renaming, SetKey, Store, StoreError};

/// The SecretKey of a bot. A new key is 256 random bits as 64 hex digits, so it contains no blank
/// and no `;`. A key that the owner's programs already use can be taken over
/// ([`SecretKey::taken_over`]). The key is shown once; only its hash is stored.
#[derive(Clone)]
pub struct SecretKey(String);

/// A webhook key that the owner's scripts already check. Each keyword webhook carries the key, so
/// the database stores it in plain text.
#[derive(Clone)]
pub struct WebhookKey(String);

/// The keys that a new bot takes over. A key that is `None` is generated.
#[derive(Debug, Clone, Default)]
pub struct OwnKeys {
    /// The SecretKey.
    pub secret: Option<SecretKey>,
    /// The webhook key.
    pub webhook: Option<WebhookKey>,
}

/// The allowed length of a SecretKey that is taken over, in characters.
pub const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// The longest webhook key that is taken over, in characters.
pub const WEBHOOK_KEY_CAP: usize = 128;

/// Why a key cannot be taken over. The texts describe a valid key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// See [`KEY_LENGTH`].
    #[error("16 to 128 characters long")]
    Length,
    /// An HTTP header cannot carry the key, or not completely.
    #[error(
        "ASCII letters, digits and punctuation without blanks, and without a ; at the end, so that an HTTP header can hold the key"
    )]
    Characters,
    /// See [`guess::is_guessable`].
    #[error(
        "hard to guess: random letters and digits, without words, sequences or repetitions; create a new key instead"
    )]
    Guessable,
    /// Both keys of the bot are equal. Each webhook would reveal the SecretKey.
    #[error(
        "different from the bot's other key: each webhook contains the webhook key, and would reveal the SecretKey"
    )]
    BothAlike,
}

/// Why a webhook key cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to 128 visible characters, without control characters")]
pub struct BadWebhookKey;

/// The longest overlap of a replaced key. An owner who has not changed the key in all programs
/// within a week is unlikely to do so in the second week.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// Why a bot was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// An active bot has a name that looks the same.
    #[error(
        "a bot with this name, or with a name that looks the same, exists already; choose another name or remove that bot"
    )]
    NameTaken,
    /// The name is blank, longer than 64 characters, or has control characters.
    #[error("a bot's name must be 1 to 64 visible characters, without control characters")]
    BadName,
    /// Another active bot has this SecretKey.
    #[error("{KEY_TAKEN}")]
    KeyTaken,
    /// Both keys are equal.
    #[error("the webhook key must be {}", BadKey::BothAlike)]
    KeysAlike,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const KEY_TAKEN: &str = "another bot has this SecretKey, and a SecretKey identifies one bot; give the other bot another key first";

/// Why the key of a bot was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SetKeyError {
    /// The bot was not found, or the database failed.
    #[error(transparent)]
    Bot(#[from] NoSuchBot),
    /// Another active bot has this SecretKey.
    #[error("{KEY_TAKEN}")]
    KeyTaken,
    /// The bot's other key is equal.
    #[error("the key must be {}", BadKey::BothAlike)]
    KeysAlike,
}

impl From<StoreError> for SetKeyError {
    fn from(error: StoreError) -> Self {
        Self::Bot(error.into())
    }
}

/// Why a bot was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchBot {
    /// No active bot has this name.
    #[error("there is no bot with this name; `waviro bot list` shows all bots")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bot was not renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// The name is invalid or taken.
    #[error(transparent)]
    Name(#[from] AddError),
    /// The bot was not found, or the database failed.
    #[error(transparent)]
    Bot(#[from] NoSuchBot),
}

impl From<StoreError> for RenameError {
    fn from(error: StoreError) -> Self {
        Self::Bot(error.into())
    }
}

impl SecretKey {
    /// Generates a key with a cryptographic random generator.
    pub fn random(random: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(hex::encode(bytes))
    }

    /// Takes over an existing key, without surrounding blanks and without a trailing `;`, as both
    /// may appear in a header.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn taken_over(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let key = text.strip_suffix(';').unwrap_or(text).trim_end();
        if !KEY_LENGTH.contains(&key.chars().count()) {
            return Err(BadKey::Length);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) || key.ends_with(';') {
            return Err(BadKey::Characters);
        }
        if guess::is_guessable(key) {
            return Err(BadKey::Guessable);
        }
        Ok(Self(key.to_owned()))
    }

    /// Returns the text, to be shown to the owner only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the stored form: SHA-256 in lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl WebhookKey {
    /// Generates a key of 192 random bits. The text has no blank, quote or `;`, so it fits in a
    /// line of a PHP file.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("whk_{}", hex::encode(rand::random::<[u8; 24]>())))
    }

    /// Takes over an existing webhook key without surrounding blanks.
    ///
    /// # Errors
    /// [`BadWebhookKey`].
    pub fn taken_over(text: &str) -> Result<Self, BadWebhookKey> {
        let key = text.trim();
        let fits = !is_blank(key)
            && key.chars().count() <= WEBHOOK_KEY_CAP
            && !key.chars().any(char::is_control);
        fits.then(|| Self(key.to_owned())).ok_or(BadWebhookKey)
    }

    /// Returns the text, as webhooks carry it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Adds a bot to the table. A running gateway notices the bot within two seconds, or at the first
/// use of the key.
///
/// # Errors
/// [`AddError`].
pub async fn add(
    store: &Store,
    name: &str,
    own: OwnKeys,
    now: Millis,
) -> Result<(i32, SecretKey), AddError> {
    let name = invisible::name(name).ok_or(AddError::BadName)?;
    let random = || SecretKey::random(&mut rand::rng());
    let key = own.secret.unwrap_or_else(random);
    let webhook = own.webhook.map(|webhook| webhook.0);
    if webhook.as_ref() == Some(&key.0) {
        return Err(AddError::KeysAlike);
    }
    match store.add_bot(&name, &key.sha256(), webhook, now).await? {
        AddBot::Added(bot_id) => Ok((bot_id, key)),
        AddBot::NameTaken => Err(AddError::NameTaken),
        AddBot::KeyTaken => Err(AddError::KeyTaken),
    }
}

/// Renames a bot.
///
/// # Errors
/// [`RenameError`].
pub async fn rename(store: &Store, bot_id: i32, name: &str) -> Result<(), RenameError> {
    let name = invisible::name(name).ok_or(AddError::BadName)?;
    match store.rename_bot(bot_id, &name).await? {
        Renaming::Done => Ok(()),
        Renaming::NameTaken => Err(AddError::NameTaken.into()),
        Renaming::Unknown => Err(NoSuchBot::Unknown.into()),
    }
}

/// Returns the id of the active bot with this name. The Unicode form of the name may differ from
/// the stored form.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn id_of(store: &Store, name: &str) -> Result<i32, NoSuchBot> {
    let (bots, stored) = (store.bots().await?, nfc(name));
    let named = |name: &str| bots.iter().find(|bot| !bot.removed && bot.name == name);
    let named = named(name).or_else(|| named(&stored));
    named.map(|bot| bot.bot_id).ok_or(NoSuchBot::Unknown)
}

/// Gives a bot another key. A running gateway accepts the new key at the first use. The previous
/// key stays valid for `overlap` milliseconds, or for at most two seconds without an overlap.
/// Setting the current key again changes nothing.
///
/// # Errors
/// [`SetKeyError`].
pub async fn set_key(
    store: &Store,
    bot_id: i32,
    key: &SecretKey,
    now: Millis,
    overlap: Millis,
) -> Result<(), SetKeyError> {
    let until = (overlap > 0).then(|| now.saturating_add(overlap));
    match store.set_bot_key(bot_id, &key.sha256(), now, until).await? {
        SetKey::Done => Ok(()),
        SetKey::Unknown => Err(NoSuchBot::Unknown.into()),
        SetKey::Taken => Err(SetKeyError::KeyTaken),
        SetKey::KeysAlike => Err(SetKeyError::KeysAlike),
    }
}

/// Marks a bot as removed. A running gateway, or the next start, ends the queue, logs the device
/// out and deletes it.
///
/// # Errors
/// [`NoSuchBot`].
pub async fn remove(store: &Store, bot_id: i32, now: Millis) -> Result<(), NoSuchBot> {
    if store.remove_bot(bot_id, now).await? {
        Ok(())
    } else {
        Err(NoSuchBot::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "k3Jx9QpLm2Zt7VbN4wRy";

    #[test]
    fn a_key_is_taken_over_as_a_header_carries_it() {
        for text in [
            REAL,
            " k3Jx9QpLm2Zt7VbN4wRy\r\n",
            "k3Jx9QpLm2Zt7VbN4wRy;",
            "k3Jx9QpLm2Zt7VbN4wRy ;",
        ] {
            assert_eq!(
                SecretKey::taken_over(text).unwrap().reveal(),
                REAL,
                "{text:?}"
            );
        }
        let odd = "k3Jx9QpL:m2Zt7VbN/4w+R=y";
        assert_eq!(SecretKey::taken_over(odd).unwrap().reveal(), odd);
        for (text, why) in [
            (String::new(), BadKey::Length),
            ("k3Jx9QpLm2Zt7Vb".to_owned(), BadKey::Length),
            (REAL.repeat(7), BadKey::Length),
            ("k3Jx9QpLm2 Zt7VbN4wRy".to_owned(), BadKey::Characters),
            ("k3Jx9QpLm2Zt7VbN4wRy;;".to_owned(), BadKey::Characters),
            ("k3Jx9QpLm2Zt7VbN4wRé".to_owned(), BadKey::Characters),
            (
                "k3Jx9QpLm2\u{200b}Zt7VbN4wRy".to_owned(),
                BadKey::Characters,
            ),
            ("{{secret_key}}{{secret_key}}".to_owned(), BadKey::Guessable),
            ("12345678901234567890".to_owned(), BadKey::Guessable),
        ] {
            let refused = SecretKey::taken_over(&text).map(|_| ());
            assert_eq!(refused, Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_given_webhook_key_is_stored_unchanged() {
        for key in ["YourSecretWebhookKey", "rahasia toko", "x"] {
            assert_eq!(WebhookKey::taken_over(key).unwrap().reveal(), key);
        }
        let long = "w".repeat(WEBHOOK_KEY_CAP + 1);
        for key in ["", " ", "\u{200b}", "a\nb", &long] {
            assert_eq!(
                WebhookKey::taken_over(key).map(|_| ()),
                Err(BadWebhookKey),
                "{key:?}"
            );
        }
    }
}
