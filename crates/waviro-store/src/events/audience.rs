//! The audience of a bot's events: its subscriptions and the listeners to its stream. Every ack
//! needs the audience, so it is cached for at most two seconds, and read again after a change by
//! this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use url::Url;

use super::kind::{EventKind, Kinds};
use crate::clock::Millis;

/// The maximum age of a cached audience.
const FRESH: Millis = 2_000;

/// The subscribers of a bot, with the kinds of events.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    pub(super) bot_id: i32,
    pub(super) name: String,
    pub(super) subscribed: Vec<Subscribed>,
    pub(super) streamed: bool,
}

/// An enabled subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscribed {
    pub(super) id: i64,
    pub(super) url: Url,
    pub(super) kinds: Kinds,
}

/// The cached audiences and the open streams of all bots.
#[derive(Debug, Default)]
pub(crate) struct Audiences(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    known: HashMap<i32, (Millis, Arc<Audience>)>,
    /// The number of open streams, of one bot or of all bots.
    streams: HashMap<Option<i32>, usize>,
    /// Counts the beginnings and the ends of changes.
    changes: u64,
    /// The number of changes in progress.
    changing: usize,
}

/// A change of audiences in progress. The change begins before its command is sent, and ends after
/// the commit. In between no audience is cached, because a reader may see the database before or
/// after the commit.
pub(crate) struct Changing(Arc<Audiences>);

/// An open stream. While the stream is open, the events of its bots are written.
#[derive(Debug)]
pub struct Listening {
    audiences: Arc<Audiences>,
    bot_id: Option<i32>,
}

impl Audience {
    /// The bot id.
    #[must_use]
    pub fn bot_id(&self) -> i32 {
        self.bot_id
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if a subscriber or a stream wants this kind.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        self.streamed || self.subscribed(kind).next().is_some()
    }

    pub(super) fn subscribed(&self, kind: EventKind) -> impl Iterator<Item = &Subscribed> {
        self.subscribed
            .iter()
            .filter(move |subscribed| subscribed.kinds.has(kind))
    }
}

impl Audiences {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the cached audiences until the result is dropped.
    pub(crate) fn change(self: &Arc<Self>) -> Changing {
        let mut cache = self.cache();
        cache.forget();
        cache.changing += 1;
        Changing(Arc::clone(self))
    }

    /// Returns a cached audience.
    pub(super) fn known(&self, bot_id: i32, now: Millis) -> Option<Arc<Audience>> {
        let cache = self.cache();
        let (read_at, known) = cache.known.get(&bot_id)?;
        let is_fresh = (0..FRESH).contains(&(now - read_at));
        is_fresh.then(|| Arc::clone(known))
    }

    /// The number to pass to [`Self::keep`].
    pub(super) fn changes(&self) -> u64 {
        self.cache().changes
    }

    /// Caches an audience that was read since [`Self::changes`] returned `changes`. An audience
    /// that changed during the read is not cached.
    pub(super) fn keep(&self, bot_id: i32, audience: &Arc<Audience>, now: Millis, changes: u64) {
        let mut cache = self.cache();
        if cache.changing == 0 && cache.changes == changes {
            cache.known.insert(bot_id, (now, Arc::clone(audience)));
        }
    }

    pub(super) fn is_listened_to(&self, bot_id: i32) -> bool {
        let streams = &self.cache().streams;
        streams.contains_key(&None) || streams.contains_key(&Some(bot_id))
    }

    /// Registers a listener to the stream of a bot, or to the stream of all bots.
    pub(super) fn listen(self: &Arc<Self>, bot_id: Option<i32>) -> Listening {
        let mut cache = self.cache();
        *cache.streams.entry(bot_id).or_default() += 1;
        cache.forget();
        Listening {
            audiences: Arc::clone(self),
            bot_id,
        }
    }
}

impl Cache {
    fn forget(&mut self) {
        self.known.clear();
        self.changes += 1;
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let mut cache = self.0.cache();
        cache.changes += 1;
        cache.changing -= 1;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut cache = self.audiences.cache();
        if let Some(count) = cache.streams.get_mut(&self.bot_id) {
            *count -= 1;
            if *count == 0 {
                cache.streams.remove(&self.bot_id);
            }
        }
        cache.forget();
    }
}
