//! `Idempotency-Key`: a request repeated under the same key gets the stored first response and has
//! no second effect.
//!
//! A key belongs to one caller and one path. The first response is stored for a day, or until the
//! caller's stored responses exceed their limit. If the request writes to the database, the
//! response is stored in the same transaction ([`waviro_store::Store::accept`]). A refusal is not
//! stored: the request had no effect and may succeed later.
//!
//! Of two concurrent requests with the same key, the second waits for the first. One process serves
//! a database, so a lock in memory is enough. If both run in spite of the lock, for example after a
//! client disconnected, the second transaction finds the first response.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tracing::error;
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{KeepingAnswer, KeptAnswer, Store, StoreError};

/// How long a response is stored: longer than any client retries.
pub const KEPT_FOR: Duration = Duration::from_hours(24);

/// The maximum length of a key, in characters.
pub const KEY_CAP: usize = 255;

/// The interval between sweeps of expired responses. An expired response is never returned, even
/// before the sweep deletes the row.
const SWEPT_EVERY: Duration = Duration::from_hours(1);

/// The number of rows deleted in one transaction.
const SWEPT_TOGETHER: u16 = 1000;

/// The number of locks in memory above which unused locks are dropped.
const TURNS: usize = 256;

/// The request header with the key.
pub static KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The response header that marks a repeated response.
pub static REPLAY: (HeaderName, HeaderValue) = (
    HeaderName::from_static("idempotent-replay"),
    HeaderValue::from_static("true"),
);

/// The idempotency key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// The key is not 1 to [`KEY_CAP`] visible ASCII characters, or the request has two different keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

/// The stored responses of the last day. Cheap to clone.
#[derive(Clone)]
pub struct Idempotency(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    /// The maximum size of one caller's stored responses, in bytes.
    most: i64,
    /// The locks of requests in progress, by the hash of caller, path and key.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// The state of a request with an idempotency key.
pub enum KeyUse {
    /// The key is new: execute the request. Other requests with the key wait until [`First`] is
    /// dropped.
    First(First),
    /// The stored response to the same request.
    Again(KeptAnswer),
}

/// The exclusive right to execute the request of a key.
pub struct First {
    idempotency: Idempotency,
    id: String,
    caller: String,
    request_sha256: String,
    /// The size of the request's body.
    request_bytes: usize,
    _turn: OwnedMutexGuard<()>,
}

/// The causes to refuse a request with an idempotency key.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key was used with another body.
    #[error("the key was used for another request")]
    OtherBody,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Key {
    /// Returns the key of a request; `None` if the request has no key.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, BadKey> {
        let mut values = headers.get_all(&KEY).iter();
        let Some(key) = values.next() else {
            return Ok(None);
        };
        if values.any(|other| other != key) {
            return Err(BadKey);
        }
        let text = key.to_str().map_err(|_| BadKey)?;
        text.parse().map(Some)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=KEY_CAP).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadKey)
        }
    }
}

impl Idempotency {
    /// Creates the set without requests in progress. The stored responses of one caller take at
    /// most `most_mib` (`limits.kept_answers_mib`).
    #[must_use]
    pub fn new(store: Store, clock: Clock, most_mib: u64) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            most: i64::try_from(most_mib.saturating_mul(1024 * 1024)).unwrap_or(i64::MAX),
            turns: Mutex::default(),
        }))
    }

    /// Returns [`KeyUse::First`] for a new key and [`KeyUse::Again`] for a known key. Waits while
    /// another request with the same key is in progress.
    ///
    /// # Errors
    /// [`IdempotencyError`].
    pub async fn begin(
        &self,
        who: &str,
        path: &str,
        key: &Key,
        body: &[u8],
    ) -> Result<KeyUse, IdempotencyError> {
        let mut hash = Sha256::new();
        for part in [who, path, key.as_str()] {
            hash.update(part);
            hash.update([0]);
        }
        let id = hex::encode(hash.finalize());
        let turn = self.turn(&id).lock_owned().await;
        let first = First {
            idempotency: self.clone(),
            request_sha256: hex::encode(Sha256::digest(body)),
            request_bytes: body.len(),
            caller: who.to_owned(),
            id,
            _turn: turn,
        };
        match self
            .0
            .store
            .kept(&first.id, since(self.0.clock.steady()))
            .await?
        {
            Some(kept) => Ok(KeyUse::Again(first.same(kept)?)),
            None => Ok(KeyUse::First(first)),
        }
    }

    /// Deletes expired responses every hour, until `stop`.
    pub async fn keep_swept(self, stop: CancellationToken) {
        loop {
            let before = since(self.0.clock.steady());
            let limit = i64::from(SWEPT_TOGETHER);
            match self.0.store.forget_kept(before, limit).await {
                Ok((_, true)) => continue,
                Ok(_) => {}
                Err(reason) => error!(%reason, "expired idempotency keys could not be removed"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.clock.sleep(SWEPT_EVERY) => {}
            }
        }
    }

    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= TURNS {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

/// Responses stored before the returned time are expired. `now` is steady time, so a machine clock
/// put forward does not expire a response early and let a request run twice.
fn since(now: Millis) -> Millis {
    now - millis(KEPT_FOR)
}

impl First {
    /// Returns the response as a row to store in the transaction of the request's own change.
    #[must_use]
    pub fn keeping(&self, status: u16, answer: String) -> KeepingAnswer {
        let at = self.idempotency.0.clock.now();
        KeepingAnswer {
            id: self.id.clone(),
            caller: self.caller.clone(),
            most: self.idempotency.0.most,
            kept: KeptAnswer {
                request_sha256: self.request_sha256.clone(),
                status,
                answer,
            },
            at,
            since: since(self.idempotency.0.clock.steady()),
        }
    }

    /// The size of the request's body in bytes.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Stores the response to a request without a transaction of its own.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn keep(&self, status: u16, answer: String) -> Result<(), StoreError> {
        self.idempotency
            .0
            .store
            .keep(self.keeping(status, answer))
            .await
    }

    /// Returns a stored response if its request had the same body.
    ///
    /// # Errors
    /// [`IdempotencyError::OtherBody`].
    pub fn same(&self, kept: KeptAnswer) -> Result<KeptAnswer, IdempotencyError> {
        if kept.request_sha256 == self.request_sha256 {
            Ok(kept)
        } else {
            Err(IdempotencyError::OtherBody)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> Result<Option<Key>, BadKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&KEY, HeaderValue::from_bytes(value).unwrap());
        }
        Key::of(&headers)
    }

    #[test]
    fn a_key_is_1_to_255_visible_characters_and_one() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(
            of(&[b"order-7", b"order-7"]),
            Ok(Some(Key("order-7".to_owned())))
        );
        assert!(of(&[&[b'~'; 255]]).is_ok());
        for bad in [&b""[..], b"a b", b"a\tb", b"\xC3\xA9", &[b'a'; 256]] {
            assert_eq!(of(&[bad]), Err(BadKey), "{bad:?}");
        }
        assert_eq!(of(&[b"one", b"other"]), Err(BadKey));
    }
}
