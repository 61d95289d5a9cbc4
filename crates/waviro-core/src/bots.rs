//! The bots: each has a link and is found by the hash of its key.
//!
//! The table of bots is authoritative. The gateway reads the table every two seconds, and
//! additionally for an unknown key. So a bot added, re-keyed or removed with the command line tool
//! is noticed without a restart. If the link of a bot does not open, other bots are not affected,
//! and the next read retries.

mod bot;
mod ended;
mod groups;
mod key;
mod profile;
mod settings;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span, info, warn};
use waviro_link::{Connector, Listener, Status};

pub use bot::{Bot, LinkCode, LinkHistory, NoCode};
pub use key::{
    AddError, BadKey, BadWebhookKey, KEY_LENGTH, LONGEST_OVERLAP, NoSuchBot, OwnKeys, RenameError,
    SecretKey, SetKeyError, WEBHOOK_KEY_CAP, WebhookKey, add, id_of, remove, rename, set_key,
};
pub use profile::{Profile, Profiles};
pub use settings::{BadSetting, DuplicateRule, NETWORKS, Pacing, Settings};

use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::invisible::nfc;
use waviro_store::panics;
use waviro_store::{BotRow, Committed, Store, StoreError};

/// The longest time between two reads of the table.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The most links opened concurrently at the start.
const OPENED_TOGETHER: usize = 8;

/// How long a removed device may take to come online for the logout. Afterwards its keys are wiped
/// without a logout.
const LOGOUT_WITHIN: Duration = Duration::from_secs(10);

/// Starts a bot's lane and returns the listener of its link. Called once per bot, before the link
/// opens.
pub type Attach =
    Box<dyn Fn(&Arc<Bot>, mpsc::UnboundedReceiver<Committed>) -> Arc<dyn Listener> + Send + Sync>;

/// All bots. Cheap to clone.
#[derive(Clone)]
pub struct Bots(Arc<Inner>);

struct Inner {
    store: Store,
    connector: Arc<dyn Connector>,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    attach: Attach,
    /// The active bots, replaced as a whole at each read.
    picture: watch::Sender<Picture>,
    /// Locked during a read of the table.
    reading: Mutex<Reading>,
    /// The number of reads begun so far.
    begun: AtomicU64,
}

#[derive(Default)]
struct Reading {
    /// The ids of removed bots whose end is in progress.
    ending: HashSet<i32>,
}

#[derive(Default)]
struct Picture {
    by_id: HashMap<i32, Arc<Bot>>,
    by_key: HashMap<String, Arc<Bot>>,
    /// Replaced keys, valid until the given time.
    replaced: HashMap<String, (Arc<Bot>, Millis)>,
}

impl Picture {
    fn by_key(&self, key: &str, now: Millis) -> Option<Arc<Bot>> {
        let before = || {
            let (bot, until) = self.replaced.get(key)?;
            (now < *until).then_some(bot)
        };
        self.by_key.get(key).or_else(before).cloned()
    }
}

impl Bots {
    /// Reads the table, opens the link of every bot and keeps both up to date until `stop`.
    ///
    /// # Errors
    /// Any [`StoreError`] of the first read.
    pub async fn start(
        store: Store,
        connector: Arc<dyn Connector>,
        clock: Clock,
        tasks: &TaskTracker,
        stop: CancellationToken,
        attach: Attach,
    ) -> Result<Self, StoreError> {
        let bots = Self(Arc::new(Inner {
            store,
            connector,
            clock,
            tasks: tasks.clone(),
            stop,
            attach,
            picture: watch::Sender::new(Picture::default()),
            reading: Mutex::default(),
            begun: AtomicU64::new(0),
        }));
        bots.read().await?;
        let kept = bots.clone();
        let reading = move || kept.clone().keep_reading();
        let clock = bots.0.clock.clone();
        tasks.spawn(panics::restarted("reading of bots", clock, reading));
        Ok(bots)
    }

    /// Returns the bot whose key has this SHA-256. A replaced key counts during the overlap. For an
    /// unknown key the table is read again.
    pub async fn by_key(&self, sha256: &[u8; 32]) -> Option<Arc<Bot>> {
        let key = hex::encode(sha256);
        let known = |bots: &Self| bots.0.picture.borrow().by_key(&key, bots.0.clock.now());
        if let Some(bot) = known(self) {
            return Some(bot);
        }
        // All concurrent callers share a read that began after their call, so guessing keys causes
        // only one read at a time.
        let begun = self.0.begun.load(Ordering::SeqCst);
        let mut reading = self.0.reading.lock().await;
        if self.0.begun.load(Ordering::SeqCst) == begun
            && let Err(reason) = self.read_into(&mut reading).await
        {
            error!(%reason, "bots could not be read");
        }
        known(self)
    }

