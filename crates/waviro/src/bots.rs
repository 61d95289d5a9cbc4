//! The bots: one link each, found by the hash of their key.
//!
//! The table is the truth. It is read every two seconds, and once more for an unknown key, so that a bot added, re-keyed
//! or removed by the command line tool is seen without a restart. One bot's failure to open touches no other: it is
//! tried again at the next reading.

mod bot;
mod groups;
mod key;
mod profile;
mod settings;
mod unreachable;

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

pub use bot::{Bot, LinkCode, Marks, NoCode};
pub use key::{
    AddError, BadKey, BadWebhookKey, KEY_LENGTH, LONGEST_OVERLAP, NoSuchBot, OwnKeys, RenameError,
    SecretKey, SetKeyError, WEBHOOK_KEY_CAP, WebhookKey, add, remove, rename, set_key, slot_of,
};
pub use profile::{Profile, Profiles};
pub use settings::{BadSetting, DuplicateRule, NETWORKS, Pacing, Settings};
pub use unreachable::{why_unreachable, why_unreachable_by_code};

use crate::clock::{Clock, Millis, millis};
use crate::invisible::nfc;
use crate::store::{BotRow, Committed, Store, StoreError};
use crate::telemetry::panics;

/// How old the picture of the table may be.
const READ_EVERY: Duration = Duration::from_secs(2);

/// Links opened side by side at the start.
const OPENED_TOGETHER: usize = 8;

/// A removed device gets so long to come up for its logout; then its keys are wiped without.
const LOGOUT_WITHIN: Duration = Duration::from_secs(10);

/// Starts a bot's lane and returns its ear; called once per bot, before its link opens.
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
    /// The living bots, replaced as a whole at each reading.
    picture: watch::Sender<Picture>,
    /// Held while the table is read.
    reading: Mutex<Reading>,
    /// How many readings have begun.
    begun: AtomicU64,
}

#[derive(Default)]
struct Reading {
    /// Slots of removed bots that are being ended.
    ending: HashSet<i32>,
}

#[derive(Default)]
struct Picture {
    by_slot: HashMap<i32, Arc<Bot>>,
    by_key: HashMap<String, Arc<Bot>>,
    /// Replaced keys that work until then.
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
    /// Reads the table, opens every bot's link and keeps both up to date until `stop`.
    ///
    /// # Errors
    /// Any [`StoreError`] of the first reading.
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

    /// The bot whose key has this SHA-256, the one before its own included while it works. Reads the table once more where the key is unknown.
    pub async fn by_key(&self, sha256: &[u8; 32]) -> Option<Arc<Bot>> {
        let key = hex::encode(sha256);
        let known = |bots: &Self| bots.0.picture.borrow().by_key(&key, bots.0.clock.now());
        if let Some(bot) = known(self) {
            return Some(bot);
        }
        // One reading that began after this call serves all who wait for it: guessing keys costs one at a time.
        let begun = self.0.begun.load(Ordering::SeqCst);
        let mut reading = self.0.reading.lock().await;
        if self.0.begun.load(Ordering::SeqCst) == begun
            && let Err(reason) = self.read_into(&mut reading).await
        {
            error!(%reason, "the bots could not be read");
        }
        known(self)
    }

    /// The bot of this text key.
    pub async fn by_secret(&self, key: &str) -> Option<Arc<Bot>> {
        self.by_key(&Sha256::digest(key.as_bytes()).into()).await
    }

