//! The `message.ack` events of a transaction: one event for each new ack of a message, and one for
//! each new level of a group member.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use sqlx::{AnyConnection, Row};
use waviro_link::MessageId;

use super::AckState;
use super::update::AckUpdate;
use crate::clock::Millis;
use crate::command::ApplyAcks;
use crate::counts::Counters;
use crate::events::{self, Audience, EventKind, NewEvent, event_id};
use crate::row::message_id;
use crate::{StoreError, sql};

/// The event's `data`.
#[derive(Serialize)]
struct MessageAckData<'a> {
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
    commands: &mut [ApplyAcks],
    states: &HashMap<MessageId, AckState>,
    owner: &HashMap<MessageId, usize>,
    now: Millis,
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let wants = |command: &ApplyAcks| command.audience.wants(EventKind::MessageAck);
    if !commands.iter().any(wants) {
        return Ok(());
    }
    let mut events = Vec::new();
    for (id, index) in owner {
        let (Some(command), Some(state)) = (commands.get(*index), states.get(id)) else {
            continue;
        };
        if !wants(command) {
            continue;
        }
        let levels = if state.ack < 0 {
            -1..=-1
        } else {
            state.before + 1..=state.ack
        };
        let cause = state.failure.as_ref().map(|failure| failure.text.as_str());
        events.extend(levels.map(|ack| {
            let data = MessageAckData {
                id: id.as_str(),
                ack: ack.into(),
                cause: cause.filter(|_| ack < 0),
                to: &state.chat,
                member: None,
            };
            event(&command.audience, &data)
        }));
    }
    for ((id, member), (level, index)) in raise_members(commands, states, now, connection).await? {
        let (Some(command), Some(state)) = (commands.get(index), states.get(&id)) else {
            continue;
        };
        let data = MessageAckData {
            id: id.as_str(),
            ack: level,
            cause: None,
            to: &state.chat,
            member: Some(Member {
                number: member.strip_suffix("@c.us"),
                contact: &member,
            }),
        };
        events.push(event(&command.audience, &data));
    }
    for due in events::insert(&events, now, connection, counters).await? {
        if let Some(command) = commands
            .iter_mut()
            .find(|command| command.bot_id == due.bot_id)
        {
            command.due.push(due);
        }
    }
    Ok(())
}

/// Returns the group members with a level above the stored level, with the new level and the index
/// of the command. Stores the new levels, so that each level is reported once.
async fn raise_members(
    commands: &[ApplyAcks],
    states: &HashMap<MessageId, AckState>,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<BTreeMap<(MessageId, String), (i64, usize)>, StoreError> {
    let mut reported: BTreeMap<(MessageId, String), (i64, usize)> = BTreeMap::new();
    for (index, command) in commands.iter().enumerate() {
        if !command.audience.wants(EventKind::MessageAck) {
            continue;
        }
        for (id, update) in &command.updates {
            let (by, update) = match update {
                AckUpdate::Receipt { by, update } => (Some(by), &**update),
                update => (None, update),
            };
            let AckUpdate::Member { level, member, .. } = update else {
                continue;
            };
            let is_theirs = |it: &AckState| by.is_none_or(|by| by.is_recipient(&it.chat, it.group));
            let in_group = |it: &AckState| {
                it.bot_id == command.bot_id && it.group && it.ack > 0 && is_theirs(it)
            };
            if states.get(id).is_some_and(in_group) {
                let known = reported.entry((id.clone(), member.clone())).or_default();
                *known = (known.0.max(i64::from(*level)), index);
            }
        }
    }
    let mut rows: Vec<_> = reported.iter().collect();
    rows.sort_unstable();
    let mut risen = Vec::with_capacity(rows.len());
    for chunk in sql::cut(&rows) {
        let text = format!(
            "INSERT INTO receipts (message, member, level, at) VALUES {} ON CONFLICT (message, member) \
             DO UPDATE SET level = excluded.level, at = excluded.at WHERE receipts.level < excluded.level \
             RETURNING message, member",
            sql::tuples(chunk.len(), 4)
        );
        let mut query = sql::query(text);
        for ((id, member), (level, _)) in chunk {
            query = query.bind(id.as_str()).bind(member).bind(*level).bind(now);
        }
        for row in query.fetch_all(&mut *connection).await? {
            let id = message_id(row.try_get(0)?)?;
            risen.push((id, row.try_get::<String, _>(1)?));
        }
    }
    reported.retain(|key, _| risen.contains(key));
    Ok(reported)
}

/// Builds the event. The acks of a message form one line and each member has another line. In a
/// single line, the events of a large group would wait for each other for a very long time.
fn event(audience: &Arc<Audience>, data: &MessageAckData<'_>) -> NewEvent {
    let contact = data.member.as_ref().map_or("", |member| member.contact);
    let kind = EventKind::MessageAck;
    let (bot_id, ack) = (audience.bot_id().to_string(), data.ack.to_string());
    NewEvent {
        audience: Arc::clone(audience),
        kind,
        subject: data.id.to_owned(),
        line: format!("{}{contact}", data.id),
        id: event_id(&[kind.word(), &bot_id, data.id, contact, &ack]),
        // Serializing texts and numbers cannot fail.
        data: serde_json::to_string(data).unwrap_or_default(),
    }
}
