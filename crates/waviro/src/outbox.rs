//! The one door out: whatever is to be sent passes [`Outbox::accept`].
//!
//! Accepting checks that the bot's link can be expected to carry the message, that the number is on WhatsApp (from memory
//! or the database; a lookup on the wire only where neither knows) and that it is no repeat, and makes the message
//! durable. The row is its own job: there is no moment at which one exists without the other.

mod lookup;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rand::Rng;
use url::Url;
use waviro_link::{Chat, Content, Group, LinkError, MessageId, Number, Outgoing, Status};

use crate::bots::Bot;
use crate::clock::{Clock, Millis, millis};
use crate::store::{Accepting, NewMessageRow, Store, StoreError};

use lookup::Lookup;

/// What may be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A linked bot that lost its connection still accepts for so long. 60 s.
    pub grace: Duration,
    /// A lookup on the wire, waiting for a reconnecting link included, may take so long. 10 s.
    pub lookup_within: Duration,
    /// "Registered" is believed for so long. 7 days.
    pub registered_for: Duration,
    /// "Not registered" is believed for so long: people do sign up. 10 minutes.
    pub unregistered_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_mins(1),
            lookup_within: Duration::from_secs(10),
            registered_for: Duration::from_hours(7 * 24),
            unregistered_for: Duration::from_mins(10),
        }
    }
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    settings: Settings,
    lookup: Lookup,
    random: Mutex<Box<dyn Rng + Send>>,
}

/// What somebody wants sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// To whom.
    pub to: Chat,
    /// What.
    pub content: Content,
    /// Where changes of its ack are posted.
    pub notify_url: Option<Url>,
}

/// A message that is durable and will be sent, or end in -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The id on the wire and in every callback.
    pub id: MessageId,
    /// When it was accepted.
    pub at: Millis,
    /// The bot's number.
    pub from: Number,
    /// To whom.
    pub to: Chat,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bot has no working link; the state says why. [`Status::Reconnecting`] here means longer than the grace time,
    /// or a number that could not be looked up in time.
    #[error("the bot is not connected: {}", .0.word())]
    NotConnected(Status),
    /// The number is not on WhatsApp.
    #[error("the number is not on WhatsApp")]
    NotRegistered,
    /// The bot is not in the group.
    #[error("the bot is not in the group")]
    NotInGroup,
    /// The message right before it said the same to the same chat.
    #[error("a repeat of {}", .of.as_str())]
    Duplicate {
        /// That message.
        of: MessageId,
    },
    /// WhatsApp did not say whether the number is registered, or which groups the bot is in.
    #[error("WhatsApp could not be asked: {0}")]
    LookupFailed(LinkError),
    /// More than the database can take at once; worth another try in a second.
    #[error("too many messages at once")]
    Busy,
    /// The database.
    #[error(transparent)]
    Storage(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            other => Self::Storage(other),
        }
    }
}

impl Outbox {
    /// `random` makes the ids of messages; seeded in tests, the system's otherwise.
    pub fn new(
        store: Store,
        clock: Clock,
        settings: Settings,
        random: impl Rng + Send + 'static,
    ) -> Self {
        let lookup = Lookup::new(store.clone(), clock.clone(), &settings);
        Self(Arc::new(Inner {
            store,
            clock,
            settings,
            lookup,
            random: Mutex::new(Box::new(random)),
        }))
    }

    /// Takes a message in. Durable and in the bot's queue when this returns `Ok`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing will be sent then.
    pub async fn accept(&self, bot: &Arc<Bot>, message: NewMessage) -> Result<Accepted, Refusal> {
        let accepted = self.take(bot, message).await;
        let outcome = match &accepted {
            Ok(_) => "accepted",
            Err(Refusal::NotConnected(_)) => "not_connected",
            Err(Refusal::NotRegistered) => "not_registered",
            Err(Refusal::NotInGroup) => "not_in_group",
            Err(Refusal::Duplicate { .. }) => "duplicate",
            Err(Refusal::LookupFailed(_)) => "lookup_failed",
            Err(Refusal::Busy) => "busy",
            Err(Refusal::Storage(_)) => "storage",
        };
        metrics::counter!("waviro_messages_offered_total", "outcome" => outcome).increment(1);
        accepted
    }

