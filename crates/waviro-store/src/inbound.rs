//! Inbound messages. Each message is stored once, and before WhatsApp gets its ack.

mod authors;
mod detail;

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use waviro_link::{Chat, Inbound, InboundKind, MediaHandle, MessageId, Sender};

use crate::clock::{Millis, millis};
use crate::deliveries::{self, Due, Hook};
use crate::events::{self, NewEvent};
use crate::row::narrow;
use crate::{Store, StoreError, sql};

use authors::Claim;
pub use detail::{Detail, FileDetail, media_id};

/// An inbound message to be stored.
#[derive(Debug, Clone)]
pub struct NewInboundRow {
    chat: String,
    sender: String,
    id: String,
    push_name: String,
    from_me: bool,
    kind: String,
    body: String,
    at: Millis,
    quoted: Option<String>,
    detail: Option<String>,
    handle: Option<MediaHandle>,
    alias: Option<String>,
    claim: Option<Claim>,
    hooks: Vec<Hook>,
    event: Option<NewEvent>,
}

/// The file of an inbound message, as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRow {
    /// The id used in links to the file.
    pub id: String,
    /// The bot that received the file.
    pub bot_id: i32,
    /// The handle for the download from WhatsApp; `None` after retention deleted the handle.
    pub handle: Option<MediaHandle>,
    /// The details reported by the sender.
    pub about: FileDetail,
}

/// The result of [`Store::keep_inbound`].
#[derive(Debug, Default)]
pub struct StoredInbound {
    /// The number of new messages.
    pub new: usize,
    /// The due deliveries of the new messages, leased to the caller.
    pub due: Vec<Due>,
}

impl NewInboundRow {
    /// Creates a row, with the webhooks to post if the message is new.
    #[must_use]
    pub fn new(inbound: Inbound, hooks: Vec<Hook>) -> Self {
        let kind = inbound.kind.word().to_owned();
        let body = inbound.kind.text().unwrap_or_default().to_owned();
        Self {
            chat: inbound.chat.address(),
            sender: address(&inbound.sender),
            id: inbound.id.as_str().to_owned(),
            push_name: storable(inbound.push_name),
            from_me: inbound.from_me,
            kind,
            body: storable(body),
            quoted: inbound.quoted.map(|quoted| quoted.as_str().to_owned()),
            detail: Detail::of(&inbound.kind).json(),
            alias: inbound.alias.as_ref().map(address),
            claim: match &inbound.kind {
                InboundKind::Edited { of, .. } => Some(Claim {
                    of: of.as_str().to_owned(),
                    by_admin: false,
                }),
                InboundKind::Deleted { of, by_admin } => Some(Claim {
                    of: of.as_str().to_owned(),
                    by_admin: *by_admin,
                }),
                _ => None,
            },
            handle: match inbound.kind {
                InboundKind::Media(file) => Some(file.handle),
                _ => None,
            },
            hooks,
            event: None,
            at: inbound
                .at
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, millis),
        }
    }

    /// Adds the event to write if the message is new.
    #[must_use]
    pub fn with_event(mut self, event: Option<NewEvent>) -> Self {
        self.event = event;
        self
    }
}

/// Returns the stored address of a sender: `628…@c.us`, or `…@lid` if WhatsApp hides the number.
#[must_use]
pub fn address(sender: &Sender) -> String {
    match sender {
        Sender::Number(number) => format!("{number}@c.us"),
        Sender::Hidden(lid) => format!("{lid}@lid"),
    }
}

