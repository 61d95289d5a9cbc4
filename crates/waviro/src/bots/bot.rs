//! One bot: its link, what was heard of it, and its lane.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use waviro_link::{DialFailure, Identity, Link, LinkError, Listener, OfflineCause, QrCode, Status};

use super::groups::Groups;
use super::settings::Settings;
use crate::clock::{Clock, Millis};
use crate::store::{BotRow, Committed};

/// One bot.
pub struct Bot {
    slot: i32,
    name: watch::Sender<String>,
    created_at: Millis,
    link: watch::Sender<Option<Arc<dyn Link>>>,
    ear: OnceLock<Arc<dyn Listener>>,
    marks: watch::Sender<Marks>,
    stored_identity: watch::Sender<Option<Identity>>,
    lane: mpsc::UnboundedSender<Committed>,
    pub(super) groups: Groups,
    settings: watch::Sender<Arc<Settings>>,
    /// The settings as they stand in the table.
    stored_settings: watch::Sender<Option<String>>,
}

/// What was heard of a link so far: what a look at its state alone would miss between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The link is up.
    pub up: bool,
    /// When it came up the last time; 0 before the first.
    pub up_since: Millis,
    /// How often it came up: what was written under a lower count was written on a connection that is gone.
    pub connection: u64,
    /// When it was last up; before the first time, when the process started.
    pub last_up: Millis,
    /// The same in steady time ([`Clock::steady`]).
    pub silent_since: Millis,
    /// How often the device ended (logged out, banned, never linked): what was accepted under a lower count ends in -1.
    pub epoch: u64,
    /// The device is ended now.
    pub ended: bool,
    /// Why, at the last end.
    pub end_cause: String,
    /// The last message accepted before the last end ([`crate::store::Queued::seq`]).
    pub end_seq: i64,
    /// The bot was removed: its lane ends once its queue has.
    pub retired: bool,
}

