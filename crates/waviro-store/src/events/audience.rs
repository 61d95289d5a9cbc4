//! The audience of a bot's events: its subscriptions and the listeners to its stream. Every ack
//! needs the audience, so it is cached for at most two seconds, and read again after a change by
//! this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Row;
use url::Url;

use super::super::{State, Store, StoreError};
use super::{EventKind, Kinds};
use crate::clock::Millis;

/// The maximum age of a cached audience.
const FRESH: Millis = 2_000;

/// How long events are still written after a stream was disconnected, so that its listener can read
/// the missed events: a week.
const COMES_BACK: Millis = 7 * 86_400_000;

/// The minimum interval between two writes of a stream's last use.
const NOTED_EVERY: Millis = 60_000;

/// The subscribers of a bot, with the kinds of events.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    bot_id: i32,
    name: String,
    subscribed: Vec<Subscribed>,
    streamed: bool,
}

/// An enabled subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscribed {
    pub(super) id: i64,
    pub(super) url: Url,
    kinds: Kinds,
}

/// The cached audiences of all bots.
#[derive(Debug, Default)]
pub(in super::super) struct Audiences {
    known: Mutex<HashMap<i32, (Millis, Arc<Audience>)>>,
    /// Counts the invalidations of the cache.
    changes: AtomicU64,
    /// The number of open streams, of one bot or of all bots.
    streams: Mutex<HashMap<Option<i32>, usize>>,
}

/// An open stream. While the stream is open, the events of its bots are written.
#[derive(Debug)]
pub struct Listening {
    state: Arc<State>,
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
    /// Removes the cached audience of a bot, or of all bots.
    pub(in super::super) fn forget(&self, bot_id: Option<i32>) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        match bot_id {
            Some(bot_id) => {
                lock(&self.known).remove(&bot_id);
            }
            None => lock(&self.known).clear(),
        }
    }

    fn is_listened_to(&self, bot_id: i32) -> bool {
        let streams = lock(&self.streams);
        streams.contains_key(&None) || streams.contains_key(&Some(bot_id))
    }
}

impl Store {
    /// Returns the audience of a bot, if cached.
    #[must_use]
    pub fn known_audience(&self, bot_id: i32, now: Millis) -> Option<Arc<Audience>> {
        let known = lock(&self.state.audiences.known);
        let (read_at, known) = known.get(&bot_id)?;
        (0..FRESH)
            .contains(&(now - read_at))
            .then(|| Arc::clone(known))
    }

    /// Returns the audience of a bot; an empty audience if the bot does not exist.
    pub async fn audience(&self, bot_id: i32, now: Millis) -> Result<Arc<Audience>, StoreError> {
        if let Some(known) = self.known_audience(bot_id, now) {
            return Ok(known);
        }
        let audiences = &self.state.audiences;
        let changes = audiences.changes.load(Ordering::SeqCst);
        let audience = Arc::new(self.read_audience(bot_id, now).await?);
        let mut known = lock(&audiences.known);
        // An audience that changed during the read is not cached.
        if audiences.changes.load(Ordering::SeqCst) == changes {
            known.insert(bot_id, (now, Arc::clone(&audience)));
        }
        Ok(audience)
    }

    async fn read_audience(&self, bot_id: i32, now: Millis) -> Result<Audience, StoreError> {
        let bot = sqlx::query(
            "SELECT name, streamed_at FROM bots WHERE slot = $1 AND removed_at IS NULL",
        )
        .bind(i64::from(bot_id))
        .fetch_optional(&self.reads)
        .await?;
        let Some(bot) = bot else {
            return Ok(Audience::default());
        };
        let rows = sqlx::query(
            "SELECT id, url, kinds FROM subscriptions WHERE bot = $1 AND deleted_at IS NULL AND enabled = 1 ORDER BY id",
        )
        .bind(i64::from(bot_id))
        .fetch_all(&self.reads)
        .await?;
        let subscribed = rows.iter().map(|row| {
            let (url, kinds): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            let unreadable = || StoreError::Unreadable("a subscription".to_owned());
            Ok(Subscribed {
                id: row.try_get(0)?,
                url: Url::parse(&url).map_err(|_| unreadable())?,
                kinds: Kinds::of(kinds.split(',')).ok_or_else(unreadable)?,
            })
        });
        let streamed_at: Option<Millis> = bot.try_get(1)?;
        Ok(Audience {
            bot_id,
            name: bot.try_get(0)?,
            subscribed: subscribed.collect::<Result<_, StoreError>>()?,
            streamed: self.state.audiences.is_listened_to(bot_id)
                || streamed_at.is_some_and(|at| now - at < COMES_BACK),
        })
    }

    /// Registers a listener to the stream of a bot, or to the stream of all bots, until the result
    /// is dropped.
    #[must_use]
    pub fn listen(&self, bot_id: Option<i32>) -> Listening {
        let audiences = &self.state.audiences;
        *lock(&audiences.streams).entry(bot_id).or_default() += 1;
        audiences.forget(bot_id);
        Listening {
            state: Arc::clone(&self.state),
            bot_id,
        }
    }

    /// Stores that the stream of a bot, or of all bots, is used now, precise to the minute.
    pub async fn note_streamed(&self, bot_id: Option<i32>, now: Millis) -> Result<(), StoreError> {
        self.write("note_streamed", move |connection, _| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE bots SET streamed_at = $1 WHERE removed_at IS NULL AND (streamed_at IS NULL OR streamed_at <= $2) \
                     AND (slot = $3 OR $4 = 1)",
                )
                .bind(now)
                .bind(now - NOTED_EVERY)
                .bind(i64::from(bot_id.unwrap_or(0)))
                .bind(i64::from(bot_id.is_none()))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let audiences = &self.state.audiences;
        let mut streams = lock(&audiences.streams);
        if let Some(count) = streams.get_mut(&self.bot_id) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&self.bot_id);
            }
        }
        drop(streams);
        audiences.forget(self.bot_id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