/// Replaces NUL characters. PostgreSQL refuses a text with NUL, and WhatsApp would redeliver a
/// message that cannot be stored forever.
fn storable(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

impl Store {
    /// Stores the new messages of a batch and their deliveries in one transaction. Edits and
    /// deletions by anyone but the author, or an admin in case of a deletion, are ignored.
    pub async fn keep_inbound(
        &self,
        bot_id: i32,
        batch: Vec<NewInboundRow>,
        now: Millis,
    ) -> Result<StoredInbound, StoreError> {
        self.write("keep_inbound", batch, move |batch, connection, counters| {
            Box::pin(async move {
                let batch = authors::counted(bot_id, batch.clone(), &mut *connection).await?;
                let mut new = HashSet::new();
                for rows in sql::cut(&batch) {
                    let text = format!(
                        "INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at, \
                         quoted, detail, media, media_handle) VALUES {} ON CONFLICT DO NOTHING RETURNING chat, sender, id",
                        sql::tuples(rows.len(), 14)
                    );
                    let mut query = sql::query(text);
                    for row in rows {
                        let media = row.handle.is_some();
                        let media =
                            media.then(|| media_id(bot_id, &row.chat, &row.sender, &row.id));
                        query = query
                            .bind(i64::from(bot_id))
                            .bind(&row.chat)
                            .bind(&row.sender)
                            .bind(&row.id)
                            .bind(&row.push_name)
                            .bind(i64::from(row.from_me))
                            .bind(&row.kind)
                            .bind(&row.body)
                            .bind(row.at)
                            .bind(now)
                            .bind(&row.quoted)
                            .bind(&row.detail)
                            .bind(media)
                            .bind(row.handle.as_ref().map(MediaHandle::as_str));
                    }
                    for row in query.fetch_all(&mut *connection).await? {
                        let key: (String, String, String) =
                            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                        new.insert(key);
                    }
                }
                let mut kept = StoredInbound {
                    new: new.len(),
                    due: Vec::new(),
                };
                let (mut hooks, mut events_to_store) = (Vec::new(), Vec::new());
                for row in batch {
                    // `remove` instead of `contains`: a batch may hold a message twice.
                    if new.remove(&(row.chat, row.sender, row.id)) {
                        hooks.extend(row.hooks);
                        events_to_store.extend(row.event);
                    }
                }
                kept.due = deliveries::insert_hooks(&hooks, now, connection, counters).await?;
                let due = events::insert(&events_to_store, now, connection, counters).await?;
                kept.due.extend(due);
                Ok(kept)
            })
        })
        .await
    }

    /// Returns the time of the last message sent to, or received in, each chat. Chats without
    /// messages are missing in the result.
    pub async fn last_activity(
        &self,
        bot_id: i32,
        chats: &[Chat],
    ) -> Result<HashMap<String, Millis>, StoreError> {
        let addresses: Vec<String> = chats.iter().map(Chat::address).collect();
        let mut spoken = HashMap::with_capacity(addresses.len());
        for list in sql::lists(&addresses) {
            // Each chat takes two index lookups, independent of the number of its messages.
            let text = format!(
                "WITH asked (bot, chat) AS (VALUES {}) SELECT chat, \
                 COALESCE((SELECT m.accepted_at FROM messages m WHERE m.bot = asked.bot AND m.chat = asked.chat \
                 AND m.ack >= 0 AND m.seq > 0 ORDER BY m.seq DESC LIMIT 1), 0), \
                 COALESCE((SELECT MAX(i.at) FROM inbound i WHERE i.bot = asked.bot AND i.chat = asked.chat), 0) FROM asked",
                sql::tuples(list.len(), 2)
            );
            let mut query = sql::query(text);
            for chat in list {
                query = query.bind(i64::from(bot_id)).bind(chat);
            }
            for row in query.fetch_all(&self.reads).await? {
                let (sent, seen): (Millis, Millis) = (row.try_get(1)?, row.try_get(2)?);
                if sent.max(seen) > 0 {
                    spoken.insert(row.try_get(0)?, sent.max(seen));
                }
            }
        }
        Ok(spoken)
    }

    /// Returns the file with the id used in links.
    pub async fn media(&self, id: &str) -> Result<Option<MediaRow>, StoreError> {
        let row = sqlx::query(
            "SELECT bot, media_handle, COALESCE(detail, '{}') FROM inbound WHERE media = $1",
        )
        .bind(id)
        .fetch_optional(&self.reads)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (handle, detail): (Option<String>, String) = (row.try_get(1)?, row.try_get(2)?);
        let unreadable = || StoreError::Unreadable("what a file is fetched by".to_owned());
        let handle = handle.map(|handle| handle.parse().map_err(|_| unreadable()));
        let detail: Detail = serde_json::from_str(&detail).map_err(|_| unreadable())?;
        Ok(Some(MediaRow {
            id: id.to_owned(),
            bot_id: narrow(row.try_get(0)?)?,
            handle: handle.transpose()?,
            about: detail.media.unwrap_or_default(),
        }))
    }

    /// Returns the ids of the files that can still be downloaded.
    pub async fn known_media(&self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut known = HashSet::new();
        for (listed, list) in sql::numbered(ids, 1) {
            let text = format!(
                "SELECT media FROM inbound WHERE media_handle IS NOT NULL AND media IN ({listed})"
            );
            let query = sql::bind_all(sql::query(text), list);
            for row in query.fetch_all(&self.reads).await? {
                known.insert(row.try_get(0)?);
            }
        }
        Ok(known)
    }

    /// Returns the ids unknown to the bot.
    pub async fn unknown_inbound(
        &self,
        bot_id: i32,
        ids: Vec<MessageId>,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut known = HashSet::new();
        let named: Vec<&str> = ids.iter().map(MessageId::as_str).collect();
        for (listed, list) in sql::numbered(&named, 2) {
            let text = format!("SELECT id FROM inbound WHERE bot = $1 AND id IN ({listed})");
            let query = sql::query(text).bind(i64::from(bot_id));
            let query = sql::bind_all(query, list);
            for row in query.fetch_all(&self.reads).await? {
                known.insert(row.try_get::<String, _>(0)?);
            }
        }
        let unknown = |id: &MessageId| !known.contains(id.as_str());
        Ok(ids.into_iter().filter(unknown).collect())
    }

    /// Returns the number of stored inbound messages of a bot.
    pub async fn inbound_count(&self, bot_id: i32) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM inbound WHERE bot = $1");
        let count = count.bind(i64::from(bot_id)).fetch_one(&self.reads);
        Ok(count.await?)
    }
}
