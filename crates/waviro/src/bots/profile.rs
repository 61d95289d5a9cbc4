//! What a bot's deliveries need of it: its webhook key, what signs them, and which networks they may reach. They outlive the bot, so
//! it is not asked for in memory. Read from the table at most every two seconds, so that
//! a change by another hand is seen as soon as a bot is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::key::{NoSuchBot, SetKeyError, WebhookKey};
use super::settings::Settings;
use crate::clock::{Clock, Millis, millis};
use crate::config::AllowedNetwork;
use crate::net::sign::{self, Secret};
use crate::store::{SecretsRow, SetKey, Store, StoreError};

/// How old what is known may be.
const FRESH: Duration = Duration::from_secs(2);

/// The profiles of all bots. Cheap to clone.
#[derive(Clone)]
pub struct Profiles(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    known: Mutex<HashMap<i32, (Millis, Arc<Profile>)>>,
}

/// One bot's.
#[derive(Debug, Clone)]
pub struct Profile {
    webhook_key: String,
    signing: Secret,
    before: Option<(Secret, Millis)>,
    allow: Vec<AllowedNetwork>,
}

impl Profiles {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            known: Mutex::default(),
        }))
    }

    /// A bot's profile. A bot without secrets gets some here.
    ///
    /// # Errors
    /// Any [`StoreError`]; [`StoreError::Unreadable`] where there is no such bot.
    pub async fn of(&self, slot: i32) -> Result<Arc<Profile>, StoreError> {
        let now = self.0.clock.now();
        if let Some((read_at, profile)) = self.known().get(&slot)
            && (0..millis(FRESH)).contains(&(now - read_at))
        {
            return Ok(Arc::clone(profile));
        }
        let secrets = if let Some(secrets) = self.0.store.secrets(slot).await? {
            secrets
        } else {
            let key = WebhookKey::random().reveal().to_owned();
            let signing = Secret::random(&mut rand::rng()).reveal();
            let given = self.0.store.give_secrets(slot, key, signing).await?;
            given.ok_or_else(|| StoreError::Unreadable(format!("no bot in slot {slot}")))?
        };
        let profile = Arc::new(Profile::parse(slot, secrets)?);
        self.known().insert(slot, (now, Arc::clone(&profile)));
        Ok(profile)
    }

    /// Gives a bot another webhook key, at once.
    ///
    /// # Errors
    /// [`SetKeyError`], but never [`SetKeyError::KeyTaken`]: several bots may share a script.
    pub async fn set_webhook_key(&self, slot: i32, key: &WebhookKey) -> Result<(), SetKeyError> {
        // The other secrets of a bot that has none yet.
        self.of(slot).await?;
        let key = key.reveal().to_owned();
        let done = self.0.store.set_webhook_key(slot, key).await?;
        self.forget(slot);
        match done {
            SetKey::Done => Ok(()),
            SetKey::Unknown => Err(NoSuchBot::Unknown.into()),
            SetKey::Taken => Err(SetKeyError::KeyTaken),
            SetKey::KeysAlike => Err(SetKeyError::KeysAlike),
        }
    }

    /// Gives a bot another signing secret; the one that it had signs too, for so long.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn rotate_signing(
        &self,
        slot: i32,
        overlap: Duration,
    ) -> Result<Arc<Profile>, NoSuchBot> {
        self.of(slot).await?;
        let secret = Secret::random(&mut rand::rng()).reveal();
        let until = self.0.clock.now() + millis(overlap);
        let done = self.0.store.rotate_signing(slot, secret, until).await?;
        self.forget(slot);
        if !done {
            return Err(NoSuchBot::Unknown);
        }
        Ok(self.of(slot).await?)
    }

    /// What is known of a bot is out of date.
    pub fn forget(&self, slot: i32) {
        self.known().remove(&slot);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<i32, (Millis, Arc<Profile>)>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Profile {
    fn parse(slot: i32, row: SecretsRow) -> Result<Self, StoreError> {
        let secret = |text: &str| {
            let unreadable = |_| StoreError::Unreadable("a signing secret".to_owned());
            text.parse::<Secret>().map_err(unreadable)
        };
        let before = row.before.as_ref();
        let before = before.map(|(text, until)| secret(text).map(|secret| (secret, *until)));
        Ok(Self {
            signing: secret(&row.signing)?,
            before: before.transpose()?,
            allow: Settings::read(slot, row.settings.as_deref()).allow,
            webhook_key: row.webhook_key,
        })
    }

    /// What the document's payload carries as `webhookkey`.
    #[must_use]
    pub fn webhook_key(&self) -> &str {
        &self.webhook_key
    }

    /// Networks that deliveries may reach beside the public ones and `outbound.allow`.
    #[must_use]
    pub fn allow(&self) -> &[AllowedNetwork] {
        &self.allow
    }

    /// What signs.
    #[must_use]
    pub fn signing_secret(&self) -> &Secret {
        &self.signing
    }

    /// The one before it and until when it signs too, while it does.
    #[must_use]
    pub fn signing_before(&self, now: Millis) -> Option<(&Secret, Millis)> {
        let before = self.before.as_ref().filter(|(_, until)| now < *until);
        before.map(|(secret, until)| (secret, *until))
    }

    /// A delivery's id and what proves that it is ours, see [`sign::headers`].
    #[must_use]
    pub fn headers(&self, id: &str, at: Millis, body: &str) -> Vec<(&'static str, String)> {
        // Only a body that is no text cannot be signed.
        sign::headers(&self.signing(at), id, at, body.as_bytes()).unwrap_or_default()
    }

    /// The secrets that sign now, the current one first.
    #[must_use]
    pub fn signing(&self, now: Millis) -> Vec<Secret> {
        let before = self.signing_before(now);
        std::iter::once(&self.signing)
            .chain(before.map(|(secret, _)| secret))
            .cloned()
            .collect()
    }
}
