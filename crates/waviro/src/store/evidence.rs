//! What the database knows of a bot's health.

use sqlx::Row;

use super::{Store, StoreError};
use crate::clock::Millis;

/// What was written down of a bot's traffic, restarts of the gateway included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Messages that WhatsApp has not taken yet.
    pub pending: i64,
    /// When the first of them was accepted.
    pub oldest_pending: Option<Millis>,
    /// When WhatsApp last took a message.
    pub last_server_ack: Option<Millis>,
    /// When something was last written to the bot, or by its own phone.
    pub last_inbound: Option<Millis>,
}

impl Store {
    /// A bot's evidence: three looks into indexes, each at one end, and a count that the writer keeps.
    pub async fn evidence(&self, slot: i32) -> Result<Evidence, StoreError> {
        // The bound of settled_at changes nothing: with it SQLite takes messages_taken, without it an index over all messages.
        let row = sqlx::query(
            "SELECT COALESCE((SELECT accepted_at FROM messages WHERE bot = $1 AND ack = 0 ORDER BY seq LIMIT 1), 0), \
             COALESCE((SELECT settled_at FROM messages WHERE bot = $1 AND ack > 0 AND settled_at > 0 \
             ORDER BY settled_at DESC LIMIT 1), 0), \
             COALESCE((SELECT MAX(received_at) FROM inbound WHERE bot = $1), 0)",
        )
        .bind(i64::from(slot))
        .fetch_one(&self.reads)
        .await?;
        let at = |column: usize| -> Result<Option<Millis>, StoreError> {
            let at: Millis = row.try_get(column)?;
            Ok((at > 0).then_some(at))
        };
        Ok(Evidence {
            pending: self.state.counts().queued_of(slot),
            oldest_pending: at(0)?,
            last_server_ack: at(1)?,
            last_inbound: at(2)?,
        })
    }
}
