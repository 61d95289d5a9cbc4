//! What was written to the bots: kept before WhatsApp gets its ack, and kept once.

mod authors;
mod detail;

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, Row};
use waviro_link::{Chat, Inbound, InboundKind, MediaHandle, MessageId, Sender};

use super::deliveries::{self, Due, Hook};
use super::events::{self, NewEvent};
use super::messages::narrow;
use super::{Store, StoreError, sql};
use crate::clock::{Millis, millis};

use authors::Claim;
pub use detail::{Card as CardDetail, Detail, FileDetail, Place, media_id};

/// A message that arrived, for the database.
#[derive(Debug, Clone)]
pub struct InboundRow {
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

/// A file that came, as far as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRow {
    /// What links call it.
    pub id: String,
    /// The bot that it was sent to.
    pub slot: i32,
    /// What it is fetched by; `None` where retention took it.
    pub handle: Option<MediaHandle>,
    /// What the sender said of it.
    pub about: FileDetail,
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// How many messages were new.
    pub new: usize,
    /// What is to be posted of them, leased to the caller.
    pub due: Vec<Due>,
}

impl InboundRow {
    /// A message and what is to be posted of it, if it is new.
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

    /// The same with the event that tells of it, if it is new.
    #[must_use]
    pub fn with_event(mut self, event: Option<NewEvent>) -> Self {
        self.event = event;
        self
    }
}

/// Who wrote, as the row has them: `628…@c.us`, or `…@lid` where WhatsApp hides the number.
#[must_use]
pub fn address(sender: &Sender) -> String {
    match sender {
        Sender::Number(number) => format!("{number}@c.us"),
        Sender::Hidden(lid) => format!("{lid}@lid"),
    }
}

/// PostgreSQL takes no NUL in a text, and a message that cannot be kept would come again for ever.
fn storable(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

impl Store {
    /// Keeps those that are new, and what is to be posted of them, in one transaction, all or none. Edits and deletions by others than
    /// the author are passed over.
    pub async fn keep_inbound(
        &self,
        slot: i32,
        batch: Vec<InboundRow>,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        self.write("keep_inbound", move |connection, counters| {
            let batch = batch.clone();
            Box::pin(async move {
                let batch = authors::counted(slot, batch, &mut *connection).await?;
                let mut new = HashSet::new();
                for rows in sql::cut(&batch) {
                    let text = format!(
                        "INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at, \
                         quoted, detail, media, media_handle) VALUES {} ON CONFLICT DO NOTHING RETURNING chat, sender, id",
                        sql::tuples(rows.len(), 14)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(text));
                    for row in rows {
                        let media = row.handle.is_some();
                        let media =
                            media.then(|| media_id(slot, &row.chat, &row.sender, &row.id));
                        query = query
                            .bind(i64::from(slot))
                            .bind(row.chat.clone())
                            .bind(row.sender.clone())
                            .bind(row.id.clone())
                            .bind(row.push_name.clone())
                            .bind(i64::from(row.from_me))
                            .bind(row.kind.clone())
                            .bind(row.body.clone())
                            .bind(row.at)
                            .bind(now)
                            .bind(row.quoted.clone())
                            .bind(row.detail.clone())
                            .bind(media)
                            .bind(row.handle.as_ref().map(|handle| handle.as_str().to_owned()));
                    }
                    for row in query.fetch_all(&mut *connection).await? {
                        let key: (String, String, String) =
                            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                        new.insert(key);
                    }
                }
                let mut kept = Kept {
                    new: new.len(),
                    due: Vec::new(),
                };
                let (mut hooks, mut told) = (Vec::new(), Vec::new());
                for row in batch {
                    // Taken out: a batch may hold a message twice.
                    if new.remove(&(row.chat, row.sender, row.id)) {
                        hooks.extend(row.hooks);
                        told.extend(row.event);
                    }
                }
                kept.due = deliveries::insert_hooks(&hooks, now, connection, counters).await?;
                let due = events::insert(&told, now, connection, counters).await?;
                kept.due.extend(due);
                Ok(kept)
            })
        })
        .await
    }

    /// When a message was last sent to, or seen in, each of these chats. Chats without any are not there.
    pub async fn last_activity(
        &self,
        slot: i32,
        chats: &[Chat],
    ) -> Result<HashMap<String, Millis>, StoreError> {
        let addresses: Vec<String> = chats.iter().map(Chat::address).collect();
        let mut spoken = HashMap::with_capacity(addresses.len());
        for asked in sql::lists(&addresses) {
            // Two steps down an index for each chat, however much was said in it.
            let text = format!(
                "WITH asked (bot, chat) AS (VALUES {}) SELECT chat, \
                 COALESCE((SELECT m.accepted_at FROM messages m WHERE m.bot = asked.bot AND m.chat = asked.chat \
                 AND m.ack >= 0 AND m.seq > 0 ORDER BY m.seq DESC LIMIT 1), 0), \
                 COALESCE((SELECT MAX(i.at) FROM inbound i WHERE i.bot = asked.bot AND i.chat = asked.chat), 0) FROM asked",
                sql::tuples(asked.len(), 2)
            );
            let mut query = sqlx::query(AssertSqlSafe(text));
            for chat in asked {
                query = query.bind(i64::from(slot)).bind(chat);
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

    /// The file that links call so.
    pub async fn media(&self, id: &str) -> Result<Option<MediaRow>, StoreError> {
        let row = sqlx::query(
            "SELECT bot, media_handle, COALESCE(detail, '{}') FROM inbound WHERE media = $1",
        )
        .bind(id.to_owned())
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
            slot: narrow(row.try_get(0)?)?,
            handle: handle.transpose()?,
            about: detail.media.unwrap_or_default(),
        }))
    }

    /// Which of these files may still be fetched.
    pub async fn known_media(&self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut known = HashSet::new();
        for list in sql::lists(ids) {
            let text = format!(
                "SELECT media FROM inbound WHERE media_handle IS NOT NULL AND media IN ({})",
                sql::parameters(list.len(), 1)
            );
            let query = list
                .into_iter()
                .fold(sqlx::query(AssertSqlSafe(text)), sqlx::query::Query::bind);
            for row in query.fetch_all(&self.reads).await? {
                known.insert(row.try_get(0)?);
            }
        }
        Ok(known)
    }

    /// Those of these messages that the bot has not.
    pub async fn unknown_inbound(
        &self,
        slot: i32,
        ids: Vec<MessageId>,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut known = HashSet::new();
        for asked in sql::lists(&ids) {
            let text = format!(
                "SELECT id FROM inbound WHERE bot = $1 AND id IN ({})",
                sql::parameters(asked.len(), 2)
            );
            let mut query = sqlx::query(AssertSqlSafe(text)).bind(i64::from(slot));
            for id in asked {
                query = query.bind(id.as_str().to_owned());
            }
            for row in query.fetch_all(&self.reads).await? {
                known.insert(row.try_get::<String, _>(0)?);
            }
        }
        let unknown = |id: &MessageId| !known.contains(id.as_str());
        Ok(ids.into_iter().filter(unknown).collect())
    }

    /// How many inbound messages of a bot are kept.
    pub async fn inbound_count(&self, slot: i32) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM inbound WHERE bot = $1")
            .bind(i64::from(slot))
            .fetch_one(&self.reads)
            .await?;
        Ok(row.try_get(0)?)
    }
}
