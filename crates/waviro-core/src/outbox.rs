//! Accepts messages: every message that a bot sends passes [`Outbox::accept`] or
//! [`Outbox::queue_reply`].
//!
//! A message is stored after three checks:
//!
//! - The bot's link can be expected to send the message soon.
//! - The number is on WhatsApp. Memory answers first, then the database, and only then a lookup at
//!   WhatsApp.
//! - The message is no repeat by the duplicate rule.
//!
//! The row of a message is also the message's job, so a message never exists without a job.

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
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{Store, StoreError};

use crate::bots::Bot;
use crate::config::Limits;
use crate::net::{FetchError, Net};
use crate::permits::{NoPermit, Permits};

use lookup::Lookup;
use media::{NotTaken, Spool};

pub use accept::{Keep, Taken};
pub use media::{CAP as FILE_CAP, WITHIN as FILE_WITHIN};
pub use reply::{Composed, Composition};

/// The time between two sweeps of the spool.
const SWEPT_EVERY: Duration = Duration::from_hours(1);

/// The settings of the outbox.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a linked bot still accepts messages after its connection was lost, unless the bot's
    /// own settings differ. 60 s.
    pub grace: Duration,
    /// The timeout of a lookup at WhatsApp, including the wait for a reconnecting link. 10 s.
    pub lookup_within: Duration,
    /// How long the result "registered" stays valid. 7 days.
    pub registered_for: Duration,
    /// How long the result "not registered" stays valid. Short, because people do sign up. 10
    /// minutes.
    pub unregistered_for: Duration,
    /// The most files fetched at the same time, for all bots together.
    pub fetches: u64,
    /// The most files fetched at the same time for one bot.
    pub fetches_per_bot: u64,
    /// The most files of one bot in the spool.
    pub waiting_files: u64,
    /// The most MiB of one bot's files in the spool.
    pub waiting_files_mib: u64,
    /// The free space on the disk, in MiB, below which no file is accepted.
    pub free_disk_mib: u64,
}

impl Settings {
    /// Returns the settings with the values from `limits`.
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

/// Accepts messages for all bots. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    settings: Settings,
    lookup: Lookup,
    net: Net,
    spool: Spool,
    /// Permits for fetching files, by bot.
    fetches: Permits<i32>,
    random: Mutex<Box<dyn Rng + Send>>,
}

/// A message to accept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The recipient.
    pub to: Chat,
    pub content: Draft,
    /// The URL of the callbacks about the message's ack.
    pub notify_url: Option<Url>,
}

/// The content of a message to accept.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    /// Content without a file to fetch.
    Ready(Content),
    /// A file to fetch.
    File {
        url: Url,
        /// The text below the file. Audio has no caption on WhatsApp, so the caption follows as a
        /// text message.
        caption: Option<String>,
    },
}

/// An accepted message. It is durable, and is either sent or ends with ack -1.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The message id, used towards WhatsApp and in every callback.
    pub id: MessageId,
    /// The time of the acceptance.
    pub at: Millis,
    /// The bot's number.
    pub from: Number,
    /// The recipient.
    pub to: Chat,
    /// The content, with the fetched file if there is a file.
    pub content: Content,
}

/// The reason for refusing a message or a lookup.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bot has no working link; the state gives the cause. [`Status::Reconnecting`] means that
    /// the grace time is over, or that the number could not be looked up in time.
    #[error("the bot is not connected: {}", .0.word())]
    NotConnected(Status),
    #[error("the number is not on WhatsApp")]
    NotRegistered,
    #[error("the bot is not in the group")]
    NotInGroup,
    /// The duplicate rule refuses the message: the last message to the same chat had the same
    /// content.
    #[error("a repeat of {}", .of.as_str())]
    Duplicate {
        /// The id of the earlier message.
        of: MessageId,
    },
    /// WhatsApp did not answer whether the number is registered, or in which groups the bot is.
    #[error("WhatsApp could not be asked: {0}")]
    LookupFailed(LinkError),
    /// The file could not be fetched.
    #[error("no file: {0}")]
    NoFile(FetchError),
    /// No further file is accepted at the moment.
    #[error("no room for another file: {0:?}")]
    NoRoom(NoRoom),
    /// The database has too many writes waiting. A retry after one second may succeed.
    #[error("too many messages at once")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Storage(StoreError),
}

/// The limit that prevents another file. Messages without a file are still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// Too many files are being fetched, for this bot or in all.
    Fetches(NoPermit),
    /// Too many files of the bot wait in the spool.
    Waiting {
        /// The most files of one bot.
        files: u64,
        /// The most MiB of one bot's files.
        mib: u64,
    },
    /// The free space on the disk is below `limits.free_disk_mib`.
    Disk,
}

impl Inner {
    /// Converts the reason of a missing file to the refusal of its message.
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
    /// Makes the folder `spool` for files that wait to be sent. `random` creates the message ids: a
    /// seeded generator in tests, else the system's generator.
    ///
    /// # Errors
    /// Any error of creating the folder.
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

    /// Returns whether a number is on WhatsApp: from memory or the database, else by a lookup at
    /// WhatsApp.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`] if no valid result is stored and the link stays down;
    /// [`Refusal::LookupFailed`].
    pub async fn is_registered(&self, bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
        self.connected(bot)?;
        self.0.lookup.is_registered(bot, number).await
    }

    /// Returns every group of the bot with the time of its last activity: the last message sent or
    /// seen in the group, else the creation of the group. The most recently active group comes
    /// first.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`]; [`Refusal::LookupFailed`] if WhatsApp does not answer and no list
    /// is known; [`Refusal::Storage`].
    pub async fn groups(&self, bot: &Arc<Bot>) -> Result<Vec<(Group, Millis)>, Refusal> {
        self.connected(bot)?;
        let ask = || bot.groups(&self.0.clock);
        let groups = self.0.lookup.patiently(bot, ask).await?;
        let chats: Vec<Chat> = groups.keys().cloned().map(Chat::Group).collect();
        let spoken = self.0.store.last_activity(bot.id(), &chats).await?;
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

    /// Forgets the stored result for a number that WhatsApp refused, so that the next message to
    /// the number looks it up again.
    pub async fn number_gone(&self, number: &Number) {
        self.0.lookup.forget(number).await;
    }

    /// Returns the message with the full path of its file. Rows store the file name without the
    /// folder.
    #[must_use]
    pub fn located(&self, mut message: Outgoing) -> Outgoing {
        if let Content::Media(media) = &mut message.content {
            media.file = self.0.spool.path(&media.file);
        }
        message
    }

    /// Removes the file of a message, if there is a file. Called when the message is final.
    pub async fn remove_file(&self, content: &Content) {
        if let Content::Media(media) = content {
            let spool = &self.0.spool;
            spool.remove(&spool.path(&media.file)).await;
        }
    }

    /// Removes files without a pending message, at the start and then once an hour until `stop`. A
    /// killed process or the end of a whole queue leaves such files behind.
    pub async fn keep_swept(self, stop: CancellationToken) {
        loop {
            match self.0.spool.sweep(&self.0.store).await {
                Ok(0) => {}
                Ok(files) => info!(files, "files without a message removed"),
                Err(reason) => error!(%reason, "spool could not be swept"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.clock.sleep(SWEPT_EVERY) => {}
            }
        }
    }

    /// Checks that the link can be expected to send a message soon.
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
