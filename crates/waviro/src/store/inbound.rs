//! What was written to the bots: kept before WhatsApp gets its ack, and kept once.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, Row};
use waviro_link::{Chat, Inbound, Sender};

use super::deliveries::{self, Due, Hook};
use super::{Store, StoreError, sql};
use crate::clock::{Millis, millis};

/// A message that arrived, for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRow {
    chat: String,
    sender: String,
    id: String,
    push_name: String,
    from_me: bool,
    kind: String,
    body: String,
    at: Millis,
    hooks: Vec<Hook>,
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
            sender: match inbound.sender {
                Sender::Number(number) => format!("{number}@c.us"),
                Sender::Hidden(lid) => format!("{lid}@lid"),
            },
            id: inbound.id.as_str().to_owned(),
            push_name: storable(inbound.push_name),
            from_me: inbound.from_me,
            kind,
            body: storable(body),
            hooks,
            at: inbound
                .at
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, millis),
        }
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
    /// Keeps those that are new, and what is to be posted of them, in one transaction, all or none.
    pub async fn keep_inbound(
        &self,
        slot: i32,
        batch: Vec<InboundRow>,
        now: Millis,
    ) -> Result<Kept, StoreError> {
        self.write(move |connection, counters| {
            let batch = batch.clone();
            Box::pin(async move {
                let mut new = HashSet::new();
                for rows in sql::cut(&batch) {
                    let text = format!(
                        "INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at) \
                         VALUES {} ON CONFLICT DO NOTHING RETURNING chat, sender, id",
                        sql::tuples(rows.len(), 10)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(text));
                    for row in rows {
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
                            .bind(now);
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
                let mut hooks = Vec::new();
                for row in batch {
                    // Taken out: a batch may hold a message twice.
                    if new.remove(&(row.chat, row.sender, row.id)) {
                        hooks.extend(row.hooks);
                    }
                }
                kept.due = deliveries::insert_hooks(&hooks, now, connection, counters).await?;
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
                 AND m.ack >= 0 ORDER BY m.seq DESC LIMIT 1), 0), \
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

    /// How many inbound messages of a bot are kept.
    pub async fn inbound_count(&self, slot: i32) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM inbound WHERE bot = $1")
            .bind(i64::from(slot))
            .fetch_one(&self.reads)
            .await?;
        Ok(row.try_get(0)?)
    }
}
