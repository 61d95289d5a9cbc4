//! How far messages came: acks that only rise, -1 that is final, and the callbacks and events owed for each change.

mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{AnyConnection, AssertSqlSafe, Row};
use tokio::sync::{mpsc, oneshot};
use url::Url;
use waviro_link::MessageId;

use super::deliveries::{self, Due, Owed, Work};
use super::events::Audience;
use super::messages::{message_id, narrow};
use super::writer::{Command, Counters};
use super::{Committed, Store, StoreError, sql};
use crate::clock::Millis;

/// News of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It came as far as this ack, 1 to 3. Lower than what is known changes nothing. Groups stay at 1.
    Reached(i8),
    /// A device of this member of its group has it: 2 or 3. That the server took it follows.
    Member {
        /// 2 delivered, 3 read.
        level: i8,
        /// `628…@c.us` or `…@lid`.
        member: String,
        /// One member's phone counts for all.
        for_all: bool,
    },
    /// The same, and of a group one member's phone counts for all.
    ReachedSomebody(i8),
    /// It ended, with the cause. Counts only where nothing better is known.
    Failed(String),
    /// What a receipt says. Counts only if its sender is a recipient of the message.
    Receipt {
        /// Who sent the receipt, and in which chat.
        by: Reader,
        /// What the receipt says.
        says: Box<News>,
    },
}

/// Who says that a message arrived, and in which chat. Anybody can send a receipt for any message whose id they know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The chat was a group.
    pub in_group: bool,
    /// The group as the row has it, if it is known which.
    pub group: Option<String>,
    /// The person's names as rows have them: by number, by LID. Empty if WhatsApp does not say who it is.
    pub names: Vec<String>,
}

impl Reader {
    /// Whether the message in this chat was sent to them. A group's server passes on its members' receipts alone.
    pub(super) fn is_recipient(&self, chat: &str, is_group: bool) -> bool {
        if self.in_group {
            return is_group && self.group.as_deref().is_none_or(|group| group == chat);
        }
        !is_group && (self.names.is_empty() || self.names.iter().any(|name| name == chat))
    }
}

/// Who is told after the commit.
#[derive(Debug, Clone)]
pub struct Feeds {
    /// The bot's lane: messages that left ack 0.
    pub lane: mpsc::UnboundedSender<Committed>,
    /// Deliveries that are due at once, leased to this process.
    pub deliveries: mpsc::UnboundedSender<Due>,
}

impl Feeds {
    /// Hands what is owed to whoever delivers it. A feed that is gone belongs to a process that stops; the rows stay for the next
    /// one.
    pub(crate) fn owe(&self, due: Vec<Due>) {
        for due in due {
            let _ = self.deliveries.send(due);
        }
    }
}

