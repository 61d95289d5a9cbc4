//! A bot: the link, the history of the link, and the lane.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use waviro_link::{DialFailure, Identity, Link, LinkError, Listener, OfflineCause, QrCode, Status};
use waviro_store::clock::{Clock, Millis};
use waviro_store::{BotRow, Committed, MessageFailure};

use super::ended;
use super::groups::Groups;
use super::settings::Settings;

/// A bot in memory.
pub struct Bot {
    id: i32,
    name: watch::Sender<String>,
    created_at: Millis,
    link: watch::Sender<Option<Arc<dyn Link>>>,
    listener: OnceLock<Arc<dyn Listener>>,
    history: watch::Sender<LinkHistory>,
    stored_identity: watch::Sender<Option<Identity>>,
    lane: mpsc::UnboundedSender<Committed>,
    pub(super) groups: Groups,
    settings: watch::Sender<Arc<Settings>>,
    /// The settings as stored in the table.
    stored_settings: watch::Sender<Option<String>>,
}

/// The history of a link. Two looks at the link's status could miss a change in between; these
/// fields record it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkHistory {
    /// The link is up.
    pub up: bool,
    /// The time of the last connect; 0 before the first.
    pub up_since: Millis,
    /// The number of connects. A message written under a lower number was written on a closed
    /// connection.
    pub connection: u64,
    /// When the link was last up; before the first connect, the start of the process.
    pub last_up: Millis,
    /// The same time as [`LinkHistory::last_up`] in steady time ([`Clock::steady`]).
    pub silent_since: Millis,
    /// How often the device ended (logged out, banned, never linked). A message accepted under a
    /// lower number ends with -1.
    pub epoch: u64,
    /// The device is ended now.
    pub ended: bool,
    /// The failure of the messages accepted before the last end; `None` before the first end.
    pub end_failure: Option<MessageFailure>,
    /// The last message accepted before the last end ([`waviro_store::Queued::seq`]).
    pub end_seq: i64,
    /// The bot was removed. The lane ends after its queue has ended.
    pub retired: bool,
}

/// The result of `/api/getqr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCode {
    /// The device is linked.
    Linked(Identity),
    /// The code to scan.
    Code(QrCode),
}

/// The reason for a missing QR code.
#[derive(Debug, thiserror::Error)]
pub enum NoCode {
    /// WhatsApp sent no code before the timeout.
    #[error("WhatsApp sent no code in time")]
    TimedOut,
    /// WhatsApp cannot be reached.
    #[error("{0}")]
    Unreachable(DialFailure),
    /// The status does not allow linking; its word and cause say why.
    #[error("linking is not possible: {}", .0.word())]
    Impossible(Status),
    /// The link failed.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Bot {
    pub(super) fn new(row: &BotRow, lane: mpsc::UnboundedSender<Committed>, clock: &Clock) -> Self {
        let history = LinkHistory {
            last_up: clock.now(),
            silent_since: clock.steady(),
            ..LinkHistory::default()
        };
        Self {
            id: row.bot_id,
            name: watch::Sender::new(row.name.clone()),
            created_at: row.created_at,
            link: watch::Sender::new(None),
            listener: OnceLock::new(),
            history: watch::Sender::new(history),
            stored_identity: watch::Sender::new(row.linked.clone()),
            lane,
            groups: Groups::default(),
            settings: watch::Sender::new(Arc::new(Settings::read(
                row.bot_id,
                row.settings.as_deref(),
            ))),
            stored_settings: watch::Sender::new(row.settings.clone()),
        }
    }

