//! What was written to the bots: kept before WhatsApp gets its ack, and kept once.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row};
use waviro_link::{Chat, Inbound, Sender};

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
}

impl From<Inbound> for InboundRow {
    fn from(inbound: Inbound) -> Self {
        let kind = inbound.kind.word().to_owned();
        let body = inbound.kind.text().unwrap_or_default().to_owned();
        Self {
            chat: inbound.chat.address(),
            sender: match inbound.sender {
                Sender::Number(number) => format!("{number}@c.us"),
                Sender::Hidden(lid) => format!("{lid}@lid"),
            },
            id: inbound.id.as_str().to_owned(),
            push_name: inbound.push_name,
            from_me: inbound.from_me,
            kind,
            body,
            at: inbound
                .at
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, millis),
        }
    }
}

impl Store {
    /// Keeps those that are new, all or none; returns how many were new. The jobs of keyword rules belong into this
    /// very transaction.
    pub async fn keep_inbound(
        &self,
        slot: i32,
        batch: Vec<InboundRow>,
        now: Millis,
    ) -> Result<usize, StoreError> {
        self.write(move |connection, _| {
            let batch = batch.clone();
            Box::pin(async move {
                let mut new = 0;
                for rows in sql::cut(&batch) {
                    let text = format!(
                        "INSERT INTO inbound (bot, chat, sender, id, push_name, from_me, kind, body, at, received_at) \
                         VALUES {} ON CONFLICT DO NOTHING RETURNING id",
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
                    new += query.fetch_all(&mut *connection).await?.len();
                }
                Ok(new)
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