/// The writer's command.
pub(super) struct Raise {
    slot: i32,
    news: Vec<(MessageId, News)>,
    now: Millis,
    feeds: Feeds,
    audience: Arc<Audience>,
    settled: Vec<MessageId>,
    due: Vec<Due>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

/// A message while its news are folded in.
struct Standing {
    slot: i32,
    group: bool,
    chat: String,
    notify_url: Option<String>,
    before: i8,
    ack: i8,
    cause: Option<String>,
}

impl Store {
    /// Takes news of a bot's messages; in one transaction with the callbacks and events owed. Ids that the bot never sent are
    /// passed over. Durable when it returns.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing was taken then.
    pub async fn raise(
        &self,
        slot: i32,
        news: Vec<(MessageId, News)>,
        now: Millis,
        feeds: &Feeds,
    ) -> Result<(), StoreError> {
        let audience = self.audience(slot, now).await?;
        let (answer, receiver) = oneshot::channel();
        self.submit(Command::Raise(Raise {
            slot,
            news,
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

    /// Ends up to `limit` queued messages of a bot with `cause`, those accepted at `up_to` ([`super::Queued::seq`]) or
    /// before. Returns how many; fewer than `limit` means that none is left.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing ended then.
    pub async fn end_queue(
        &self,
        slot: i32,
        up_to: i64,
        cause: String,
        limit: usize,
        now: Millis,
        feeds: &Feeds,
    ) -> Result<usize, StoreError> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(
            "SELECT id FROM messages WHERE bot = $1 AND ack = 0 AND seq <= $2 ORDER BY seq LIMIT $3",
        )
        .bind(i64::from(slot))
        .bind(up_to)
        .bind(most)
        .fetch_all(&self.reads)
        .await?;
        let mut news = Vec::with_capacity(rows.len());
        for row in rows {
            news.push((message_id(row.try_get(0)?)?, News::Failed(cause.clone())));
        }
        let count = news.len();
        if count > 0 {
            self.raise(slot, news, now, feeds).await?;
        }
        Ok(count)
    }
}

/// Applies the news of one transaction: one question, an update per level that something rose to, the callbacks,
/// and the events where somebody wants them.
pub(super) async fn apply(
    raises: &mut [Raise],
    connection: &mut AnyConnection,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    if raises.is_empty() {
        return Ok(());
    }
    let mut standings = read(raises, connection).await?;
    let mut owner: HashMap<MessageId, usize> = HashMap::new();
    for (index, raise) in raises.iter_mut().enumerate() {
        (raise.settled, raise.due) = (Vec::new(), Vec::new());
        for (id, news) in &raise.news {
            if let Some(standing) = standings.get_mut(id).filter(|it| it.slot == raise.slot)
                && standing.take(news)
            {
                owner.insert(id.clone(), index);
            }
        }
    }
    let now = raises.iter().map(|raise| raise.now).max().unwrap_or(0);
    write(&standings, &owner, now, connection).await?;

    let mut owing = Vec::new();
    for (id, index) in &owner {
        let Some(standing) = standings.get(id) else {
            continue;
        };
        if standing.before == 0 {
            counters.waiting.queue(standing.slot, -1);
            if let Some(raise) = raises.get_mut(*index) {
                raise.settled.push(id.clone());
            }
        }
        if let Some(url) = standing
            .notify_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok())
        {
            owing.push(Owed {
                slot: standing.slot,
                message: id.clone(),
                url,
                stage: if standing.ack < 0 {
                    0
                } else {
                    standing.before + 1
                },
                ack: standing.ack,
            });
        }
    }
    for due in deliveries::insert_callbacks(owing, now, connection, counters).await? {
        let Work::Callback(callback) = &due.work else {
            continue;
        };
        if let Some(raise) = owner
            .get(&callback.message)
            .and_then(|index| raises.get_mut(*index))
        {
            raise.due.push(due);
        }
    }
    told::write(raises, &standings, &owner, now, connection, counters).await
}

async fn read(
    raises: &[Raise],
    connection: &mut AnyConnection,
) -> Result<HashMap<MessageId, Standing>, StoreError> {
    let ids: Vec<&MessageId> = raises
        .iter()
        .flat_map(|raise| raise.news.iter().map(|(id, _)| id))
        .collect();
    let mut standings = HashMap::with_capacity(ids.len());
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
            let standing = Standing {
                slot: narrow(row.try_get(1)?)?,
                group: chat.ends_with("@g.us"),
                chat,
                notify_url: row.try_get(4)?,
                before: ack,
                ack,
                cause: None,
            };
            standings.insert(message_id(row.try_get(0)?)?, standing);
        }
    }
    Ok(standings)
}

async fn write(
    standings: &HashMap<MessageId, Standing>,
    owner: &HashMap<MessageId, usize>,
    now: Millis,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    // By ack and cause: a queue that ends all at once has one cause.
    let mut groups: BTreeMap<(i8, Option<&str>), Vec<&MessageId>> = BTreeMap::new();
    for id in owner.keys() {
        if let Some(standing) = standings.get(id) {
            let key = (standing.ack, standing.cause.as_deref());
            groups.entry(key).or_default().push(id);
        }
    }
    for ((ack, cause), ids) in groups {
        for list in sql::lists(&ids) {
            let came = match ack {
                2 => ", delivered_at = $3",
                3 => ", read_at = $3",
                _ => "",
            };
            let text = format!(
                "UPDATE messages SET ack = $1, cause = $2, settled_at = COALESCE(settled_at, $3){came} WHERE id IN ({})",
                sql::parameters(list.len(), 4)
            );
            let mut query = sqlx::query(AssertSqlSafe(text))
                .bind(i64::from(ack))
                .bind(cause.map(str::to_owned))
                .bind(now);
            for id in list {
                query = query.bind(id.as_str().to_owned());
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

impl Standing {
    /// Folds one piece of news in; whether anything changed.
    fn take(&mut self, news: &News) -> bool {
        match news {
            News::Receipt { by, says } => {
                by.is_recipient(&self.chat, self.group) && self.take(says)
            }
            News::Reached(level) | News::ReachedSomebody(level) | News::Member { level, .. } => {
                let for_all = match news {
                    News::ReachedSomebody(_) => true,
                    News::Member { for_all, .. } => *for_all,
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
            News::Failed(cause) => {
                let ends = self.ack == 0;
                if ends {
                    self.ack = -1;
                    self.cause = Some(cause.clone());
                }
                ends
            }
        }
    }
}

impl Raise {
    pub(super) fn answer(self, done: Result<(), StoreError>) {
        if done.is_ok() {
            // Feeds that are gone belong to a process that stops; the rows stay for the next one.
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
