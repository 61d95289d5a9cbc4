//! Inserts accepted messages, many at a time, with the duplicate rule.

use std::collections::{HashMap, HashSet};

use sqlx::{AnyConnection, Row};
use waviro_fault::Bug;
use waviro_link::MessageId;

use super::duplicate_rule::Repeats;
use super::queue::{Accepting, NewMessageRow};
use crate::command::Accept;
use crate::counts::Counters;
use crate::row::message_id;
use crate::{StoreError, idempotency, sql};

/// Inserts the accepts of one batch. The duplicate rule refuses a message if the last message of
/// the bot to the chat with an ack other than -1 has the same content.
///
/// The first accept of each chat is compared with the table by the inserting statement. Afterwards
/// the last content of the chat is the content of that accept, inserted or refused. So each later
/// accept is compared with the accept before it. (For a rule with a time limit, a refused repeat
/// counts as old as its request; the difference is at most the duration of a batch.)
pub(crate) async fn apply(
    accepts: &mut [Accept],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let mut last: HashMap<(i32, &str), (&str, usize)> = HashMap::new();
    // Indexed by position: the accept repeated by this accept.
    let mut repeats = vec![None; accepts.len()];
    let mut to_insert = Vec::with_capacity(accepts.len());
    for (position, accept) in accepts.iter().enumerate() {
        let row = &accept.row;
        let this = (row.content_sha256.as_str(), position);
        let before = last.insert((row.bot_id, &row.chat), this);
        if waviro_fault::planted(Bug::DuplicatesAccepted) {
            to_insert.push((position, false));
            continue;
        }
        match before {
            Some((sha256, before))
                if sha256 == row.content_sha256 && row.repeats.refuses(accepts[before].row.at) =>
            {
                repeats[position] = Some(before);
            }
            before => {
                let unless_repeated = before.is_none() && row.repeats != Repeats::Fine;
                to_insert.push((position, unless_repeated));
            }
        }
    }
    let first_seq = counters.seq + 1;
    counters.seq += i64::try_from(accepts.len()).unwrap_or(i64::MAX);
    for (accept, seq) in accepts.iter_mut().zip(first_seq..) {
        // An earlier attempt in a shared transaction may have set both fields.
        (accept.seq, accept.outcome) = (seq, Accepting::Taken);
    }
    for rows in sql::cut(&to_insert) {
        let insertions: Vec<Insertion<'_>> = rows
            .iter()
            .map(|(position, unless_repeated)| Insertion {
                row: &accepts[*position].row,
                seq: accepts[*position].seq,
                unless_repeated: *unless_repeated,
            })
            .collect();
        let taken = insert(&insertions, connection, counters).await?;
        for (position, _) in rows {
            let accept = &mut accepts[*position];
            if !taken.contains(accept.row.message.id.as_str()) {
                let of = last_message(&accept.row, first_seq, connection).await?;
                accept.outcome = Accepting::Duplicate { of };
            }
        }
    }
    for position in 0..accepts.len() {
        if let Some(before) = repeats[position] {
            let of = match &accepts[before].outcome {
                Accepting::Duplicate { of } => of.clone(),
                _ => accepts[before].row.message.id.clone(),
            };
            accepts[position].outcome = Accepting::Duplicate { of };
        }
    }
    Ok(())
}

/// Inserts accepts with a response to store, one after the other.
pub(crate) async fn apply_with_key(
    accepts: &mut [Accept],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    for accept in accepts {
        let before = match &accept.keeping {
            Some(keeping) => idempotency::found(keeping, connection).await?,
            None => None,
        };
        let bytes = before.as_ref().map_or(0, |before| before.bytes);
        if let Some(kept) = before.and_then(|before| before.kept) {
            accept.outcome = Accepting::Before(kept);
            continue;
        }
        apply(std::slice::from_mut(accept), connection, counters).await?;
        if let Some(keeping) = &accept.keeping
            && accept.outcome == Accepting::Taken
        {
            idempotency::put(keeping, bytes, connection).await?;
        }
    }
    Ok(())
}

/// The tolerance for times in the future, in milliseconds. Concurrent messages may be inserted
/// slightly out of the order of their times. A row further ahead was accepted before the machine's
/// clock was put back, at an unknown time, so a rule with a time limit ignores the row.
const AHEAD: i64 = 60_000;

/// A row to be inserted.
pub(crate) struct Insertion<'a> {
    pub(crate) row: &'a NewMessageRow,
    pub(crate) seq: i64,
    /// The duplicate rule must be checked against the table.
    pub(crate) unless_repeated: bool,
}

/// Inserts rows. A row with `unless_repeated` is inserted only if the last message to the chat has
/// another content. Returns the ids of the inserted rows.
pub(crate) async fn insert(
    rows: &[Insertion<'_>],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<HashSet<String>, StoreError> {
    // `l.seq > 0` does not change the result. With the condition, SQLite uses the index
    // `messages_last`; without the condition, an index over all messages of the bot. PostgreSQL
    // derives the type of a VALUES column from its rows; a column of NULLs becomes text, the type
    // of `notify_url`.
    let text = format!(
        "WITH new (unless_repeated, since, id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded) AS (VALUES {}) \
         INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded) \
         SELECT id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded FROM new \
         WHERE unless_repeated = 0 OR content_sha256 <> COALESCE((SELECT CASE WHEN l.accepted_at >= new.since \
         AND (new.since < 0 OR l.accepted_at <= new.accepted_at + {AHEAD}) THEN l.content_sha256 END FROM messages l \
         WHERE l.bot = new.bot AND l.chat = new.chat AND l.ack >= 0 AND l.seq > 0 ORDER BY l.seq DESC LIMIT 1), '') \
         RETURNING id",
        sql::tuples(rows.len(), 13)
    );
    let mut query = sql::query(text);
    for Insertion {
        row,
        seq,
        unless_repeated,
    } in rows
    {
        query = query
            .bind(i64::from(*unless_repeated))
            .bind(row.repeats.since())
            .bind(row.message.id.as_str())
            .bind(*seq)
            .bind(i64::from(row.bot_id))
            .bind(&row.chat)
            .bind(row.kind)
            .bind(&row.body)
            .bind(&row.content_sha256)
            .bind(&row.notify_url)
            .bind(0_i64)
            .bind(row.at)
            .bind(i64::from(row.notify_url.is_none()));
    }
    // `fetch_all` reads to the last row, because SQLite commits a statement outside a transaction
    // only at its end.
    let inserted = query.fetch_all(connection).await?;
    let ids = inserted.iter().map(|row| row.try_get(0));
    let inserted: HashSet<String> = ids.collect::<Result<_, _>>()?;
    for Insertion { row, .. } in rows {
        if inserted.contains(row.id()) {
            counters.waiting.queue(row.bot_id, 1);
        }
    }
    Ok(inserted)
}

/// Returns the message repeated by a refused row: the last message before `seq` of the bot to the
/// chat with an ack other than -1.
async fn last_message(
    row: &NewMessageRow,
    seq: i64,
    connection: &mut AnyConnection,
) -> Result<MessageId, StoreError> {
    let found: String = sqlx::query_scalar(
        "SELECT id FROM messages WHERE bot = $1 AND chat = $2 AND ack >= 0 AND seq < $3 \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(i64::from(row.bot_id))
    .bind(&row.chat)
    .bind(seq)
    .fetch_one(connection)
    .await?;
    message_id(&found)
}
