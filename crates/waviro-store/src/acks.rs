//! Applies ack updates to messages. An ack only rises, and -1 is final. The callbacks and events
//! for each change are written in the same transaction.

mod ack_events;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::{mpsc, oneshot};
use url::Url;
use waviro_link::MessageId;

use super::deliveries::{self, Due, NewCallback, Work};
use super::events::Audience;
use super::messages::{MessageFailure, message_id, narrow};
use super::writer::{Command, Counters};
use super::{Committed, Store, StoreError, sql};
use crate::clock::Millis;

/// An update of a message's ack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckUpdate {
    /// The message reached ack 1 to 3. A value that is not above the known ack changes nothing. A
    /// message to a group stays at 1.
    Reached(i8),
    /// A device of a group member received or read the message. The update implies that the server
    /// took the message.
    Member {
        /// 2 for delivered, 3 for read.
        level: i8,
        /// The member's address, `628…@c.us` or `…@lid`.
        member: String,
        /// The member's level becomes the ack of the whole group message.
        for_all: bool,
    },
    /// As [`Self::Reached`], but a message to a group rises too.
    ReachedSomebody(i8),
    /// The message failed. Changes nothing unless the ack is 0.
    Failed(MessageFailure),
    /// A receipt. Changes nothing unless the sender is a recipient of the message.
    Receipt {
        /// The sender and the chat of the receipt.
        by: Reader,
        /// The update reported by the receipt.
        update: Box<AckUpdate>,
    },
}

/// The sender and the chat of a receipt. Anybody who knows the id of a message can send a receipt
/// for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The receipt came from a group.
    pub in_group: bool,
    /// The group's address as stored in the database, if known.
    pub group: Option<String>,
    /// The sender's addresses as stored in the database: by number and by LID. Empty if WhatsApp
    /// does not name the sender.
    pub names: Vec<String>,
}

impl Reader {
    /// Returns `true` if a message to `chat` was sent to this sender. A group's receipts need no
    /// check of the member, because the server forwards receipts of members only.
    pub(super) fn is_recipient(&self, chat: &str, is_group: bool) -> bool {
        if self.in_group {
            return is_group && self.group.as_deref().is_none_or(|group| group == chat);
        }
        !is_group && (self.names.is_empty() || self.names.iter().any(|name| name == chat))
    }
}

/// The channels to notify after the commit.
#[derive(Debug, Clone)]
pub struct CommitFeeds {
    /// The bot's lane; gets the messages that left ack 0.
    pub lane: mpsc::UnboundedSender<Committed>,
    /// The deliveries that are due at once, leased to this process.
    pub deliveries: mpsc::UnboundedSender<Due>,
}

impl CommitFeeds {
    /// Sends due deliveries to the delivery engine. If the channel is closed, the process is
    /// stopping; the next process finds the rows in the database.
    pub fn enqueue(&self, due: Vec<Due>) {
        for due in due {
            let _ = self.deliveries.send(due);
        }
    }
}

/// The command of [`Store::apply_acks`] for the writer.
pub(super) struct ApplyAcks {
    bot_id: i32,
    updates: Vec<(MessageId, AckUpdate)>,
    now: Millis,
    feeds: CommitFeeds,
    audience: Arc<Audience>,
    settled: Vec<MessageId>,
    due: Vec<Due>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

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
        let (answer, receiver) = oneshot::channel();
        self.submit(Command::ApplyAcks(ApplyAcks {
            bot_id,
            updates,
            now,
            feeds: feeds.clone(),
            audience,
            settled: Vec::new(),
            due: Vec::new(),
            answer,
        }))
        .await?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Fails up to `limit` queued messages of a bot with `failure`: the messages with a
    /// [`super::Queued::seq`] of at most `up_to`. Returns the number of failed messages. A number
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
        let rows = sqlx::query(
            "SELECT id FROM messages WHERE bot = $1 AND ack = 0 AND seq <= $2 ORDER BY seq LIMIT $3",
        )
        .bind(i64::from(bot_id))
        .bind(up_to)
        .bind(most)
        .fetch_all(&self.reads)
        .await?;
        let mut updates = Vec::with_capacity(rows.len());
        for row in rows {
            updates.push((
                message_id(row.try_get(0)?)?,
                AckUpdate::Failed(failure.clone()),
            ));
        }
        let count = updates.len();
        if count > 0 {
            self.apply_acks(bot_id, updates, now, feeds).await?;
        }
        Ok(count)
    }
}

/// Applies the updates of one transaction: one query, one update for each new ack and failure, then
/// the callbacks and the events.
pub(super) async fn apply(
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
    let ids: Vec<&MessageId> = commands
        .iter()
        .flat_map(|command| command.updates.iter().map(|(id, _)| id))
        .collect();
    let mut states = HashMap::with_capacity(ids.len());
    for list in sql::lists(&ids) {
        let text = format!(
            "SELECT id, bot, chat, ack, notify_url FROM messages WHERE id IN ({})",
            sql::parameters(list.len(), 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for id in list {
            query = query.bind(id.as_str().to_owned());
        }
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
    let mut groups: BTreeMap<(i8, Option<&MessageFailure>), Vec<&MessageId>> = BTreeMap::new();
    for id in owner.keys() {
        if let Some(state) = states.get(id) {
            let key = (state.ack, state.failure.as_ref());
            groups.entry(key).or_default().push(id);
        }
    }
    for ((ack, failure), ids) in groups {
        for list in sql::lists(&ids) {
            let time = match ack {
                2 => ", delivered_at = $5",
                3 => ", read_at = $5",
                _ => "",
            };
            let text = format!(
                "UPDATE messages SET ack = $1, cause = $2, cause_code = $3, whatsapp_code = $4, \
                 settled_at = COALESCE(settled_at, $5){time} WHERE id IN ({})",
                sql::parameters(list.len(), 6)
            );
            let whatsapp_code = failure.and_then(|failure| failure.cause.whatsapp_code());
            let mut query = sqlx::query(AssertSqlSafe(text))
                .bind(i64::from(ack))
                .bind(failure.map(|failure| failure.text.clone()))
                .bind(failure.map(|failure| failure.cause.code()))
                .bind(whatsapp_code.map(i64::from))
                .bind(now);
            for id in list {
                query = query.bind(id.as_str().to_owned());
            }
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

impl ApplyAcks {
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() {
            // If a channel is closed, the process is stopping; the next process finds the rows in
            // the database.
            for id in self.settled {
                let _ = self.feeds.lane.send(Committed::Settled(id));
            }
            for due in self.due {
                let _ = self.feeds.deliveries.send(due);
            }
        }
        let _ = self.answer.send(done);
    }
}
