//! Events: written in the transaction of what they tell of, with a delivery for each subscription that wants them.
//!
//! Ids rise in the order of the commits, because one writer gives them out, so whoever has read up to one misses nothing
//! before it. What nobody wants is not written.

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

/// An event about to be written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The bot, and who wants to hear of it.
    pub audience: Arc<Audience>,
    /// What it is.
    pub kind: EventKind,
    /// The id of the message, call or group that it tells of.
    pub subject: String,
    /// Deliveries of one line go to a subscription one after the other.
    pub line: String,
    /// `evt_…`, the same however often it is told; see [`event_id`].
    pub id: String,
    /// What happened, as JSON.
    pub data: String,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Rises with each commit.
    pub id: i64,
    /// The bot's slot.
    pub slot: i32,
    /// [`EventKind::word`]
    pub kind: String,
    /// What is posted.
    pub body: String,
}

/// An event's id, made of what makes it this event and no other.
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
    /// Writes events that stand for themselves. Returns what is due of them, leased to the caller. Durable when it returns.
    pub async fn tell(&self, events: Vec<NewEvent>, now: Millis) -> Result<Vec<Due>, StoreError> {
        self.write("tell", move |connection, counters| {
            let events = events.clone();
            Box::pin(async move { insert(&events, now, connection, counters).await })
        })
        .await
    }

    /// The id of the last event, now and at each change.
    #[must_use]
    pub fn last_event(&self) -> watch::Receiver<i64> {
        self.state.last_event.subscribe()
    }

    /// Up to `limit` events after one, of one bot or of all, in the order of their commits.
    pub async fn events_after(
        &self,
        after: i64,
        slot: Option<i32>,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let of = if slot.is_some() { " AND bot = $3" } else { "" };
        let text = format!(
            "SELECT id, bot, kind, body FROM events WHERE id > $1{of} ORDER BY id LIMIT $2"
        );
        let mut query = sqlx::query(AssertSqlSafe(text)).bind(after).bind(limit);
        if let Some(slot) = slot {
            query = query.bind(i64::from(slot));
        }
        let rows = query.fetch_all(&self.reads).await?;
        rows.iter()
            .map(|row| {
                Ok(EventRow {
                    id: row.try_get(0)?,
                    slot: super::messages::narrow(row.try_get(1)?)?,
                    kind: row.try_get(2)?,
                    body: row.try_get(3)?,
                })
            })
            .collect()
    }
}

/// Writes events and what is owed for them. What is due at once is leased to the caller.
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
                slot: event.audience.slot(),
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
                .bind(i64::from(event.audience.slot()))
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
    /// What is posted: the frame around what happened.
    fn body(&self, now: Millis) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"id":{},"type":"{}","bot":{{"id":{},"name":{}}},"at":"{}","data":{}}}"#,
            text(&self.id),
            self.kind.word(),
            self.audience.slot(),
            text(self.audience.name()),
            rfc3339(now),
            self.data
        )
    }
}
