//! Putting accepted messages in, many at a time, by the duplicate rule.

use std::collections::{HashMap, HashSet};

use sqlx::{AnyConnection, AssertSqlSafe, Row};
use waviro_fault::Bug;
use waviro_link::MessageId;

use super::{Accept, Accepting, NewMessageRow, Repeats, message_id};
use crate::store::writer::Counters;
use crate::store::{StoreError, idempotency, sql};

/// Puts the accepts of one batch in, by the duplicate rule: where the last message of that bot to that chat that did not end in
/// -1 says the same, nothing is put in.
///
/// The first of each chat is held against the table, by the statement that inserts it; after it, that chat's last content is
/// the first's own, whether it was put in or repeats what stood there. So the others are held against the one before them. (By a
/// rule that is bounded in time, one that repeats what stood there is taken to be as old as the request: they differ by a batch.)
pub(in crate::store) async fn apply(
    accepts: &mut [Accept],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let mut last: HashMap<(i32, &str), (&str, usize)> = HashMap::new();
    // By position: the accept that this one repeats, or whether it must still be held against the table.
    let mut repeats = vec![None; accepts.len()];
    let mut to_insert = Vec::with_capacity(accepts.len());
    for (position, accept) in accepts.iter().enumerate() {
        let row = &accept.row;
        let this = (row.content_sha256.as_str(), position);
        let before = last.insert((row.slot, &row.chat), this);
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
                let asked = before.is_none() && row.repeats != Repeats::Fine;
                to_insert.push((position, asked));
            }
        }
    }
    let first_seq = counters.seq + 1;
    counters.seq += i64::try_from(accepts.len()).unwrap_or(i64::MAX);
    for (accept, seq) in accepts.iter_mut().zip(first_seq..) {
        // Of a try before this one, in company, nothing stays.
        (accept.seq, accept.outcome) = (seq, Accepting::Taken);
    }
    for rows in sql::cut(&to_insert) {
        let putting: Vec<Putting<'_>> = rows
            .iter()
            .map(|(position, asked)| Putting {
                row: &accepts[*position].row,
                seq: accepts[*position].seq,
                asked: *asked,
            })
            .collect();
        let taken = insert(&putting, connection, counters).await?;
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

/// Puts in the accepts whose answers are kept, one after the other.
pub(in crate::store) async fn apply_once(
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

/// Accepted side by side, messages may go in a little out of the order of their times. What is further ahead, in milliseconds, was
/// accepted before the machine's clock was put back, nobody knows when: a rule that is bounded in time does not ask about it.
const AHEAD: i64 = 60_000;

/// A row about to be put in.
pub(in crate::store) struct Putting<'a> {
    pub(in crate::store) row: &'a NewMessageRow,
    pub(in crate::store) seq: i64,
    /// By the duplicate rule.
    pub(in crate::store) asked: bool,
}

/// Inserts rows, those that are `asked` about only where the table's last message to that chat says something else.
/// Returns the ids that went in.
pub(in crate::store) async fn insert(
    rows: &[Putting<'_>],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<HashSet<String>, StoreError> {
    // The bound of seq changes nothing: with it SQLite takes messages_last, without it an index over all that the bot sent.
    // PostgreSQL takes the type of a column of VALUES from its rows, and one of NULLs alone for text, which notify_url is.
    let text = format!(
        "WITH new (asked, since, id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded) AS (VALUES {}) \
         INSERT INTO messages (id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded) \
         SELECT id, seq, bot, chat, kind, body, content_sha256, notify_url, ack, accepted_at, reminded FROM new \
         WHERE asked = 0 OR content_sha256 <> COALESCE((SELECT CASE WHEN l.accepted_at >= new.since \
         AND (new.since < 0 OR l.accepted_at <= new.accepted_at + {AHEAD}) THEN l.content_sha256 END FROM messages l \
         WHERE l.bot = new.bot AND l.chat = new.chat AND l.ack >= 0 AND l.seq > 0 ORDER BY l.seq DESC LIMIT 1), '') \
         RETURNING id",
        sql::tuples(rows.len(), 13)
    );
    let mut query = sqlx::query(AssertSqlSafe(text));
    for Putting { row, seq, asked } in rows {
        query = query
            .bind(i64::from(*asked))
            .bind(row.repeats.since())
            .bind(row.message.id.as_str().to_owned())
            .bind(*seq)
            .bind(i64::from(row.slot))
            .bind(row.chat.clone())
            .bind(row.kind)
            .bind(row.body.clone())
            .bind(row.content_sha256.clone())
            .bind(row.notify_url.clone())
            .bind(0_i64)
            .bind(row.at)
            .bind(i64::from(row.notify_url.is_none()));
    }
    // To the last row: SQLite commits a statement outside a transaction when it is through.
    let inserted = query.fetch_all(connection).await?;
    let inserted: HashSet<String> =
        (inserted.iter().map(|row| row.try_get(0))).collect::<Result<_, _>>()?;
    for Putting { row, .. } in rows {
        if inserted.contains(row.id()) {
            counters.waiting.queue(row.slot, 1);
        }
    }
    Ok(inserted)
}

/// The id of the last message before `seq` of that bot to that chat that did not end in -1: which one a refused row
/// repeats.
async fn last_message(
    row: &NewMessageRow,
    seq: i64,
    connection: &mut AnyConnection,
) -> Result<MessageId, StoreError> {
    let found = sqlx::query(
        "SELECT id FROM messages WHERE bot = $1 AND chat = $2 AND ack >= 0 AND seq < $3 \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(i64::from(row.slot))
    .bind(row.chat.clone())
    .bind(seq)
    .fetch_one(connection)
    .await?;
    message_id(found.try_get(0)?)
}
