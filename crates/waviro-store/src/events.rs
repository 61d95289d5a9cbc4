//! Events and their deliveries. An event is written in the transaction of the change reported by
//! the event, together with a delivery for each interested subscription.
//!
//! The one writer assigns the ids, so ids rise in the order of the commits. A reader of event N has
//! not missed any event before N. An event without interested subscribers is not written.

mod audience;
mod kind;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::watch;

use super::deliveries::{self, Due, Hook};
use super::writer::Counters;
use super::{Store, StoreError, sql};
use crate::clock::{Millis, rfc3339};

pub(super) use audience::Audiences;
pub use audience::{Audience, Listening};
pub use kind::{EventKind, Kinds};

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
        events: Vec<NewEvent>,
        now: Millis,
    ) -> Result<Vec<Due>, StoreError> {
        self.write("publish_events", move |connection, counters| {
            let events = events.clone();
            Box::pin(async move { insert(&events, now, connection, counters).await })
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
        let mut query = sqlx::query(AssertSqlSafe(text)).bind(after).bind(limit);
        if let Some(bot_id) = bot_id {
            query = query.bind(i64::from(bot_id));
        }
        let rows = query.fetch_all(&self.reads).await?;
        rows.iter()
            .map(|row| {
                Ok(EventRow {
                    id: row.try_get(0)?,
                    bot_id: super::messages::narrow(row.try_get(1)?)?,
                    kind: row.try_get(2)?,
                    body: row.try_get(3)?,
                })
            })
            .collect()
    }
}

/// Writes events and their deliveries. Returns the due deliveries, leased to the caller.
pub(super) async fn insert(
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
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (id, event, body) in chunk {
            query = query
                .bind(*id)
                .bind(i64::from(event.audience.bot_id()))
                .bind(event.kind.word())
                .bind(event.subject.clone())
                .bind(body.clone())
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
