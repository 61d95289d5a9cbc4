//! The profile of a bot for its deliveries: the webhook key, the signing secrets, and the networks
//! that deliveries may reach.
//!
//! Deliveries may outlive the bot, so the profile comes from the table and not from the bot in
//! memory. The table is read at most every two seconds, so that a change by another process is
//! noticed as fast as a new bot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{SecretsRow, SetKey, Store, StoreError};

use super::key::{NoSuchBot, SetKeyError, WebhookKey};
use super::settings::Settings;
use crate::config::AllowedNetwork;
use crate::net::sign::{self, Secret};

/// The longest time that a profile in memory is used.
const FRESH: Duration = Duration::from_secs(2);

/// The profiles of all bots. Cheap to clone.
#[derive(Clone)]
pub struct Profiles(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    known: Mutex<HashMap<i32, (Millis, Arc<Profile>)>>,
}

/// The profile of a bot.
#[derive(Debug, Clone)]
pub struct Profile {
    webhook_key: String,
    signing: Secret,
    before: Option<(Secret, Millis)>,
    allow: Vec<AllowedNetwork>,
}

impl Profiles {
    /// Creates an empty cache.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            known: Mutex::default(),
        }))
    }

    /// Returns the profile of a bot. A bot without secrets gets new secrets.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Unreadable`] if the bot does not exist.
    pub async fn of(&self, bot_id: i32) -> Result<Arc<Profile>, StoreError> {
        let now = self.0.clock.now();
        if let Some((read_at, profile)) = self.known().get(&bot_id)
            && (0..millis(FRESH)).contains(&(now - read_at))
        {
            return Ok(Arc::clone(profile));
        }
        let secrets = if let Some(secrets) = self.0.store.secrets(bot_id).await? {
            secrets
        } else {
            let key = WebhookKey::random().reveal().to_owned();
            let signing = Secret::random(&mut rand::rng()).reveal();
            let given = self.0.store.give_secrets(bot_id, key, signing).await?;
            given.ok_or_else(|| StoreError::Unreadable(format!("no bot with id {bot_id}")))?
        };
        let profile = Arc::new(Profile::parse(bot_id, secrets)?);
        self.known().insert(bot_id, (now, Arc::clone(&profile)));
        Ok(profile)
    }

    /// Changes the webhook key of a bot at once.
    ///
    /// # Errors
    /// [`SetKeyError`], but never [`SetKeyError::KeyTaken`], because several bots may share a
    /// script.
    pub async fn set_webhook_key(&self, bot_id: i32, key: &WebhookKey) -> Result<(), SetKeyError> {
        // Creates the other secrets if the bot has none yet.
        self.of(bot_id).await?;
        let key = key.reveal().to_owned();
        let done = self.0.store.set_webhook_key(bot_id, key).await?;
        self.forget(bot_id);
        match done {
            SetKey::Done => Ok(()),
            SetKey::Unknown => Err(NoSuchBot::Unknown.into()),
            SetKey::Taken => Err(SetKeyError::KeyTaken),
            SetKey::KeysAlike => Err(SetKeyError::KeysAlike),
        }
    }

    /// Gives a bot a new signing secret. During `overlap` the previous secret signs too.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn rotate_signing(
        &self,
        bot_id: i32,
        overlap: Duration,
    ) -> Result<Arc<Profile>, NoSuchBot> {
        self.of(bot_id).await?;
        let secret = Secret::random(&mut rand::rng()).reveal();
        let until = self.0.clock.now() + millis(overlap);
        let done = self.0.store.rotate_signing(bot_id, secret, until).await?;
        self.forget(bot_id);
        if !done {
            return Err(NoSuchBot::Unknown);
        }
        Ok(self.of(bot_id).await?)
    }

    /// Removes the cached profile of a bot because the profile is out of date.
    pub fn forget(&self, bot_id: i32) {
        self.known().remove(&bot_id);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<i32, (Millis, Arc<Profile>)>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Profile {
    fn parse(bot_id: i32, row: SecretsRow) -> Result<Self, StoreError> {
        let secret = |text: &str| {
            let unreadable = |_| StoreError::Unreadable("a signing secret".to_owned());
            text.parse::<Secret>().map_err(unreadable)
        };
        let before = row.before.as_ref();
        let before = before.map(|(text, until)| secret(text).map(|secret| (secret, *until)));
        Ok(Self {
            signing: secret(&row.signing)?,
            before: before.transpose()?,
            allow: Settings::read(bot_id, row.settings.as_deref()).allow,
            webhook_key: row.webhook_key,
        })
    }

    /// Returns the value of `webhookkey` in the webhook payload.
    #[must_use]
    pub fn webhook_key(&self) -> &str {
        &self.webhook_key
    }

    /// Returns the networks that deliveries may reach in addition to public addresses and
    /// `outbound.allow`.
    #[must_use]
    pub fn allow(&self) -> &[AllowedNetwork] {
        &self.allow
    }

    /// Returns the current signing secret.
    #[must_use]
    pub fn signing_secret(&self) -> &Secret {
        &self.signing
    }

    /// Returns the previous signing secret and the end of its overlap; `None` after the end.
    #[must_use]
    pub fn signing_before(&self, now: Millis) -> Option<(&Secret, Millis)> {
        let before = self.before.as_ref().filter(|(_, until)| now < *until);
        before.map(|(secret, until)| (secret, *until))
    }

    /// Returns the headers with the delivery's id and signatures, see [`sign::headers`].
    #[must_use]
    pub fn headers(&self, id: &str, at: Millis, body: &str) -> Vec<(&'static str, String)> {
        // Only a body that is not text cannot be signed.
        sign::headers(&self.signing(at), id, at, body.as_bytes()).unwrap_or_default()
    }

    /// Returns the signing secrets that are valid now, the current secret first.
    #[must_use]
    pub fn signing(&self, now: Millis) -> Vec<Secret> {
        let before = self.signing_before(now);
        std::iter::once(&self.signing)
            .chain(before.map(|(secret, _)| secret))
            .cloned()
            .collect()
    }
}
