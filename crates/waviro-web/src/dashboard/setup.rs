//! The secret in the link of the page for the first user.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use sha2::{Digest, Sha256};

/// The secret in the link for the creation of the first user. The gateway creates a new secret at
/// each start; the secret has no effect once a user exists.
#[derive(Clone, Default)]
pub(super) struct Setup(Arc<Mutex<Option<[u8; 32]>>>);

impl Setup {
    /// Creates a new secret for the link shown to the person who started the gateway.
    #[must_use]
    pub(super) fn secret(&self) -> String {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        let secret = hex::encode(bytes);
        *self.lock() = Some(Sha256::digest(&secret).into());
        secret
    }

    /// Returns whether the secret is right. Compares hashes, so that the duration reveals nothing
    /// about the secret.
    pub(super) fn is(&self, secret: &str) -> bool {
        let known = *self.lock();
        known == Some(Sha256::digest(secret).into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
