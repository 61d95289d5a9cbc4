//! The database's evidence of a bot's health.

use crate::clock::Millis;
use crate::{Store, StoreError};

/// The recorded traffic of a bot, including the time before a restart of the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The number of messages not yet taken by WhatsApp.
    pub pending: i64,
    /// The acceptance time of the oldest pending message.
    pub oldest_pending: Option<Millis>,
    /// The time of the last server ack.
    pub last_server_ack: Option<Millis>,
    /// The time of the last inbound message, including messages from the owner's phone.
    pub last_inbound: Option<Millis>,
}

impl Store {
    /// Returns the evidence of a bot. The query takes three index lookups, each at one end of an
    /// index; the writer keeps the count.
    pub async fn evidence(&self, bot_id: i32) -> Result<Evidence, StoreError> {
        // `settled_at > 0` does not change the result. With the condition, SQLite uses the index
        // `messages_taken`; without the condition, an index over all messages.
        let at: (Millis, Millis, Millis) = sqlx::query_as(
            "SELECT COALESCE((SELECT accepted_at FROM messages WHERE bot = $1 AND ack = 0 ORDER BY seq LIMIT 1), 0), \
             COALESCE((SELECT settled_at FROM messages WHERE bot = $1 AND ack > 0 AND settled_at > 0 \
             ORDER BY settled_at DESC LIMIT 1), 0), \
             COALESCE((SELECT MAX(received_at) FROM inbound WHERE bot = $1), 0)",
        )
        .bind(i64::from(bot_id))
        .fetch_one(&self.reads)
        .await?;
        let known = |at: Millis| (at > 0).then_some(at);
        Ok(Evidence {
            pending: self.state.counts().queued_of(bot_id),
            oldest_pending: known(at.0),
            last_server_ack: known(at.1),
            last_inbound: known(at.2),
        })
    }
}