/// What `/api/getqr` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCode {
    /// The device is linked.
    Linked(Identity),
    /// Scan this.
    Code(QrCode),
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum NoCode {
    /// WhatsApp showed none in time.
    #[error("WhatsApp showed no code in time")]
    TimedOut,
    /// WhatsApp cannot be reached.
    #[error("{0}")]
    Unreachable(DialFailure),
    /// The state does not allow linking; its word and cause say why.
    #[error("linking is not possible: {}", .0.word())]
    Impossible(Status),
    /// The link failed.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Bot {
    pub(super) fn new(row: &BotRow, lane: mpsc::UnboundedSender<Committed>, clock: &Clock) -> Self {
        let marks = Marks {
            last_up: clock.now(),
            silent_since: clock.steady(),
            ..Marks::default()
        };
        Self {
            slot: row.slot,
            name: watch::Sender::new(row.name.clone()),
            created_at: row.created_at,
            link: watch::Sender::new(None),
            ear: OnceLock::new(),
            marks: watch::Sender::new(marks),
            stored_identity: watch::Sender::new(row.linked.clone()),
            lane,
            groups: Groups::default(),
            settings: watch::Sender::new(Arc::new(Settings::read(
                row.slot,
                row.settings.as_deref(),
            ))),
            stored_settings: watch::Sender::new(row.settings.clone()),
        }
    }

    /// Its id: the device's key in the link store.
    #[must_use]
    pub fn slot(&self) -> i32 {
        self.slot
    }

    /// What people call it now.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.borrow().clone()
    }

    /// People call it so from now on.
    pub(super) fn rename(&self, name: &str) {
        self.name.send_if_modified(|known| {
            let other = known != name;
            if other {
                name.clone_into(known);
            }
            other
        });
    }

    /// How it behaves now. From memory: it is asked at each message.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// How it behaves, and each change.
    #[must_use]
    pub fn settings_changes(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// It behaves as the table says from now on.
    pub(super) fn set(&self, stored: Option<String>) {
        if *self.stored_settings.borrow() == stored {
            return;
        }
        let settings = Settings::read(self.slot, stored.as_deref());
        self.stored_settings.send_replace(stored);
        self.settings.send_replace(Arc::new(settings));
    }

    /// When it was added.
    #[must_use]
    pub fn created_at(&self) -> Millis {
        self.created_at
    }

    /// Its link; `None` while the link store could not be opened.
    #[must_use]
    pub fn link(&self) -> Option<Arc<dyn Link>> {
        self.link.borrow().clone()
    }

    /// Where the link stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.link() {
            Some(link) => link.status().borrow().clone(),
            None => Status::Reconnecting {
                cause: OfflineCause::Ended("the link is not open yet".to_owned()),
            },
        }
    }

    /// Who it is linked as; what was last known while the link does not say.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.link()
            .and_then(|link| link.identity())
            .or_else(|| self.stored_identity.borrow().clone())
    }

    /// When the link was last up: now, if it is.
    #[must_use]
    pub fn last_online(&self, clock: &Clock) -> Millis {
        let marks = self.marks.borrow();
        if marks.up { clock.now() } else { marks.last_up }
    }

    /// For how long the link has not been up.
    #[must_use]
    pub fn silent_for(&self, clock: &Clock) -> Millis {
        let marks = self.marks.borrow();
        if marks.up {
            0
        } else {
            clock.steady() - marks.silent_since
        }
    }

    /// What was heard so far, and each change.
    #[must_use]
    pub fn marks(&self) -> watch::Receiver<Marks> {
        self.marks.subscribe()
    }

    /// Where commits of this bot's messages are told.
    #[must_use]
    pub fn lane(&self) -> mpsc::UnboundedSender<Committed> {
        self.lane.clone()
    }

    /// Waits for the link to be opened.
    pub async fn opened(&self) -> Option<Arc<dyn Link>> {
        let mut link = self.link.subscribe();
        let opened = link.wait_for(Option::is_some).await.ok()?;
        opened.clone()
    }

    /// Notes a state of the link; `last_seq` is the last message accepted so far.
    pub fn heard(&self, status: &Status, clock: &Clock, last_seq: i64) {
        self.marks.send_if_modified(|marks| {
            let before = marks.clone();
            if *status == Status::Online {
                if !marks.up {
                    marks.connection += 1;
                    marks.up_since = clock.now();
                }
                marks.up = true;
                marks.ended = false;
            } else {
                if marks.up {
                    marks.last_up = clock.now();
                    marks.silent_since = clock.steady();
                }
                marks.up = false;
                if has_ended(status) && !marks.ended {
                    marks.end(cause(status), last_seq);
                }
            }
            *marks != before
        });
    }

    /// The removed bot's queue ends, whatever the link says.
    pub(super) fn retire(&self, now: Millis, last_seq: i64) {
        self.marks.send_modify(|marks| {
            marks.last_up = now;
            marks.retired = true;
            marks.end("bot_removed".to_owned(), last_seq);
        });
    }

    /// Waits until the lane of a retired bot has ended its queue.
    pub(super) async fn queue_ended(&self) {
        self.lane.closed().await;
    }

    pub(super) fn set_ear(&self, ear: Arc<dyn Listener>) {
        // Set once, right after `new`.
        let _ = self.ear.set(ear);
    }

    pub(super) fn ear(&self) -> Option<Arc<dyn Listener>> {
        self.ear.get().cloned()
    }

    pub(super) fn set_link(&self, link: Arc<dyn Link>) {
        self.link.send_replace(Some(link));
    }

    pub(super) fn drop_link(&self) {
        self.link.send_replace(None);
    }

    /// Who the link says it is, where that is not what is stored.
    pub(super) fn fresh_identity(&self) -> Option<Identity> {
        let told = self.link()?.identity()?;
        (self.stored_identity.borrow().as_ref() != Some(&told)).then_some(told)
    }

    pub(super) fn set_stored_identity(&self, identity: Identity) {
        self.stored_identity.send_replace(Some(identity));
    }

    /// The code to scan now, or who is linked. Starts linking where nothing is linked, and waits for the first code.
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
                // Unlinked right after the start: the state that the start left behind is still to come.
                _ => {}
            }
            if status.changed().await.is_err() {
                return Err(NoCode::TimedOut);
            }
        }
    }
}

impl Marks {
    fn end(&mut self, cause: String, last_seq: i64) {
        self.up = false;
        self.ended = true;
        self.epoch += 1;
        self.end_cause = cause;
        self.end_seq = last_seq;
    }
}

/// Whether the device is gone or shut, so that what waits for it will never be sent.
fn has_ended(status: &Status) -> bool {
    match status {
        Status::Unlinked(_)
        | Status::Linking { .. }
        | Status::Unreachable(_)
        | Status::PasskeyAsked
        | Status::Banned { .. } => true,
        Status::Online
        | Status::Reconnecting { .. }
        | Status::Replaced
        | Status::ClientOutdated => false,
    }
}

/// The cause of a -1: the state's word, and WhatsApp's own where there is one.
fn cause(status: &Status) -> String {
    use waviro_link::UnlinkedCause;
    match status {
        Status::Unlinked(UnlinkedCause::LoggedOut(reason)) => format!("logged_out: {reason}"),
        Status::Banned { reason, .. } => format!("banned: {reason}"),
        other => other.word().to_owned(),
    }
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot")
            .field("slot", &self.slot)
            .field("name", &self.name())
            .field("status", &self.status().word())
            .finish_non_exhaustive()
    }
}
