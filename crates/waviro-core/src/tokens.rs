//! The tokens of the administration API: format, lifetime and roles.
//!
//! Each use of a token reads the database, so a revoked token stops working at once, even if the
//! command line tool revoked it.

use std::time::Duration;

use sha2::{Digest, Sha256};
use waviro_store::clock::{Clock, millis};
use waviro_store::invisible;
use waviro_store::{AddToken, Store, StoreError, TokenRole, TokenRow};

/// The prefix of every token, so that people and scanners for leaked secrets recognize a token.
pub const PREFIX: &str = "wvt_";

/// The longest lifetime of a token with an expiry: ten years.
pub const LONGEST: Duration = Duration::from_hours(87_600);

/// The operations on tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    clock: Clock,
}

/// A new token: [`PREFIX`] and 256 random bits as 64 hex digits. The text is shown once and never
/// stored.
pub struct Token(String);

/// The causes to refuse a new token.
#[derive(Debug, thiserror::Error)]
pub enum AddTokenError {
    /// An active token has a name that looks the same.
    #[error(
        "a token with this name, or with a name that looks the same, exists already; choose another name or revoke that token"
    )]
    NameTaken,
    /// The name is blank, longer than [`invisible::NAME_CAP`], or has control characters.
    #[error("a token's name must be 1 to 64 visible characters, without control characters")]
    BadName,
    /// The bot does not exist.
    #[error("there is no such bot; `waviro bot list` shows all bots")]
    NoSuchBot,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Token {
    /// Creates a token from a cryptographic generator.
    pub fn random(random: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// Returns the text, to be shown to the token's owner and nobody else.
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
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Creates a token valid for `lives`, or until a revocation. The text is shown only now; the
    /// database stores only the hash.
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

    /// Returns the active token with this text and records its use.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn of(&self, text: &str) -> Result<Option<TokenRow>, StoreError> {
        // The lookup compares hashes, so its duration reveals nothing about the token.
        self.store.use_token(&sha256(text), self.clock.now()).await
    }

    /// Returns up to `limit` tokens with an id above `after`, by id. Revoked and expired tokens are
    /// included.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn list(&self, after: i64, limit: i64) -> Result<Vec<TokenRow>, StoreError> {
        self.store.tokens(after, limit).await
    }

    /// Returns a token, active or not.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn one(&self, id: i64) -> Result<Option<TokenRow>, StoreError> {
        self.store.token(id).await
    }

    /// Revokes a token with immediate effect. Returns `false` if no active token has the id.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn revoke(&self, id: i64) -> Result<bool, StoreError> {
        self.store.revoke_token(id, self.clock.now()).await
    }

    /// Revokes the token with a name. Returns `false` if no active token has the name.
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

/// Returns the stored hash of a token, in lower-case hex.
fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
