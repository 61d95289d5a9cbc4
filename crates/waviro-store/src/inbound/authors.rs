//! Checks the authors of edits and deletions. Only the author of a message may edit the message.
//! Only the author or an admin of the group may delete the message.
//!
//! The sender of an edit chooses the id of the edited message. The author of that message is looked
//! up in the database. If the message is unknown, the edit or deletion is accepted, because nothing
//! contradicts it.

use std::collections::HashMap;

use sqlx::{AnyConnection, Row};
use tracing::debug;

use super::NewInboundRow;
use crate::{StoreError, sql};

/// The target of an edit or a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The id of the edited or deleted message.
    pub(super) of: String,
    /// WhatsApp reports the sender as an admin of the group.
    pub(super) by_admin: bool,
}

/// The author and the chat of a message.
struct Written {
    chat: String,
    sender: String,
    from_me: bool,
}

/// Returns the batch without unauthorized edits and deletions.
pub(super) async fn counted(
    bot_id: i32,
    batch: Vec<NewInboundRow>,
    connection: &mut AnyConnection,
) -> Result<Vec<NewInboundRow>, StoreError> {
    let named: Vec<String> = batch
        .iter()
        .filter_map(|row| Some(row.claim.as_ref()?.of.clone()))
        .collect();
    if named.is_empty() {
        return Ok(batch);
    }
    let mut written = read(bot_id, &named, connection).await?;
    for row in batch.iter().filter(|row| row.claim.is_none()) {
        written.entry(row.id.clone()).or_default().push(Written {
            chat: row.chat.clone(),
            sender: row.sender.clone(),
            from_me: row.from_me,
        });
    }
    let counts = |row: &NewInboundRow| {
        let Some(claim) = &row.claim else {
            return true;
        };
        let known = written.get(&claim.of).map_or(&[][..], Vec::as_slice);
        let counts = claim.by_admin || is_author(row, known);
        if !counts {
            debug!(
                bot_id,
                kind = row.kind,
                "edit or deletion ignored: the sender is not the author"
            );
        }
        counts
    };
    Ok(batch.into_iter().filter(counts).collect())
}

/// Returns `true` if the sender wrote the message, or if the author is unknown.
fn is_author(row: &NewInboundRow, known: &[Written]) -> bool {
    let is_same = |name: &str| name == row.sender || Some(name) == row.alias.as_deref();
    let in_group = row.chat.ends_with("@g.us");
    let mut here = known
        .iter()
        .filter(|it| {
            // A chat with a person has two addresses, as the person has: by number and by LID.
            it.chat == row.chat || (!in_group && (it.from_me || is_same(&it.chat)))
        })
        .peekable();
    here.peek().is_none()
        || here.any(|it| {
            if row.from_me {
                it.from_me
            } else {
                !it.from_me && is_same(&it.sender)
            }
        })
}

/// Returns the authors of all messages with these ids, inbound and sent.
async fn read(
    bot_id: i32,
    ids: &[String],
    connection: &mut AnyConnection,
) -> Result<HashMap<String, Vec<Written>>, StoreError> {
    let mut written: HashMap<String, Vec<Written>> = HashMap::new();
    for (parameters, list) in sql::numbered(ids, 2) {
        let texts = [
            format!(
                "SELECT id, chat, sender, from_me FROM inbound WHERE bot = $1 AND id IN ({parameters})"
            ),
            format!("SELECT id, chat, '', 1 FROM messages WHERE bot = $1 AND id IN ({parameters})"),
        ];
        for text in texts {
            let query = sql::query(text).bind(i64::from(bot_id));
            let query = sql::bind_all(query, &list);
            for row in query.fetch_all(&mut *connection).await? {
                written.entry(row.try_get(0)?).or_default().push(Written {
                    chat: row.try_get(1)?,
                    sender: row.try_get(2)?,
                    from_me: row.try_get::<i64, _>(3)? != 0,
                });
            }
        }
    }
    Ok(written)
}
