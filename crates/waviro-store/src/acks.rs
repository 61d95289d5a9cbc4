//! Applies ack updates to messages. An ack only rises, and -1 is final. The callbacks and events
//! for each change are written in the same transaction.

mod ack_events;
mod update;

use std::collections::{BTreeMap, HashMap};

use sqlx::{AnyConnection, Row};
use url::Url;
use waviro_link::MessageId;

use crate::clock::Millis;
use crate::command::{ApplyAcks, Command, submit};
use crate::counts::Counters;
use crate::deliveries::{self, NewCallback, Work};
use crate::messages::MessageFailure;
use crate::row::{message_id, narrow};
use crate::{Store, StoreError, sql};

pub use update::{AckUpdate, CommitFeeds, Reader};

/// The state of a message while updates are applied.
struct AckState {
    bot_id: i32,
    group: bool,
    chat: String,
    notify_url: Option<String>,
    before: i8,
    ack: i8,
    failure: Option<MessageFailure>,
}

impl Store {
    /// Applies ack updates to messages of a bot. Callbacks and events are written in the same
    /// transaction. Ids of messages that the bot never sent are ignored. The changes are durable
    /// when the function returns.
    ///
    /// # Errors
    /// Any [`StoreError`]; then no update was applied.
    pub async fn apply_acks(
        &self,
        bot_id: i32,
        updates: Vec<(MessageId, AckUpdate)>,
        now: Millis,
        feeds: &CommitFeeds,
    ) -> Result<(), StoreError> {
        let audience = self.audience(bot_id, now).await?;
        submit(&self.writes, |answer| {
            Command::ApplyAcks(ApplyAcks {
                bot_id,
                updates,
                now,
                feeds: feeds.clone(),
                audience,
                settled: Vec::new(),
                due: Vec::new(),
                answer,
            })
        })
        .await
    }

    /// Fails up to `limit` queued messages of a bot with `failure`: the messages with a
    /// [`crate::Queued::seq`] of at most `up_to`. Returns the number of failed messages. A number
    /// below `limit` means that none is left.
    ///
    /// # Errors
    /// Any [`StoreError`]; then no message failed.
    pub async fn end_queue(
        &self,
        bot_id: i32,
        up_to: i64,
        failure: MessageFailure,
        limit: usize,
        now: Millis,
        feeds: &CommitFeeds,
    ) -> Result<usize, StoreError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM messages WHERE bot = $1 AND ack = 0 AND seq <= $2 ORDER BY seq LIMIT $3",
        )
        .bind(i64::from(bot_id))
        .bind(up_to)
        .bind(most)
        .fetch_all(&self.reads)
        .await?;
        let updates = ids
            .iter()
            .map(|id| Ok((message_id(id)?, AckUpdate::Failed(failure.clone()))));
        let updates: Vec<_> = updates.collect::<Result<_, StoreError>>()?;
        let count = updates.len();
        if count > 0 {
            self.apply_acks(bot_id, updates, now, feeds).await?;
        }
        Ok(count)
    }
}

/// Applies the updates of one transaction: one query, one update for each new ack and failure, then
/// the callbacks and the events.
pub(crate) async fn apply(
    commands: &mut [ApplyAcks],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    if commands.is_empty() {
        return Ok(());
    }
    let mut states = read(commands, connection).await?;
    let mut owner: HashMap<MessageId, usize> = HashMap::new();
    for (index, command) in commands.iter_mut().enumerate() {
        (command.settled, command.due) = (Vec::new(), Vec::new());
        for (id, update) in &command.updates {
            if let Some(state) = states.get_mut(id).filter(|it| it.bot_id == command.bot_id)
                && state.apply(update)
            {
                owner.insert(id.clone(), index);
            }
        }
    }
    let now = commands
        .iter()
        .map(|command| command.now)
        .max()
        .unwrap_or(0);
    write(&states, &owner, now, connection).await?;

    let mut callbacks = Vec::new();
    for (id, index) in &owner {
        let Some(state) = states.get(id) else {
            continue;
        };
        if state.before == 0 {
            counters.waiting.queue(state.bot_id, -1);
            if let Some(command) = commands.get_mut(*index) {
                command.settled.push(id.clone());
            }
        }
        if let Some(url) = state
            .notify_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok())
        {
            callbacks.push(NewCallback {
                bot_id: state.bot_id,
                message: id.clone(),
                url,
                stage: if state.ack < 0 { 0 } else { state.before + 1 },
                ack: state.ack,
            });
        }
    }
    for due in deliveries::insert_callbacks(callbacks, now, connection, counters).await? {
        let Work::Callback(callback) = &due.work else {
            continue;
        };
        if let Some(command) = owner
            .get(&callback.message)
            .and_then(|index| commands.get_mut(*index))
        {
            command.due.push(due);
        }
    }
    ack_events::write(commands, &states, &owner, now, connection, counters).await
}

