//! The sent messages of a bot in the message log.

use sqlx::Row;
use sqlx::any::AnyRow;
use waviro_link::Content;

use super::filter::LogFilter;
use super::list::LogTable;
use crate::clock::Millis;
use crate::error::StoreError;
use crate::messages::MessageFailure;
use crate::row::narrow;
use crate::sql::Bound;

/// A sent or queued message.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRow {
    /// The position in the order of acceptance.
    pub seq: i64,
    pub id: String,
    /// The address of the recipient.
    pub chat: String,
    /// The name of the kind.
    pub kind: String,
    pub content: Content,
    /// The URL for callbacks.
    pub notify_url: Option<String>,
    /// The ack, -1 to 3.
    pub ack: i8,
    /// The cause, if the message failed.
    pub failure: Option<MessageFailure>,
    pub accepted_at: Millis,
    /// The time of the server ack or of the failure.
    pub settled_at: Option<Millis>,
    pub delivered_at: Option<Millis>,
    pub read_at: Option<Millis>,
    /// The delivery whose webhook reply contains this message.
    pub reply_of: Option<i64>,
}

/// The position before a page of [`SentRow`]s: the last row of the previous page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentAfter {
    pub accepted_at: Millis,
    pub seq: i64,
}

impl SentRow {
    /// The position of this row.
    #[must_use]
    pub fn cursor(&self) -> SentAfter {
        SentAfter {
            accepted_at: self.accepted_at,
            seq: self.seq,
        }
    }
}

/// The table of the sent messages.
pub(super) struct Sent;

impl LogTable for Sent {
    type Row = SentRow;
    type After = SentAfter;

    const TABLE: &'static str = "messages";
    const COLUMNS: &'static str = "seq, id, chat, kind, body, notify_url, ack, accepted_at, settled_at, delivered_at, read_at, \
         reply_of, cause, cause_code, whatsapp_code";
    const POSITION: &'static [&'static str] = &["accepted_at", "seq"];
    const HAS_JSON_BODY: bool = true;

    fn row(row: &AnyRow) -> Result<SentRow, StoreError> {
        let (kind, body): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        Ok(SentRow {
            seq: row.try_get(0)?,
            id: row.try_get(1)?,
            chat: row.try_get(2)?,
            content: Content::from_json(&kind, &body)?,
            kind,
            notify_url: row.try_get(5)?,
            ack: narrow(row.try_get(6)?)?,
            accepted_at: row.try_get(7)?,
            settled_at: row.try_get(8)?,
            delivered_at: row.try_get(9)?,
            read_at: row.try_get(10)?,
            reply_of: row.try_get(11)?,
            failure: MessageFailure::read(row, 12)?,
        })
    }

    fn text(row: &SentRow) -> &str {
        row.content.text()
    }

    /// A value below -1 counts as -1, the only ack below 0.
    fn state(filter: &LogFilter) -> Option<String> {
        filter.ack.map(|ack| format!("ack = {}", ack.max(-1)))
    }

    fn before(at: Millis) -> SentAfter {
        SentAfter {
            accepted_at: at,
            seq: i64::MIN,
        }
    }

    fn cursor(row: &SentRow) -> SentAfter {
        row.cursor()
    }

    fn bind(query: Bound, position: &SentAfter) -> Bound {
        query.bind(position.accepted_at).bind(position.seq)
    }

    fn time(position: &SentAfter) -> Millis {
        position.accepted_at
    }

    fn is_beyond(cursor: &SentAfter, end: &SentAfter) -> bool {
        cursor < end
    }
}
