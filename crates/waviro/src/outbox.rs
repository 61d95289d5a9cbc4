//! The one door out: whatever is to be sent passes [`Outbox::accept`].
//!
//! Accepting checks that the bot's link can be expected to carry the message, that the number is on WhatsApp (from memory
//! or the database; a lookup on the wire only where neither knows) and that it is no repeat, and makes the message
//! durable. The row is its own job: there is no moment at which one exists without the other.

mod accept;
mod lookup;
mod media;
mod reply;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use url::Url;
use waviro_link::{Chat, Content, Group, LinkError, MessageId, Number, Outgoing, Status};

use crate::bots::Bot;
use crate::clock::{Clock, Millis, millis};
use crate::config::Limits;
use crate::door::{NoPermit, Permits};
use crate::net::{FetchError, Net};
use crate::store::{Store, StoreError};

use lookup::Lookup;
use media::{NotTaken, Spool};

pub use accept::{Keep, Taken};
pub use media::CAP as FILE_CAP;
pub use reply::{Composed, Composition};

/// How often the spool is looked through.
const SWEPT_EVERY: Duration = Duration::from_hours(1);

/// What may be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A linked bot that lost its connection still accepts for so long, where its own settings don't say. 60 s.
    pub grace: Duration,
    /// A lookup on the wire, waiting for a reconnecting link included, may take so long. 10 s.
    pub lookup_within: Duration,
    /// "Registered" is believed for so long. 7 days.
    pub registered_for: Duration,
    /// "Not registered" is believed for so long: people do sign up. 10 minutes.
    pub unregistered_for: Duration,
    /// Files that are fetched at a time.
    pub fetches: u64,
    /// The same for one bot.
    pub fetches_per_bot: u64,
    /// Files of one bot that wait until they are sent.
    pub waiting_files: u64,
    /// The most of all of them, MiB.
    pub waiting_files_mib: u64,
    /// The disk's free room below which no files are taken, MiB.
    pub free_disk_mib: u64,
}

impl Settings {
    /// The same within these limits.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self {
            fetches: limits.fetches,
            fetches_per_bot: limits.fetches_per_bot,
            waiting_files: limits.waiting_files,
            waiting_files_mib: limits.waiting_files_mib,
            free_disk_mib: limits.free_disk_mib,
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_mins(1),
            lookup_within: Duration::from_secs(10),
            registered_for: Duration::from_hours(7 * 24),
            unregistered_for: Duration::from_mins(10),
            fetches: 64,
            fetches_per_bot: 8,
            waiting_files: 1000,
            waiting_files_mib: 1024,
            free_disk_mib: 0,
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
    net: Net,
    spool: Spool,
    /// Files being fetched, by bot.
    fetches: Permits<i32>,
    random: Mutex<Box<dyn Rng + Send>>,
}

/// What somebody wants sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// To whom.
    pub to: Chat,
    /// What.
    pub content: Draft,
    /// Where changes of its ack are posted.
    pub notify_url: Option<Url>,
}

/// What somebody wants said.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    /// It is all here.
    Ready(Content),
    /// A file that is still to be fetched.
    File {
        /// Where it is.
        url: Url,
        /// What stands under it. Audio carries none on WhatsApp: there it follows as a text.
        caption: Option<String>,
    },
}

/// A message that is durable and will be sent, or end in -1.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The id on the wire and in every callback.
    pub id: MessageId,
    /// When it was accepted.
    pub at: Millis,
    /// The bot's number.
    pub from: Number,
    /// To whom.
    pub to: Chat,
    /// What, as far as it was not known before.
    pub content: Content,
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
    /// The file could not be fetched.
    #[error("no file: {0}")]
    NoFile(FetchError),
    /// No more files are taken now.
    #[error("no room for another file: {0:?}")]
    NoRoom(NoRoom),
    /// More than the database can take at once; worth another try in a second.
    #[error("too many messages at once")]
    Busy,
    /// The database.
    #[error(transparent)]
    Storage(StoreError),
}

/// Why no more files are taken now. A message without one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// As many are being fetched as may be, for this bot or for all.
    Fetches(NoPermit),
    /// As many of this bot's wait until they are sent as may.
    Waiting {
        /// The most.
        files: u64,
        /// The most of all together, MiB.
        mib: u64,
    },
    /// The disk has less free than `limits.free_disk_mib`.
    Disk,
}

impl Inner {
    /// Why a file was not taken, for whoever asked for it.
    fn refusal(&self, none: NotTaken) -> Refusal {
        match none {
            NotTaken::Fetch(error) => Refusal::NoFile(error),
            NotTaken::TooMany => Refusal::NoRoom(NoRoom::Waiting {
                files: self.settings.waiting_files,
                mib: self.settings.waiting_files_mib,
            }),
            NotTaken::Disk => Refusal::NoRoom(NoRoom::Disk),
        }
    }
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
    /// `spool` is the folder for files on their way out; `random` makes the ids of messages, seeded in tests, the system's
    /// otherwise.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(
        store: Store,
        net: Net,
        clock: Clock,
        settings: Settings,
        spool: PathBuf,
        random: impl Rng + Send + 'static,
    ) -> std::io::Result<Self> {
        let lookup = Lookup::new(store.clone(), clock.clone(), &settings);
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            fetches: Permits::new(settings.fetches, settings.fetches_per_bot),
            spool: Spool::prepare(spool, &settings)?,
            settings,
            lookup,
            net,
            random: Mutex::new(Box::new(random)),
        })))
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

    /// A message of a queue with its file where it is now: rows name it without its folder.
    #[must_use]
    pub fn located(&self, mut message: Outgoing) -> Outgoing {
        if let Content::Media(media) = &mut message.content {
            media.file = self.0.spool.path(&media.file);
        }
        message
    }

    /// The message is final: its file, if it had one, is of no more use.
    pub async fn let_go(&self, content: &Content) {
        if let Content::Media(media) = content {
            let spool = &self.0.spool;
            spool.remove(&spool.path(&media.file)).await;
        }
    }

    /// Removes files that no pending message names, until `stop`: what a kill, or the end of a whole queue, left behind.
    pub async fn keep_swept(self, stop: CancellationToken) {
        loop {
            match self.0.spool.sweep(&self.0.store).await {
                Ok(0) => {}
                Ok(files) => info!(files, "removed files that no message waits for"),
                Err(reason) => error!(%reason, "the spool could not be swept"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.clock.sleep(SWEPT_EVERY) => {}
            }
        }
    }

    /// Whether the link can be expected to carry a message soon.
    fn connected(&self, bot: &Bot) -> Result<(), Refusal> {
        let status = bot.status();
        let silent = bot.silent_for(&self.0.clock);
        let grace = millis(bot.settings().grace(self.0.settings.grace));
        match status {
            Status::Online => Ok(()),
            Status::Reconnecting { .. } if silent <= grace => Ok(()),
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
