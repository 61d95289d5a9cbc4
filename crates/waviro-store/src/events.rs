//! Events and their deliveries. An event is written in the transaction of the change reported by
//! the event, together with a delivery for each interested subscription.
//!
//! The one writer assigns the ids, so ids rise in the order of the commits. A reader of event N has
//! not missed any event before N. An event without interested subscribers is not written.

mod audience;
mod kind;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};
use tokio::sync::watch;

use crate::clock::{Millis, rfc3339};
use crate::counts::Counters;
use crate::deliveries::{self, Due, Hook};
use crate::row::narrow;
use crate::{Store, StoreError, sql};

pub(crate) use audience::Audiences;
use audience::Subscribed;
pub use audience::{Audience, Listening};
pub use kind::{EventKind, Kinds};

/// How long events are still written after a stream was disconnected, so that its listener can read
/// the missed events: a week.
const COMES_BACK: Millis = 7 * 86_400_000;

/// The minimum interval between two writes of a stream's last use.
const NOTED_EVERY: Millis = 60_000;

/// An event to be written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The bot and its subscribers.
    pub audience: Arc<Audience>,
    pub kind: EventKind,
    /// The id of the message, call or group reported by the event.
    pub subject: String,
    /// The line: deliveries of one line go to a subscription one after the other.
    pub line: String,
    /// The id `evt_…`, the same each time the event is reported; see [`event_id`].
    pub id: String,
    /// The details as JSON.
    pub data: String,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The position in the stream; rises with each commit.
    pub id: i64,
    /// The bot id.
    pub bot_id: i32,
    /// The name of the kind, see [`EventKind::word`].
    pub kind: String,
    /// The JSON body to post.
    pub body: String,
}

/// Returns the id of an event: a hash of the parts that distinguish the event from all others.
#[must_use]
pub fn event_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    format!("evt_{}", hex::encode(&hash[..12]))
}

impl Store {
    /// Writes events that belong to no other change. Returns the due deliveries, leased to the
    /// caller. The events are durable when the function returns.
    pub async fn publish_events(
        &self,
        new: Vec<NewEvent>,
        now: Millis,
    ) -> Result<Vec<Due>, StoreError> {
        self.write("publish_events", new, move |new, connection, counters| {
            Box::pin(insert(new, now, connection, counters))
        })
        .await
    }

    /// Returns a receiver of the last event's id, updated at each change.
    #[must_use]
    pub fn last_event(&self) -> watch::Receiver<i64> {
        self.state.last_event.subscribe()
    }

    /// Returns up to `limit` events after the id `after`, of one bot or of all bots, in the order
    /// of the commits.
    pub async fn events_after(
        &self,
        after: i64,
        bot_id: Option<i32>,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let of = if bot_id.is_some() {
            " AND bot = $3"
        } else {
            ""
        };
        let text = format!(
            "SELECT id, bot, kind, body FROM events WHERE id > $1{of} ORDER BY id LIMIT $2"
        );
        let mut query = sql::query(text).bind(after).bind(limit);
        if let Some(bot_id) = bot_id {
            query = query.bind(i64::from(bot_id));
        }
        let rows = query.fetch_all(&self.reads).await?;
        rows.iter()
            .map(|row| {
                Ok(EventRow {
                    id: row.try_get(0)?,
                    bot_id: narrow(row.try_get(1)?)?,
                    kind: row.try_get(2)?,
                    body: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Returns the audience of a bot, if cached.
    #[must_use]
    pub fn known_audience(&self, bot_id: i32, now: Millis) -> Option<Arc<Audience>> {
        self.state.audiences.known(bot_id, now)
    }

    /// Returns the audience of a bot; an empty audience if the bot does not exist.
    pub async fn audience(&self, bot_id: i32, now: Millis) -> Result<Arc<Audience>, StoreError> {
        let audiences = &self.state.audiences;
        if let Some(known) = audiences.known(bot_id, now) {
            return Ok(known);
        }
        let changes = audiences.changes();
        let audience = Arc::new(self.read_audience(bot_id, now).await?);
        audiences.keep(bot_id, &audience, now, changes);
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
        let subscriptions = self.subscriptions(bot_id).await?.into_iter();
        let enabled = subscriptions.filter(|row| row.enabled);
        let streamed_at: Option<Millis> = bot.try_get(1)?;
        Ok(Audience {
            bot_id,
            name: bot.try_get(0)?,
            subscribed: enabled
                .map(|row| Subscribed {
                    id: row.id,
                    url: row.url,
                    kinds: row.kinds,
                })
                .collect(),
            streamed: self.state.audiences.is_listened_to(bot_id)
                || streamed_at.is_some_and(|at| now - at < COMES_BACK),
        })
    }

    /// Registers a listener to the stream of a bot, or to the stream of all bots, until the result
    /// is dropped.
    #[must_use]
    pub fn listen(&self, bot_id: Option<i32>) -> Listening {
        self.state.audiences.listen(bot_id)
    }

    /// Stores that the stream of a bot, or of all bots, is used now, precise to the minute.
    pub async fn note_streamed(&self, bot_id: Option<i32>, now: Millis) -> Result<(), StoreError> {
        let text = "UPDATE bots SET streamed_at = $1 WHERE removed_at IS NULL AND (streamed_at IS NULL OR streamed_at <= $2) \
            AND (slot = $3 OR $4 = 1)";
        self.change("note_streamed", text, move |query| {
            query
                .bind(now)
                .bind(now - NOTED_EVERY)
                .bind(i64::from(bot_id.unwrap_or(0)))
                .bind(i64::from(bot_id.is_none()))
        })
        .await
        .map(drop)
    }
}

/// Writes events and their deliveries. Returns the due deliveries, leased to the caller.
pub(crate) async fn insert(
    events: &[NewEvent],
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<Vec<Due>, StoreError> {
    let (mut rows, mut hooks) = (Vec::with_capacity(events.len()), Vec::new());
    for event in events {
        counters.event += 1;
        let body = event.body(now);
        for listener in event.audience.subscribed(event.kind) {
            hooks.push(Hook {
                bot_id: event.audience.bot_id(),
                subject: event.subject.clone(),
                chat: None,
                source: listener.id,
                webhook_id: event.id.clone(),
                url: listener.url.clone(),
                body: body.clone(),
                line: Some(format!("{}:{}", listener.id, event.line)),
            });
        }
        rows.push((counters.event, event, body));
    }
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO events (id, bot, kind, subject, body, at) VALUES {}",
            sql::tuples(chunk.len(), 6)
        );
        let mut query = sql::query(text);
        for (id, event, body) in chunk {
            query = query
                .bind(*id)
                .bind(i64::from(event.audience.bot_id()))
                .bind(event.kind.word())
                .bind(&event.subject)
                .bind(body)
                .bind(now);
        }
        query.execute(&mut *connection).await?;
    }
    if hooks.is_empty() {
        return Ok(Vec::new());
    }
    deliveries::insert_hooks(&hooks, now, connection, counters).await
}

impl NewEvent {
    /// Returns the JSON body to post: `data` in the envelope common to all events.
    fn body(&self, now: Millis) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"id":{},"type":"{}","bot":{{"id":{},"name":{}}},"at":"{}","data":{}}}"#,
            text(&self.id),
            self.kind.word(),
            self.audience.bot_id(),
            text(self.audience.name()),
            rfc3339(now),
            self.data
        )
    }
}