async fn read(
    commands: &[ApplyAcks],
    connection: &mut AnyConnection,
) -> Result<HashMap<MessageId, AckState>, StoreError> {
    let updates = commands.iter().flat_map(|command| &command.updates);
    let ids: Vec<&str> = updates.map(|(id, _)| id.as_str()).collect();
    let mut states = HashMap::with_capacity(ids.len());
    for (listed, list) in sql::numbered(&ids, 1) {
        let text =
            format!("SELECT id, bot, chat, ack, notify_url FROM messages WHERE id IN ({listed})");
        let query = sql::bind_all(sql::query(text), list);
        for row in query.fetch_all(&mut *connection).await? {
            let chat: String = row.try_get(2)?;
            let ack = narrow(row.try_get(3)?)?;
            let state = AckState {
                bot_id: narrow(row.try_get(1)?)?,
                group: chat.ends_with("@g.us"),
                chat,
                notify_url: row.try_get(4)?,
                before: ack,
                ack,
                failure: None,
            };
            states.insert(message_id(row.try_get(0)?)?, state);
        }
    }
    Ok(states)
}

async fn write(
    states: &HashMap<MessageId, AckState>,
    owner: &HashMap<MessageId, usize>,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    // The groups are by ack and failure. A queue that fails as a whole has one failure, so one
    // group.
    let mut groups: BTreeMap<(i8, Option<&MessageFailure>), Vec<&str>> = BTreeMap::new();
    for id in owner.keys() {
        if let Some(state) = states.get(id) {
            let key = (state.ack, state.failure.as_ref());
            groups.entry(key).or_default().push(id.as_str());
        }
    }
    for ((ack, failure), ids) in groups {
        for (listed, list) in sql::numbered(&ids, 6) {
            let time = match ack {
                2 => ", delivered_at = $5",
                3 => ", read_at = $5",
                _ => "",
            };
            let text = format!(
                "UPDATE messages SET ack = $1, cause = $2, cause_code = $3, whatsapp_code = $4, \
                 settled_at = COALESCE(settled_at, $5){time} WHERE id IN ({listed})"
            );
            let whatsapp_code = failure.and_then(|failure| failure.cause.whatsapp_code());
            let query = sql::query(text)
                .bind(i64::from(ack))
                .bind(failure.map(|failure| failure.text.as_str()))
                .bind(failure.map(|failure| failure.cause.code()))
                .bind(whatsapp_code.map(i64::from))
                .bind(now);
            let query = sql::bind_all(query, list);
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

impl AckState {
    /// Applies an update; returns `true` if the ack changed.
    fn apply(&mut self, update: &AckUpdate) -> bool {
        match update {
            AckUpdate::Receipt { by, update } => {
                by.is_recipient(&self.chat, self.group) && self.apply(update)
            }
            AckUpdate::Reached(level)
            | AckUpdate::ReachedSomebody(level)
            | AckUpdate::Member { level, .. } => {
                let for_all = match update {
                    AckUpdate::ReachedSomebody(_) => true,
                    AckUpdate::Member { for_all, .. } => *for_all,
                    _ => false,
                };
                let capped = self.group && !for_all;
                let level = if capped { (*level).min(1) } else { *level };
                let rises = self.ack >= 0 && level > self.ack;
                if rises {
                    self.ack = level;
                }
                rises
            }
            AckUpdate::Failed(failure) => {
                let ends = self.ack == 0;
                if ends {
                    self.ack = -1;
                    self.failure = Some(failure.clone());
                }
                ends
            }
        }
    }
}
