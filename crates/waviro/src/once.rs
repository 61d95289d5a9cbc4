//! `Idempotency-Key`: what is asked again under the same key is not done again, but answered as it was.
//!
//! A key belongs to whoever sent it and to one path. The first answer is kept for a day, or until its caller has more of them than may be, in one transaction with what it tells of where
//! there is one ([`crate::store::Store::accept_once`]). A refusal is not kept: nothing was done, and the same request may work later. Of
//! two at once the second waits for the first. One process serves a database, so they meet here; should they miss each other all the
//! same, as after a client that went away, the transaction finds the first's answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::{Clock, Millis, millis};
use crate::store::{KeepingAnswer, KeptAnswer, Store, StoreError};

/// How long an answer is kept: longer than any program tries again.
pub const KEPT_FOR: Duration = Duration::from_hours(24);

/// The most characters of a key.
pub const KEY_CAP: usize = 255;

/// How often forgotten answers are removed. They are not given any more, whether they are removed or not.
const SWEPT_EVERY: Duration = Duration::from_hours(1);

/// Rows removed in one transaction.
const SWEPT_TOGETHER: u16 = 1000;

/// Turns in memory before those that nobody waits for are dropped.
const TURNS: usize = 256;

/// Carries the key.
pub static KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was given before.
pub static REPLAY: (HeaderName, HeaderValue) = (
    HeaderName::from_static("idempotent-replay"),
    HeaderValue::from_static("true"),
);

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// Not 1 to [`KEY_CAP`] visible ASCII characters, or two keys that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

/// The answers of a day. Cheap to clone.
#[derive(Clone)]
pub struct Once(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    /// The most that one caller's answers take, bytes.
    most: i64,
    /// Who is at work, by id.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// Where a request under a key stands.
pub enum Begun {
    /// It is the first: do it. Whoever asks under the same key waits until this is dropped.
    First(First),
    /// It was answered so.
    Again(KeptAnswer),
}

/// The right to be the first.
pub struct First {
    once: Once,
    id: String,
    caller: String,
    request_sha256: String,
    /// Of the request's body.
    request_bytes: usize,
    _turn: OwnedMutexGuard<()>,
}

/// Why a request under a key is not done.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The key was used with another body.
    #[error("the key was used for another request")]
    OtherBody,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Key {
    /// The key of a request, `None` where it has none.
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
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=KEY_CAP).contains(&text.len()) {
            Ok(Some(Self(text.to_owned())))
        } else {
            Err(BadKey)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Once {
    /// Nobody is at work. The answers of one caller take at most `most_mib`: `limits.kept_answers_mib`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, most_mib: u64) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            most: i64::try_from(most_mib.saturating_mul(1024 * 1024)).unwrap_or(i64::MAX),
            turns: Mutex::default(),
        }))
    }

    /// Whether a request is the first under its key. Waits for one that is at work under the same.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn begin(
        &self,
        who: &str,
        path: &str,
        key: &Key,
        body: &[u8],
    ) -> Result<Begun, OnceError> {
        let mut hash = Sha256::new();
        for part in [who, path, key.as_str()] {
            hash.update(part);
            hash.update([0]);
        }
        let id = hex::encode(hash.finalize());
        let turn = self.turn(&id).lock_owned().await;
        let first = First {
            once: self.clone(),
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
            Some(kept) => Ok(Begun::Again(first.same(kept)?)),
            None => Ok(Begun::First(first)),
        }
    }

    /// Removes what is forgotten, until `stop`.
    pub async fn keep_swept(self, stop: CancellationToken) {
        loop {
            let before = since(self.0.clock.steady());
            let limit = i64::from(SWEPT_TOGETHER);
            match self.0.store.forget_kept(before, limit).await {
                Ok((_, true)) => continue,
                Ok(_) => {}
                Err(reason) => error!(%reason, "kept answers could not be swept"),
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

/// What was kept before this is forgotten. Of steady time: a clock that is put forward must not have a request done twice.
fn since(now: Millis) -> Millis {
    now - millis(KEPT_FOR)
}

impl First {
    /// The answer, to be kept in one transaction with what it tells of.
    #[must_use]
    pub fn keeping(&self, status: u16, answer: String) -> KeepingAnswer {
        let at = self.once.0.clock.now();
        KeepingAnswer {
            id: self.id.clone(),
            caller: self.caller.clone(),
            most: self.once.0.most,
            kept: KeptAnswer {
                request_sha256: self.request_sha256.clone(),
                status,
                answer,
            },
            at,
            since: since(self.once.0.clock.steady()),
        }
    }

    /// The bytes of the request's body.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Keeps an answer that tells of no transaction.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn keep(&self, status: u16, answer: String) -> Result<(), StoreError> {
        self.once.0.store.keep(self.keeping(status, answer)).await
    }

    /// An answer that was found, where it is one to this very request.
    ///
    /// # Errors
    /// [`OnceError::OtherBody`].
    pub fn same(&self, kept: KeptAnswer) -> Result<KeptAnswer, OnceError> {
        if kept.request_sha256 == self.request_sha256 {
            Ok(kept)
        } else {
            Err(OnceError::OtherBody)
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
