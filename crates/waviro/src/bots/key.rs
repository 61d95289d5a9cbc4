//! The SecretKey of a bot, and what the command line does to the table while a gateway may be running.

mod guess;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::invisible::{self, is_blank, nfc};
use crate::store::{AddBot, Renaming, SetKey, Store, StoreError};

/// A fresh key: 256 random bits as 64 hex digits, so it holds no blank and no `;`. Or a key that a shop's programs have already
/// ([`SecretKey::taken_over`]). Shown once, kept nowhere.
#[derive(Clone)]
pub struct SecretKey(String);

/// A webhook key that a shop's scripts check already. It stands in each keyword webhook, so it is kept as it is.
#[derive(Clone)]
pub struct WebhookKey(String);

/// Keys that a new bot takes over; what is `None` is made at random.
#[derive(Debug, Clone, Default)]
pub struct OwnKeys {
    /// The SecretKey.
    pub secret: Option<SecretKey>,
    /// The webhook key.
    pub webhook: Option<WebhookKey>,
}

/// The fewest and the most characters of a SecretKey that is taken over.
pub const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// The most characters of a webhook key that is taken over.
pub const WEBHOOK_KEY_CAP: usize = 128;

/// Why a key cannot be taken over. The texts say what the key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// See [`KEY_LENGTH`].
    #[error("16 to 128 characters long")]
    Length,
    /// An HTTP header could not carry it, or would not carry the whole of it.
    #[error(
        "ASCII letters, digits and punctuation without blanks, and without a ; at its end, as an HTTP header carries it"
    )]
    Characters,
    /// See [`guess::is_guessable`].
    #[error(
        "hard to guess: letters and digits at random, no words, runs or repetitions; make a new key instead"
    )]
    Guessable,
    /// The two keys of a bot are alike. Each webhook would tell the SecretKey.
    #[error(
        "another one than the bot's other key: each webhook carries the webhook key, and would tell the SecretKey"
    )]
    BothAlike,
}

/// Why a webhook key cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to 128 characters that can be seen, without control characters")]
pub struct BadWebhookKey;

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
    /// Another living bot has this SecretKey.
    #[error("{KEY_TAKEN}")]
    KeyTaken,
    /// The two keys are alike.
    #[error("the webhook key must be {}", BadKey::BothAlike)]
    KeysAlike,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const KEY_TAKEN: &str = "another bot has this SecretKey, and a key says which bot is meant; give that bot another key first";

/// Why a bot has no other key.
#[derive(Debug, thiserror::Error)]
pub enum SetKeyError {
    /// The bot.
    #[error(transparent)]
    Bot(#[from] NoSuchBot),
    /// Another living bot has this SecretKey.
    #[error("{KEY_TAKEN}")]
    KeyTaken,
    /// The bot's other key is this one.
    #[error("the key must be {}", BadKey::BothAlike)]
    KeysAlike,
}

impl From<StoreError> for SetKeyError {
    fn from(error: StoreError) -> Self {
        Self::Bot(error.into())
    }
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

    /// A key that a shop's programs have already, without the blanks and the one `;` that may stand around it in a header.
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

impl WebhookKey {
    /// 192 random bits as text without a blank, quote or `;`, for a PHP file's single line.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("whk_{}", hex::encode(rand::random::<[u8; 24]>())))
    }

    /// A key that a shop's scripts check already, without the blanks around it.
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

    /// The text, as webhooks carry it.
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

/// Adds a bot to the table; a running gateway sees it within two seconds, or at the first use of its key.
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
        AddBot::Added(slot) => Ok((slot, key)),
        AddBot::NameTaken => Err(AddError::NameTaken),
        AddBot::KeyTaken => Err(AddError::KeyTaken),
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
    let (bots, stored) = (store.bots().await?, nfc(name));
    let named = |name: &str| bots.iter().find(|bot| !bot.removed && bot.name == name);
    let named = named(name).or_else(|| named(&stored));
    named.map(|bot| bot.slot).ok_or(NoSuchBot::Unknown)
}

/// Gives a bot another key; a running gateway knows it at its first use. The old one goes on working for `overlap`
/// milliseconds, or dies within two seconds. The key that the bot has already changes nothing.
///
/// # Errors
/// [`SetKeyError`].
pub async fn set_key(
    store: &Store,
    slot: i32,
    key: &SecretKey,
    now: Millis,
    overlap: Millis,
) -> Result<(), SetKeyError> {
    let until = (overlap > 0).then(|| now.saturating_add(overlap));
    match store.set_bot_key(slot, &key.sha256(), now, until).await? {
        SetKey::Done => Ok(()),
        SetKey::Unknown => Err(NoSuchBot::Unknown.into()),
        SetKey::Taken => Err(SetKeyError::KeyTaken),
        SetKey::KeysAlike => Err(SetKeyError::KeysAlike),
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
    fn a_webhook_key_is_taken_over_to_the_letter() {
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
