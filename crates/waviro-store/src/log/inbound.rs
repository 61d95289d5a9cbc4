//! The inbound messages of a bot in the message log.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::filter::LogFilter;
use super::list::LogTable;
use crate::clock::Millis;
use crate::error::StoreError;
use crate::inbound::Detail;
use crate::sql::Bound;

/// An inbound message.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundRow {
    /// The message id, unique within chat and sender.
    pub id: String,
    pub chat: String,
    pub sender: String,
    /// The sender's own profile name.
    pub push_name: String,
    /// Sent by the bot's own account on another device.
    pub from_me: bool,
    /// The name of the kind.
    pub kind: String,
    /// The text; empty for other kinds.
    pub text: String,
    /// The time set by WhatsApp.
    pub at: Millis,
    /// The time of arrival at the gateway.
    pub received_at: Millis,
    /// The id of the quoted message.
    pub quoted: Option<String>,
    /// The details of kinds other than text.
    pub detail: Detail,
}

/// The position before a page of [`InboundRow`]s: the last row of the previous page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundAfter {
    pub received_at: Millis,
    pub id: String,
    pub sender: String,
    pub chat: String,
}

impl InboundRow {
    /// The position of this row.
    #[must_use]
    pub fn cursor(&self) -> InboundAfter {
        InboundAfter {
            received_at: self.received_at,
            id: self.id.clone(),
            sender: self.sender.clone(),
            chat: self.chat.clone(),
        }
    }
}

/// The table of the inbound messages.
pub(super) struct Inbound;

impl LogTable for Inbound {
    type Row = InboundRow;
    type After = InboundAfter;

    const TABLE: &'static str = "inbound";
    const COLUMNS: &'static str =
        "id, chat, sender, push_name, from_me, kind, body, at, received_at, quoted, detail";
    const POSITION: &'static [&'static str] = &["received_at", "id", "sender", "chat"];
    const HAS_JSON_BODY: bool = false;

    fn row(row: &AnyRow) -> Result<InboundRow, StoreError> {
        let (from_me, detail): (i64, Option<String>) = (row.try_get(4)?, row.try_get(10)?);
        Ok(InboundRow {
            id: row.try_get(0)?,
            chat: row.try_get(1)?,
            sender: row.try_get(2)?,
            push_name: row.try_get(3)?,
            from_me: from_me != 0,
            kind: row.try_get(5)?,
            text: row.try_get(6)?,
            at: row.try_get(7)?,
            received_at: row.try_get(8)?,
            quoted: row.try_get(9)?,
            detail: detail.map_or_else(Detail::default, |detail| Detail::read(&detail)),
        })
    }

    fn text(row: &InboundRow) -> &str {
        &row.text
    }

    /// An inbound message has no ack.
    fn state(_: &LogFilter) -> Option<String> {
        None
    }

    fn before(at: Millis) -> InboundAfter {
        InboundAfter {
            received_at: at,
            id: String::new(),
            sender: String::new(),
            chat: String::new(),
        }
    }

    fn cursor(row: &InboundRow) -> InboundAfter {
        row.cursor()
    }

    fn bind(query: Bound, position: &InboundAfter) -> Bound {
        query
            .bind(position.received_at)
            .bind(&position.id)
            .bind(&position.sender)
            .bind(&position.chat)
    }

    fn time(position: &InboundAfter) -> Millis {
        position.received_at
    }

    /// The database orders rows of equal time by its own collation, so only the time is compared.
    fn is_beyond(cursor: &InboundAfter, end: &InboundAfter) -> bool {
        cursor.received_at < end.received_at
    }
}