    /// Returns the bot id, also the key of the device in the link store.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Returns the current name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.borrow().clone()
    }

    /// Changes the name in memory.
    pub(super) fn rename(&self, name: &str) {
        self.name.send_if_modified(|known| {
            let other = known != name;
            if other {
                name.clone_into(known);
            }
            other
        });
    }

    /// Returns the current settings from memory, because every message needs them.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Returns a receiver of the settings and their changes.
    #[must_use]
    pub fn settings_changes(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Applies the settings from the table.
    pub(super) fn set(&self, stored: Option<String>) {
        if *self.stored_settings.borrow() == stored {
            return;
        }
        let settings = Settings::read(self.id, stored.as_deref());
        self.stored_settings.send_replace(stored);
        self.settings.send_replace(Arc::new(settings));
    }

    /// Returns when the bot was added.
    #[must_use]
    pub fn created_at(&self) -> Millis {
        self.created_at
    }

    /// Returns the link; `None` while the link store cannot be opened.
    #[must_use]
    pub fn link(&self) -> Option<Arc<dyn Link>> {
        self.link.borrow().clone()
    }

    /// Returns the current status of the link.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.link() {
            Some(link) => link.status().borrow().clone(),
            None => Status::Reconnecting {
                cause: OfflineCause::Ended("the link is not open yet".to_owned()),
            },
        }
    }

    /// Returns the identity of the linked account; while the link does not know it, the last known
    /// identity.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.link()
            .and_then(|link| link.identity())
            .or_else(|| self.stored_identity.borrow().clone())
    }

    /// Returns when the link was last up; the current time if the link is up.
    #[must_use]
    pub fn last_online(&self, clock: &Clock) -> Millis {
        let history = self.history.borrow();
        if history.up {
            clock.now()
        } else {
            history.last_up
        }
    }

    /// Returns how long the link has not been up.
    #[must_use]
    pub fn silent_for(&self, clock: &Clock) -> Millis {
        let history = self.history.borrow();
        if history.up {
            0
        } else {
            clock.steady() - history.silent_since
        }
    }

    /// Returns a receiver of the link's history and its changes.
    #[must_use]
    pub fn history(&self) -> watch::Receiver<LinkHistory> {
        self.history.subscribe()
    }

    /// Returns the channel for commits of this bot's messages.
    #[must_use]
    pub fn lane(&self) -> mpsc::UnboundedSender<Committed> {
        self.lane.clone()
    }

    /// Waits until the link is opened.
    pub async fn opened(&self) -> Option<Arc<dyn Link>> {
        let mut link = self.link.subscribe();
        let opened = link.wait_for(Option::is_some).await.ok()?;
        opened.clone()
    }

    /// Records a status of the link; `last_seq` is the last message accepted so far.
    pub fn status_changed(&self, status: &Status, clock: &Clock, last_seq: i64) {
        self.history.send_if_modified(|history| {
            let before = history.clone();
            if *status == Status::Online {
                if !history.up {
                    history.connection += 1;
                    history.up_since = clock.now();
                }
                history.up = true;
                history.ended = false;
            } else {
                if history.up {
                    history.last_up = clock.now();
                    history.silent_since = clock.steady();
                }
                history.up = false;
                if ended::has_ended(status) && !history.ended {
                    history.end(ended::failure(status), last_seq);
                }
            }
            *history != before
        });
    }

    /// Ends the queue of a removed bot, independently of the link's status.
    pub(super) fn retire(&self, now: Millis, last_seq: i64) {
        self.history.send_modify(|history| {
            history.last_up = now;
            history.retired = true;
            history.end(MessageFailure::bot_removed(), last_seq);
        });
    }

    /// Waits until the lane of a removed bot has ended the queue.
    pub(super) async fn queue_ended(&self) {
        self.lane.closed().await;
    }

    pub(super) fn set_listener(&self, listener: Arc<dyn Listener>) {
        // Set only once, right after `new`.
        let _ = self.listener.set(listener);
    }

    pub(super) fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.listener.get().cloned()
    }

    pub(super) fn set_link(&self, link: Arc<dyn Link>) {
        self.link.send_replace(Some(link));
    }

    pub(super) fn drop_link(&self) {
        self.link.send_replace(None);
    }

    /// Returns the identity from the link if it differs from the stored identity.
    pub(super) fn fresh_identity(&self) -> Option<Identity> {
        let reported = self.link()?.identity()?;
        (self.stored_identity.borrow().as_ref() != Some(&reported)).then_some(reported)
    }

    pub(super) fn set_stored_identity(&self, identity: Identity) {
        self.stored_identity.send_replace(Some(identity));
    }

    /// Returns the code to scan, or the linked account. Starts linking if the bot is unlinked, and
    /// waits for the first code.
    ///
    /// # Errors
    /// [`NoCode`].
    pub async fn link_code(&self, clock: &Clock, within: Duration) -> Result<LinkCode, NoCode> {
        tokio::select! {
            code = self.next_code() => code,
            () = clock.sleep(within) => Err(match self.status() {
                Status::Unreachable(failure) => NoCode::Unreachable(failure),
                _ => NoCode::TimedOut,
            }),
        }
    }

    async fn next_code(&self) -> Result<LinkCode, NoCode> {
        let link = self.opened().await.ok_or(NoCode::TimedOut)?;
        let mut status = link.status();
        let mut started = false;
        loop {
            let now = status.borrow_and_update().clone();
            match now {
                Status::Linking { qr: Some(code) } => return Ok(LinkCode::Code(code)),
                Status::Linking { qr: None } | Status::Unreachable(_) => {}
                ref linked if linked.is_linked() => {
                    if let Some(identity) = self.identity() {
                        return Ok(LinkCode::Linked(identity));
                    }
                }
                Status::Unlinked(_) | Status::PasskeyAsked if !started => {
                    started = true;
                    link.start_linking().await?;
                    continue;
                }
                impossible @ (Status::Banned { .. }
                | Status::ClientOutdated
                | Status::PasskeyAsked) => {
                    return Err(NoCode::Impossible(impossible));
                }
                // The status is still the one from before `start_linking`; the next change follows.
                _ => {}
            }
            if status.changed().await.is_err() {
                return Err(NoCode::TimedOut);
            }
        }
    }
}

impl LinkHistory {
    fn end(&mut self, failure: MessageFailure, last_seq: i64) {
        self.up = false;
        self.ended = true;
        self.epoch += 1;
        self.end_failure = Some(failure);
        self.end_seq = last_seq;
    }
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("id", &self.id)
            .field("name", &self.name())
            .field("status", &self.status().word())
            .finish_non_exhaustive()
    }
}