    /// Returns the bot with this key.
    pub async fn by_secret(&self, key: &str) -> Option<Arc<Bot>> {
        self.by_key(&Sha256::digest(key.as_bytes()).into()).await
    }

    /// Returns every active bot, ordered by id.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Bot>> {
        let mut list: Vec<_> = self.0.picture.borrow().by_id.values().cloned().collect();
        list.sort_by_key(|bot| bot.id());
        list
    }

    /// Adds a bot and opens its link. The returned key is shown only once; the database keeps only
    /// the hash.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, name: &str) -> Result<(Arc<Bot>, SecretKey), AddError> {
        self.add_with(name, OwnKeys::default()).await
    }

    /// Adds a bot with keys that the caller may provide.
    pub async fn add_with(
        &self,
        name: &str,
        own: OwnKeys,
    ) -> Result<(Arc<Bot>, SecretKey), AddError> {
        let (bot_id, key) = add(&self.0.store, name, own, self.0.clock.now()).await?;
        self.read().await?;
        let bot = self.0.picture.borrow().by_id.get(&bot_id).cloned();
        Ok((bot.ok_or(StoreError::Closed)?, key))
    }

    /// Returns the active bot with this id.
    #[must_use]
    pub fn by_id(&self, bot_id: i32) -> Option<Arc<Bot>> {
        self.0.picture.borrow().by_id.get(&bot_id).cloned()
    }

    /// Returns the active bot with this name. The Unicode form of the name may differ from the
    /// stored form.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Bot>> {
        let picture = self.0.picture.borrow();
        let named = |name: &str| picture.by_id.values().find(|bot| bot.name() == name);
        named(name).or_else(|| named(&nfc(name))).cloned()
    }

    /// Gives a bot a new random key. The previous key stays valid for `overlap`; without an overlap
    /// it is invalid when this function returns.
    pub async fn rotate_key(
        &self,
        bot_id: i32,
        overlap: Duration,
    ) -> Result<SecretKey, SetKeyError> {
        let key = SecretKey::random(&mut rand::rng());
        self.set_key(bot_id, &key, overlap).await?;
        Ok(key)
    }

    /// Gives a bot this key; see [`Bots::rotate_key`] for `overlap`.
    pub async fn set_key(
        &self,
        bot_id: i32,
        key: &SecretKey,
        overlap: Duration,
    ) -> Result<(), SetKeyError> {
        set_key(
            &self.0.store,
            bot_id,
            key,
            self.0.clock.now(),
            millis(overlap),
        )
        .await?;
        self.read().await?;
        Ok(())
    }

    /// Ends the overlap of a [`Bots::rotate_key`]: the previous key is invalid when this function
    /// returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn drop_previous_key(&self, bot_id: i32) -> Result<(), StoreError> {
        self.0.store.drop_previous_key(bot_id).await?;
        self.read().await
    }

    /// Renames a bot.
    ///
    /// # Errors
    /// [`RenameError`].
    pub async fn rename(&self, bot_id: i32, name: &str) -> Result<(), RenameError> {
        rename(&self.0.store, bot_id, name).await?;
        self.read().await?;
        Ok(())
    }

    /// Changes the settings of a bot. The settings apply when this function returns.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn set(&self, bot_id: i32, settings: &Settings) -> Result<(), NoSuchBot> {
        if !self.0.store.set_settings(bot_id, settings.stored()).await? {
            return Err(NoSuchBot::Unknown);
        }
        self.read().await?;
        Ok(())
    }

    /// Removes a bot. The keys are invalid when this function returns. Soon after, the queue ends,
    /// and the device is logged out and deleted.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn remove(&self, bot_id: i32) -> Result<(), NoSuchBot> {
        remove(&self.0.store, bot_id, self.0.clock.now()).await?;
        self.read().await?;
        Ok(())
    }

    /// Closes all links concurrently; the devices stay linked. Takes at most `within`.
    pub async fn close(&self, within: Duration) {
        let links = self.list().into_iter().filter_map(|bot| bot.link());
        futures::future::join_all(links.map(|link| async move { link.close(within).await })).await;
    }

    async fn keep_reading(self) {
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = self.0.clock.sleep(READ_EVERY) => {}
            }
            if let Err(reason) = self.read().await {
                error!(%reason, "bots could not be read");
            }
            for bot in self.list() {
                self.remember_identity(&bot).await;
            }
        }
    }

    /// Updates the bots in memory from the table.
    async fn read(&self) -> Result<(), StoreError> {
        let mut reading = self.0.reading.lock().await;
        self.read_into(&mut reading).await
    }

    async fn read_into(&self, reading: &mut Reading) -> Result<(), StoreError> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let rows = self.0.store.bots().await?;
        let mut next = Picture::default();
        let mut ending = Vec::new();
        for row in rows {
            let known = self.0.picture.borrow().by_id.get(&row.bot_id).cloned();
            if !row.removed {
                let bot = known.unwrap_or_else(|| self.bring_up(&row));
                bot.rename(&row.name);
                bot.set(row.settings);
                if let Some(previous) = row.previous_key {
                    let works = (Arc::clone(&bot), previous.until);
                    next.replaced.insert(previous.sha256, works);
                }
                next.by_key.insert(row.key_sha256, Arc::clone(&bot));
                next.by_id.insert(row.bot_id, bot);
            } else if reading.ending.insert(row.bot_id) {
                ending.push(known.unwrap_or_else(|| self.bring_up(&row)));
            }
        }
        let bots: Vec<_> = next.by_id.values().cloned().collect();
        self.0.picture.send_replace(next);
        let closed = bots
            .into_iter()
            .chain(ending.iter().cloned())
            .filter(|bot| bot.link().is_none());
        futures::stream::iter(closed)
            .for_each_concurrent(OPENED_TOGETHER, |bot| async move { self.open(&bot).await })
            .await;
        for bot in ending {
            let bots = self.clone();
            self.0.tasks.spawn(async move { bots.end(&bot).await });
        }
        Ok(())
    }

    /// Creates a bot with a running lane but without a link.
    fn bring_up(&self, row: &BotRow) -> Arc<Bot> {
        let (lane, committed) = mpsc::unbounded_channel();
        let bot = Arc::new(Bot::new(row, lane, &self.0.clock));
        let listener = (self.0.attach)(&bot, committed);
        bot.set_listener(listener);
        bot
    }

    async fn open(&self, bot: &Arc<Bot>) {
        let Some(listener) = bot.listener() else {
            return;
        };
        // Every log line of the link names the bot. The span has no parent, because the request
        // that triggered the read has nothing to do with the link.
        let span = error_span!(parent: None, "link", bot = bot.name());
        let opening = self.0.connector.open(bot.id(), listener).instrument(span);
        match opening.await {
            Ok(link) => {
                let status = link.status().borrow().clone();
                bot.set_link(link);
                bot.status_changed(&status, &self.0.clock, self.0.store.last_seq());
                info!(
                    bot = bot.name(),
                    bot_id = bot.id(),
                    status = status.word(),
                    "link opened"
                );
                self.remember_identity(bot).await;
            }
            Err(reason) => {
                error!(bot = bot.name(), bot_id = bot.id(), %reason, "link did not open; retry scheduled");
            }
        }
    }

    /// Ends a removed bot: fails the queued messages, logs the device out and wipes its keys.
    async fn end(&self, bot: &Bot) {
        let clock = &self.0.clock;
        bot.retire(clock.now(), self.0.store.last_seq());
        let Some(link) = bot.link() else {
            // The link store failed. The next start tries again.
            return;
        };
        let mut status = link.status();
        tokio::select! {
            _ = status.wait_for(|status| !matches!(status, Status::Reconnecting { .. })) => {}
            () = clock.sleep(LOGOUT_WITHIN) => {}
            () = self.0.stop.cancelled() => return,
        }
        if status.borrow().is_linked() {
            link.logout().await;
        }
        link.close(LOGOUT_WITHIN).await;
        bot.queue_ended().await;
        let forgotten = async {
            self.0
                .connector
                .forget(bot.id())
                .await
                .map_err(|reason| reason.to_string())?;
            let done = self.0.store.bot_forgotten(bot.id(), clock.now()).await;
            done.map_err(|reason| reason.to_string())
        };
        match forgotten.await {
            Ok(()) => info!(
                bot = bot.name(),
                bot_id = bot.id(),
                "bot removed, device removed"
            ),
            Err(reason) => warn!(
                bot = bot.name(),
                bot_id = bot.id(),
                reason,
                "device could not be removed; retry at the next start"
            ),
        }
        bot.drop_link();
    }

    /// Stores the identity of the linked account, so that the identity is known before the link is
    /// up.
    async fn remember_identity(&self, bot: &Bot) {
        let Some(identity) = bot.fresh_identity() else {
            return;
        };
        match self.0.store.bot_linked(bot.id(), &identity).await {
            Ok(()) => bot.set_stored_identity(identity),
            Err(reason) => {
                warn!(bot = bot.name(), %reason, "identity of the linked account could not be stored");
            }
        }
    }
}