    /// Whether a number is on WhatsApp, from what is known or by a lookup on the wire.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`] where nothing is known and the link stays down; [`Refusal::LookupFailed`].
    pub async fn is_registered(&self, bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
        self.connected(bot)?;
        self.0.lookup.is_registered(bot, number).await
    }

    /// Every group that the bot is in, and when something was last said in it: the later of the last message sent and the last
    /// one seen, else when the group was made. Last spoken in first.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`], [`Refusal::LookupFailed`] where WhatsApp does not answer and nothing is known,
    /// [`Refusal::Storage`].
    pub async fn groups(&self, bot: &Arc<Bot>) -> Result<Vec<(Group, Millis)>, Refusal> {
        self.connected(bot)?;
        let ask = || bot.groups(&self.0.clock);
        let groups = self.0.lookup.patiently(bot, ask).await?;
        let chats: Vec<Chat> = groups.keys().cloned().map(Chat::Group).collect();
        let spoken = self.0.store.last_activity(bot.slot(), &chats).await?;
        let mut list: Vec<(Group, Millis)> = groups
            .values()
            .map(|group| {
                let made = group
                    .created
                    .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let spoken = spoken
                    .get(&Chat::Group(group.id.clone()).address())
                    .copied();
                (group.clone(), spoken.or(made.map(millis)).unwrap_or(0))
            })
            .collect();
        list.sort_by(|(one, spoken), (other, later)| {
            later.cmp(spoken).then_with(|| one.id.cmp(&other.id))
        });
        Ok(list)
    }

    /// WhatsApp says that the number is gone: the next message to it asks again.
    pub async fn number_gone(&self, number: &Number) {
        self.0.lookup.forget(number).await;
    }

    async fn take(&self, bot: &Arc<Bot>, message: NewMessage) -> Result<Accepted, Refusal> {
        self.connected(bot)?;
        match &message.to {
            Chat::Person(number) => {
                if !self.0.lookup.is_registered(bot, number).await? {
                    return Err(Refusal::NotRegistered);
                }
            }
            Chat::Group(group) => {
                let ask = || bot.is_in(group, &self.0.clock);
                if !self.0.lookup.patiently(bot, ask).await? {
                    return Err(Refusal::NotInGroup);
                }
            }
            Chat::Hidden(_) => {}
        }
        // The lookup may have taken its time: what counts is the link as it is now. The epoch is read before the state,
        // so that an end between the two is found out by the lane.
        let epoch = bot.marks().borrow().epoch;
        self.connected(bot)?;
        let from = bot
            .identity()
            .ok_or_else(|| Refusal::NotConnected(bot.status()))?
            .number;
        let at = self.0.clock.now();
        loop {
            let outgoing = Outgoing {
                id: self.fresh_id(),
                to: message.to.clone(),
                content: message.content.clone(),
            };
            let id = outgoing.id.clone();
            let row =
                NewMessageRow::new(bot.slot(), outgoing, message.notify_url.as_ref(), at, epoch)?;
            match self.0.store.accept(row, bot.lane()).await {
                Ok(Accepting::Taken) => {
                    let to = message.to;
                    return Ok(Accepted { id, at, from, to });
                }
                Ok(Accepting::Duplicate { of }) => return Err(Refusal::Duplicate { of }),
                // The id is taken, which 64 random bits make rare: another one.
                Err(StoreError::Refused(_)) if self.0.store.message(&id).await?.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the link can be expected to carry a message soon.
    fn connected(&self, bot: &Bot) -> Result<(), Refusal> {
        let status = bot.status();
        let silent = self.0.clock.now() - bot.last_online(&self.0.clock);
        match status {
            Status::Online => Ok(()),
            Status::Reconnecting { .. } if silent <= millis(self.0.settings.grace) => Ok(()),
            status => Err(Refusal::NotConnected(status)),
        }
    }

    fn fresh_id(&self) -> MessageId {
        let mut bytes = [0; 8];
        let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.fill_bytes(&mut bytes);
        MessageId::from_random(bytes)
    }
}