    /// Every living bot, by slot.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Bot>> {
        let mut list: Vec<_> = self.0.picture.borrow().by_slot.values().cloned().collect();
        list.sort_by_key(|bot| bot.slot());
        list
    }

    /// Adds a bot and opens its link. The key is shown this once; only its hash is kept.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, name: &str) -> Result<(Arc<Bot>, SecretKey), AddError> {
        self.add_with(name, OwnKeys::default()).await
    }

    /// The same of a bot that brings keys along.
    pub async fn add_with(
        &self,
        name: &str,
        own: OwnKeys,
    ) -> Result<(Arc<Bot>, SecretKey), AddError> {
        let (slot, key) = add(&self.0.store, name, own, self.0.clock.now()).await?;
        self.read().await?;
        let bot = self.0.picture.borrow().by_slot.get(&slot).cloned();
        Ok((bot.ok_or(StoreError::Closed)?, key))
    }

    /// The living bot of this slot.
    #[must_use]
    pub fn by_slot(&self, slot: i32) -> Option<Arc<Bot>> {
        self.0.picture.borrow().by_slot.get(&slot).cloned()
    }

    /// The living bot of this name. The name may be typed in another Unicode form than the stored one.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Bot>> {
        let picture = self.0.picture.borrow();
        let named = |name: &str| picture.by_slot.values().find(|bot| bot.name() == name);
        named(name).or_else(|| named(&nfc(name))).cloned()
    }

    /// Gives a bot a fresh key. The old one goes on working for `overlap`, or is dead when this returns.
    pub async fn rotate_key(&self, slot: i32, overlap: Duration) -> Result<SecretKey, SetKeyError> {
        let key = SecretKey::random(&mut rand::rng());
        self.set_key(slot, &key, overlap).await?;
        Ok(key)
    }

    /// The same with this key.
    pub async fn set_key(
        &self,
        slot: i32,
        key: &SecretKey,
        overlap: Duration,
    ) -> Result<(), SetKeyError> {
        set_key(
            &self.0.store,
            slot,
            key,
            self.0.clock.now(),
            millis(overlap),
        )
        .await?;
        self.read().await?;
        Ok(())
    }

    /// Ends what is left of the overlap after [`Bots::rotate_key`]: the key before is dead when this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn drop_previous_key(&self, slot: i32) -> Result<(), StoreError> {
        self.0.store.drop_previous_key(slot).await?;
        self.read().await
    }

    /// Gives a bot another name.
    ///
    /// # Errors
    /// [`RenameError`].
    pub async fn rename(&self, slot: i32, name: &str) -> Result<(), RenameError> {
        rename(&self.0.store, slot, name).await?;
        self.read().await?;
        Ok(())
    }

    /// Gives a bot other settings. They hold when this returns.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn set(&self, slot: i32, settings: &Settings) -> Result<(), NoSuchBot> {
        if !self.0.store.set_settings(slot, settings.stored()).await? {
            return Err(NoSuchBot::Unknown);
        }
        self.read().await?;
        Ok(())
    }

    /// Removes a bot: its keys are dead when this returns; its queue ends, its device is logged out and forgotten soon
    /// after.
    ///
    /// # Errors
    /// [`NoSuchBot`].
    pub async fn remove(&self, slot: i32) -> Result<(), NoSuchBot> {
        remove(&self.0.store, slot, self.0.clock.now()).await?;
        self.read().await?;
        Ok(())
    }

    /// Closes every link, all at once; the devices stay linked. Takes at most `within`.
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
                error!(%reason, "the bots could not be read");
            }
            for bot in self.list() {
                self.remember_identity(&bot).await;
            }
        }
    }

    /// Brings the picture to what the table says.
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
            let known = self.0.picture.borrow().by_slot.get(&row.slot).cloned();
            if !row.removed {
                let bot = known.unwrap_or_else(|| self.bring_up(&row));
                bot.rename(&row.name);
                bot.set(row.settings);
                if let Some(previous) = row.previous_key {
                    let works = (Arc::clone(&bot), previous.until);
                    next.replaced.insert(previous.sha256, works);
                }
                next.by_key.insert(row.key_sha256, Arc::clone(&bot));
                next.by_slot.insert(row.slot, bot);
            } else if reading.ending.insert(row.slot) {
                ending.push(known.unwrap_or_else(|| self.bring_up(&row)));
            }
        }
        let bots: Vec<_> = next.by_slot.values().cloned().collect();
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

    /// A bot with its lane and no link yet.
    fn bring_up(&self, row: &BotRow) -> Arc<Bot> {
        let (lane, committed) = mpsc::unbounded_channel();
        let bot = Arc::new(Bot::new(row, lane, &self.0.clock));
        let ear = (self.0.attach)(&bot, committed);
        bot.set_ear(ear);
        bot
    }

    async fn open(&self, bot: &Arc<Bot>) {
        let Some(ear) = bot.ear() else {
            return;
        };
        // Whatever the link logs, at whatever level, names its bot. Whoever asked for the bot to be looked up is not its parent.
        let span = error_span!(parent: None, "link", bot = bot.name());
        let opening = self.0.connector.open(bot.slot(), ear).instrument(span);
        match opening.await {
            Ok(link) => {
                let status = link.status().borrow().clone();
                bot.set_link(link);
                bot.heard(&status, &self.0.clock, self.0.store.last_seq());
                info!(
                    bot = bot.name(),
                    slot = bot.slot(),
                    status = status.word(),
                    "link opened"
                );
                self.remember_identity(bot).await;
            }
            Err(reason) => {
                error!(bot = bot.name(), slot = bot.slot(), %reason, "the link did not open; trying again");
            }
        }
    }

    /// The end of a removed bot: its queue ends, its device is logged out, its keys are wiped.
    async fn end(&self, bot: &Bot) {
        let clock = &self.0.clock;
        bot.retire(clock.now(), self.0.store.last_seq());
        let Some(link) = bot.link() else {
            // The link store failed: the next start tries again.
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
                .forget(bot.slot())
                .await
                .map_err(|reason| reason.to_string())?;
            let done = self.0.store.bot_forgotten(bot.slot(), clock.now()).await;
            done.map_err(|reason| reason.to_string())
        };
        match forgotten.await {
            Ok(()) => info!(
                bot = bot.name(),
                slot = bot.slot(),
                "bot removed, device forgotten"
            ),
            Err(reason) => warn!(
                bot = bot.name(),
                slot = bot.slot(),
                reason,
                "device not forgotten; the next start tries again"
            ),
        }
        bot.drop_link();
    }

    /// Keeps who a bot is linked as, so that it is known before the link is up.
    async fn remember_identity(&self, bot: &Bot) {
        let Some(identity) = bot.fresh_identity() else {
            return;
        };
        match self.0.store.bot_linked(bot.slot(), &identity).await {
            Ok(()) => bot.set_stored_identity(identity),
            Err(reason) => {
                warn!(bot = bot.name(), %reason, "who the bot is linked as was not kept");
            }
        }
    }
}
