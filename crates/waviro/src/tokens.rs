//! The tokens of the administration API: what a token is, and who may do what with it.
//!
//! A token is asked for in the database at each use, so one that was revoked, also by the command line tool, is dead at once.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::{Clock, millis};
use crate::invisible;
use crate::store::{AddToken, Store, StoreError, TokenRole, TokenRow};

/// What every token begins with, so that people and scanners for leaked secrets know one.
pub const PREFIX: &str = "wvt_";

/// The longest life of a token that ends by itself: ten years.
pub const LONGEST: Duration = Duration::from_hours(87_600);

/// The tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    clock: Clock,
}

/// A fresh token: [`PREFIX`] and 256 random bits as 64 hex digits. Shown once, kept nowhere.
pub struct Token(String);

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddTokenError {
    /// A living token has a name that looks the same.
    #[error(
        "a token of that name, or of one that looks the same, exists already; choose another name or revoke that one"
    )]
    NameTaken,
    /// Blank, longer than [`invisible::NAME_CAP`], or with control characters.
    #[error("a token's name is 1 to 64 characters that can be seen, without control characters")]
    BadName,
    /// No such bot lives.
    #[error("there is no such bot; `waviro bot list` shows all")]
    NoSuchBot,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Token {
    /// A token from a generator fit for secrets.
    pub fn random(random: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// The text, to be shown to its owner and nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Tokens {
    /// Those in this database.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Makes a token, which lives for `lives`, or until it is revoked. Its text is shown this once; only its hash is kept.
    ///
    /// # Errors
    /// [`AddTokenError`].
    pub async fn add(
        &self,
        name: &str,
        role: TokenRole,
        lives: Option<Duration>,
    ) -> Result<(TokenRow, Token), AddTokenError> {
        let name = invisible::name(name).ok_or(AddTokenError::BadName)?;
        let (token, now) = (Token::random(&mut rand::rng()), self.clock.now());
        let expires_at = lives.map(|lives| now.saturating_add(millis(lives)));
        let hash = sha256(token.reveal());
        match self
            .store
            .add_token(&name, &hash, role, now, expires_at)
            .await?
        {
            AddToken::Added(row) => Ok((row, token)),
            AddToken::NameTaken => Err(AddTokenError::NameTaken),
            AddToken::NoSuchBot => Err(AddTokenError::NoSuchBot),
        }
    }

    /// What this text is a living token of. Notes that it was used.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn of(&self, text: &str) -> Result<Option<TokenRow>, StoreError> {
        // A lookup by hash: what the time of it tells is about the hash, not about the token.
        self.store.use_token(&sha256(text), self.clock.now()).await
    }

    /// Up to `limit` tokens with an id above `after`, by id, dead ones included.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn list(&self, after: i64, limit: i64) -> Result<Vec<TokenRow>, StoreError> {
        self.store.tokens(after, limit).await
    }

    /// One token, dead or not.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn one(&self, id: i64) -> Result<Option<TokenRow>, StoreError> {
        self.store.token(id).await
    }

    /// Ends a token: it is dead when this returns. `false` where none of this id lives.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn revoke(&self, id: i64) -> Result<bool, StoreError> {
        self.store.revoke_token(id, self.clock.now()).await
    }

    /// Ends the token of this name. `false` where none lives.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn revoke_named(&self, name: &str) -> Result<bool, StoreError> {
        let known = match self.store.token_named(name).await? {
            None => self.store.token_named(&invisible::nfc(name)).await?,
            known => known,
        };
        match known {
            Some(id) => self.revoke(id).await,
            None => Ok(false),
        }
    }
}

/// What is stored of a token: lower-case hex.
fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
