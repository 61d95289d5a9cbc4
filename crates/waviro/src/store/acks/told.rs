//! The `message.ack` events of a transaction: one event for each new ack of a message, and one for
//! each new level of a group member.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use waviro_link::MessageId;

use super::super::events::{self, Audience, EventKind, NewEvent, event_id};
use super::super::writer::Counters;
use super::super::{StoreError, sql};
use super::{News, Raise, Standing};
use crate::clock::Millis;
use std::sync::Arc;

/// The event's `data`.
#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    ack: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Member<'a>>,
}

/// The group member that received or read the message.
#[derive(Serialize)]
struct Member<'a> {
    number: Option<&'a str>,
    contact: &'a str,
}

/// Writes the events of one transaction's ack updates, and adds the due deliveries to the commands.
/// Reads and writes nothing if no subscriber wants acks.
pub(super) async fn write(
    raises: &mut [Raise],
    standings: &HashMap<MessageId, Standing>,
    owner: &HashMap<MessageId, usize>,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let wants = |raise: &Raise| raise.audience.wants(EventKind::MessageAck);
    if !raises.iter().any(wants) {
        return Ok(());
    }
    let mut events = Vec::new();
    for (id, index) in owner {
        let (Some(raise), Some(standing)) = (raises.get(*index), standings.get(id)) else {
            continue;
        };
        if !wants(raise) {
            continue;
        }
        let stages = if standing.ack < 0 {
            -1..=-1
        } else {
            standing.before + 1..=standing.ack
        };
        events.extend(stages.map(|ack| {
            let told = Told {
                id: id.as_str(),
                ack: ack.into(),
                cause: standing.cause.as_deref().filter(|_| ack < 0),
                to: &standing.chat,
                member: None,
            };
            event(&raise.audience, &told)
        }));
    }
    for ((id, member), (level, index)) in rose(raises, standings, now, connection).await? {
        let (Some(raise), Some(standing)) = (raises.get(index), standings.get(&id)) else {
            continue;
        };
        let told = Told {
            id: id.as_str(),
            ack: level,
            cause: None,
            to: &standing.chat,
            member: Some(Member {
                number: member.strip_suffix("@c.us"),
                contact: &member,
            }),
        };
        events.push(event(&raise.audience, &told));
    }
    for due in events::insert(&events, now, connection, counters).await? {
        if let Some(raise) = raises.iter_mut().find(|raise| raise.slot == due.slot) {
            raise.due.push(due);
        }
    }
    Ok(())
}

/// Returns the group members with a level above the stored level, with the new level and the index
/// of the command. Stores the new levels, so that each level is reported once.
async fn rose(
    raises: &[Raise],
    standings: &HashMap<MessageId, Standing>,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<BTreeMap<(MessageId, String), (i64, usize)>, StoreError> {
    let mut said: BTreeMap<(MessageId, String), (i64, usize)> = BTreeMap::new();
    for (index, raise) in raises.iter().enumerate() {
        if !raise.audience.wants(EventKind::MessageAck) {
            continue;
        }
        for (id, news) in &raise.news {
            let (by, says) = match news {
                News::Receipt { by, says } => (Some(by), &**says),
                news => (None, news),
            };
            let News::Member { level, member, .. } = says else {
                continue;
            };
            let is_theirs = |it: &Standing| by.is_none_or(|by| by.is_recipient(&it.chat, it.group));
            let in_group =
                |it: &Standing| it.slot == raise.slot && it.group && it.ack > 0 && is_theirs(it);
            if standings.get(id).is_some_and(in_group) {
                let known = said.entry((id.clone(), member.clone())).or_default();
                *known = (known.0.max(i64::from(*level)), index);
            }
        }
    }
    let mut rows: Vec<_> = said.iter().collect();
    rows.sort_unstable();
    let mut risen = Vec::with_capacity(rows.len());
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO receipts (message, member, level, at) VALUES {} ON CONFLICT (message, member) \
             DO UPDATE SET level = excluded.level, at = excluded.at WHERE receipts.level < excluded.level \
             RETURNING message, member",
            sql::tuples(chunk.len(), 4)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for ((id, member), (level, _)) in chunk {
            query = query
                .bind(id.as_str().to_owned())
                .bind(member.clone())
                .bind(*level)
                .bind(now);
        }
        for row in query.fetch_all(&mut *connection).await? {
            let id = super::message_id(row.try_get(0)?)?;
            risen.push((id, row.try_get::<String, _>(1)?));
        }
    }
    said.retain(|key, _| risen.contains(key));
    Ok(said)
}

/// Builds the event. The acks of a message form one line and each member has another line. In a
/// single line, the events of a large group would wait for each other for a very long time.
fn event(audience: &Arc<Audience>, told: &Told<'_>) -> NewEvent {
    let contact = told.member.as_ref().map_or("", |member| member.contact);
    let kind = EventKind::MessageAck;
    let (slot, ack) = (audience.slot().to_string(), told.ack.to_string());
    NewEvent {
        audience: Arc::clone(audience),
        kind,
        subject: told.id.to_owned(),
        line: format!("{}{contact}", told.id),
        id: event_id(&[kind.word(), &slot, told.id, contact, &ack]),
        // Serializing texts and numbers cannot fail.
        data: serde_json::to_string(told).unwrap_or_default(),
    }
}
