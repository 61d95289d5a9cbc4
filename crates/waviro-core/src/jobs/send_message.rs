//! The send lane of a bot: writes queued messages to WhatsApp and waits for the server acks.
//!
//! The queue is the message rows with ack 0. The lane holds a [`Window`] of the queue in memory.
//! Accepted messages reach the window right after the commit; if more messages wait than the window
//! holds, the lane reads them from the database. `send` returning `Ok` does not prove that the
//! server has the message. A message leaves the queue only after the commit of a server ack, a
//! refusal, the end of the device, or the expiry after 24 hours. After a reconnect the lane resends
//! unacked messages under the same ids. If no ack arrives for a minute, the lane requests a
//! reconnect.

mod ack_timeout;
mod backlog;
mod failures;
mod pace;
mod tasks;
mod turns;
mod window;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use waviro_link::{Chat, Link, LinkError, MessageId, Outgoing, Status};
use waviro_store::clock::{Clock, Millis, millis};
use waviro_store::{CommitFeeds, Committed, MessageFailure, Queued, Store, StoreError};

use crate::bots::{Bot, LinkHistory, Pacing, Settings};
use crate::outbox::Outbox;
use ack_timeout::{AckTimeout, Reaction};
use backlog::Backlog;
use failures::Failures;
use tasks::{Outcome, Tasks};
use turns::{Turn, Turns};
use window::{Window, Written};
use write::Write;

/// The most messages of a bot in memory, unacked messages included. At a round trip of 100 ms the
/// window allows about 2,500 messages per second.
const WINDOW: usize = 256;

/// The most messages of a bot that are encrypted and written concurrently.
const SIDE_BY_SIDE: usize = 16;

/// The pause of a chat after a temporary failure.
const REST: Duration = Duration::from_secs(5);

/// The pause of the lane after a failure of the database.
const STORE_REST: Duration = Duration::from_secs(1);

/// A message that could not be sent for 24 hours ends with -1, because nobody expects the message
/// any longer. The time counts from when the message could first have been written. The owner chose
/// the bot's pace, so a message that only waits for its turn will still be sent and must not expire
/// because of a long queue. So the time does not run while the queue moves, and runs for all
/// messages while the link is down.
const EXPIRES: Duration = Duration::from_hours(24);

/// The send lane of a bot.
pub(super) struct Lane {
    bot: Arc<Bot>,
    /// All times of the lane are steady times of this clock.
    clock: Clock,
    stop: CancellationToken,
    window: Window,
    tasks: Tasks,
    /// The link is up, both by status and by [`LinkHistory`].
    up: bool,
    backlog: Backlog,
    /// The bot's settings.
    settings: watch::Receiver<Arc<Settings>>,
    turns: Turns,
    /// The connection on which the unacked messages were written.
    connection: u64,
    /// The last epoch whose end is handled.
    epoch: u64,
    ending: bool,
    /// No write starts before this time, unless the link's state changes first.
    hold_until: Millis,
    /// No database access before this time, because the database failed.
    store_rest_until: Millis,
    acks: AckTimeout,
}

impl Lane {
    pub(super) fn new(
        bot: Arc<Bot>,
        store: Store,
        outbox: Outbox,
        feeds: CommitFeeds,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        let backlog = Backlog::new(store.last_seq());
        let failures = Failures {
            bot: Arc::clone(&bot),
            store,
            feeds,
            clock: clock.clone(),
            stop: stop.clone(),
        };
        Self {
            settings: bot.settings_changes(),
            turns: Turns::Free,
            backlog,
            bot,
            clock,
            stop,
            window: Window::default(),
            tasks: Tasks::new(failures, outbox),
            up: false,
            connection: 0,
            epoch: 0,
            ending: false,
            hold_until: 0,
            store_rest_until: 0,
            acks: AckTimeout::default(),
        }
    }

    /// Runs until the gateway stops or the queue of a removed bot has ended. At a stop, waits for
    /// writes in progress.
    pub(super) async fn run(mut self, committed: &mut mpsc::UnboundedReceiver<Committed>) {
        let mut link_history = self.bot.history();
        let link = tokio::select! {
            link = self.bot.opened() => link,
            () = self.stop.cancelled() => None,
        };
        let Some(link) = link else {
            return;
        };
        let mut status = link.status();
        let mut batch = Vec::new();
        loop {
            let history = link_history.borrow_and_update().clone();
            let online = *status.borrow_and_update() == Status::Online;
            self.follow(&history);
            let pacing = self.settings.borrow_and_update().pacing;
            if history.retired && self.epoch == history.epoch && self.tasks.is_empty() {
                return;
            }
            self.up = history.up && online;
            let turn = self.advance(&link, pacing);
            let wake = self.next_wake().min(turn.unwrap_or(Millis::MAX));
            tokio::select! {
                // Biased order: the lane handles the commit of an ack before the result of the
                // acked write.
                biased;
                () = self.stop.cancelled() => break,
                _ = committed.recv_many(&mut batch, WINDOW), if !committed.is_closed() => {
                    for row in batch.drain(..) {
                        self.committed(row);
                    }
                }
                Some(outcome) = self.tasks.next() => self.outcome(outcome),
                changed = status.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.hold_until = 0;
                }
                _ = link_history.changed() => self.hold_until = 0,
                Ok(()) = self.settings.changed() => {}
                () = self.clock.sleep_until(wake) => {}
            }
        }
        while self.tasks.writing() > 0 && self.tasks.next().await.is_some() {}
    }

    /// Follows the state of the link: a new connection, or the end of the device.
    fn follow(&mut self, history: &LinkHistory) {
        if history.epoch > self.epoch
            && !self.ending
            && self.clock.steady() >= self.store_rest_until
        {
            self.epoch = history.epoch;
            self.window.drop_up_to(history.end_seq);
            self.backlog.seen(history.end_seq);
            self.backlog.grow();
            let failure = history.end_failure.clone();
            let failure = failure.unwrap_or_else(MessageFailure::link_ended);
            self.ending = true;
            self.tasks.end_queue(history.end_seq, failure);
        }
        if history.connection > self.connection {
            self.connection = history.connection;
            let connection = self.connection;
            let again = self
                .window
                .write_again(|written| written.connection < connection);
            if again > 0 {
                info!(
                    bot = self.bot.name(),
                    messages = again,
                    "unacked messages are resent on the new connection"
                );
            }
        }
    }

    /// Starts all possible work. If the next message waits only for its turn, returns the time of
    /// the turn.
    fn advance(&mut self, link: &Arc<dyn Link>, pacing: Pacing) -> Option<Millis> {
        let now = self.clock.steady();
        self.window.wake(now);
        self.apply_pacing(pacing, now);
        self.watch_acks(link, now);
        self.expire(now);
        self.read_on(now);
        self.write_due(link, pacing, now)
    }

    /// Applies the bot's current pacing settings.
    fn apply_pacing(&mut self, pacing: Pacing, now: Millis) {
        if self.turns.apply(pacing) && now >= self.store_rest_until {
            self.turns.reading();
            self.tasks.remember(pace::REMEMBERED);
        }
    }

    /// Reacts to missing acks while the link is up.
    fn watch_acks(&mut self, link: &Arc<dyn Link>, now: Millis) {
        if !self.up {
            return;
        }
        let oldest = self.window.oldest_write();
        match self.acks.check(self.connection, oldest, now) {
            Reaction::Nothing => {}
            Reaction::Resend => {
                self.window
                    .write_again(|written| AckTimeout::is_overdue(written, now));
            }
            Reaction::Reconnect => {
                warn!(bot = self.bot.name(), "no server acks; reconnecting");
                metrics::counter!("waviro_link_kicks_total").increment(1);
                self.tasks.reconnect(Arc::clone(link));
            }
        }
    }

    /// Fails the messages that could not be sent for [`EXPIRES`].
    fn expire(&mut self, now: Millis) {
        if self.turns.unknown() {
            // Before the restart the queue may have moved until a moment ago.
            return;
        }
        let before = now - millis(EXPIRES);
        if self.window.oldest().is_some_and(|at| at <= before) {
            let expired = self.window.older_than(before);
            self.fail(expired, MessageFailure::expired());
        }
    }

    /// Reads further messages if the database has some and the window has room.
    fn read_on(&mut self, now: Millis) {
        let is_low = self.window.len() <= WINDOW / 2;
        if !is_low || self.ending || now < self.store_rest_until {
            return;
        }
        if let Some(read) = self.backlog.next_read(WINDOW - self.window.len()) {
            self.tasks.read(read);
        }
    }

    /// Writes the messages whose turn has come. If the next message waits only for its turn,
    /// returns the time of the turn.
    fn write_due(&mut self, link: &Arc<dyn Link>, pacing: Pacing, now: Millis) -> Option<Millis> {
        if !self.up || now < self.hold_until {
            return None;
        }
        while self.tasks.writing() < SIDE_BY_SIDE {
            let (message, first) = self.window.peek()?;
            let (typing, at) = match self.turns.next(pacing, message, first, now) {
                Turn::Now { typing, at } => (typing, at),
                Turn::At(turn) => {
                    self.window.hold(now);
                    return Some(turn);
                }
                Turn::Unknown => return None,
            };
            let (seq, message, again) = self.window.next()?;
            let history = self.bot.history();
            let epoch = history.borrow().epoch;
            let write = Write {
                link: Arc::clone(link),
                clock: self.clock.clone(),
                stop: self.stop.clone(),
                history,
                epoch,
                message,
                again,
                typing,
                at,
            };
            let connection = self.connection;
            self.tasks.write(seq, Written { connection, at }, write);
        }
        None
    }

    /// Ends messages with -1.
    fn fail(&mut self, ids: Vec<MessageId>, failure: MessageFailure) {
        for id in &ids {
            self.window.settle(id);
        }
        self.tasks.fail(ids, failure);
    }

    fn committed(&mut self, commit: Committed) {
        let now = self.clock.steady();
        match commit {
            Committed::Accepted(queued) if self.backlog.has_seen(queued.seq) => {}
            Committed::Accepted(queued)
                if queued
                    .epoch
                    .is_some_and(|epoch| epoch < self.bot.history().borrow().epoch) =>
            {
                // The message was accepted while the device was ending, after the end of the queue
                // was determined. The next linked device must not send the message.
                self.backlog.seen(queued.seq);
                self.fail(vec![queued.message.id], MessageFailure::link_ended());
            }
            Committed::Accepted(queued)
                if self.backlog.is_empty() && self.window.len() < WINDOW =>
            {
                self.backlog.seen(queued.seq);
                self.window.insert(queued, now, false);
            }
            Committed::Accepted(_) => self.backlog.grow(),
            Committed::Settled(id) => {
                self.acks.acked(now);
                if let Some(Outgoing { content, .. }) = self.window.settle(&id)
                    && content.file().is_some()
                {
                    self.tasks.remove_file(content);
                }
            }
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        let now = self.clock.steady();
        match outcome {
            Outcome::Wrote {
                seq,
                id,
                chat,
                written,
                result,
            } => self.wrote(seq, id, &chat, written, result),
            Outcome::Read { limit, result } => self.read(limit, result),
            Outcome::Remembered(result) => self.remember(result),
            Outcome::Ended { up_to, result } => {
                self.ending = false;
                if let Err(reason) = result {
                    error!(bot = self.bot.name(), %reason, "queued messages could not be ended; retry scheduled");
                    self.epoch -= 1;
                    self.store_rest_until = now + millis(STORE_REST);
                }
                self.window.drop_up_to(up_to);
            }
            Outcome::Done => {}
        }
    }

    fn wrote(
        &mut self,
        seq: i64,
        id: MessageId,
        chat: &Chat,
        written: Written,
        result: Result<(), LinkError>,
    ) {
        let now = self.clock.steady();
        match result {
            Ok(()) => {
                metrics::counter!("waviro_messages_written_total").increment(1);
                self.window.wrote(seq, chat, written);
                let connection = self.connection;
                if written.connection < connection {
                    self.window
                        .write_again(|written| written.connection < connection);
                }
            }
            Err(LinkError::Offline) => {
                // The link will report the new state soon; until then nothing is written. The
                // attempt does not count.
                self.hold_until = now + millis(STORE_REST);
                self.window.rest(seq, chat, now);
            }
            Err(LinkError::Denied { code, text }) => {
                self.window.wrote(seq, chat, written);
                self.refused(id, chat, MessageFailure::refused(code, &text));
            }
            Err(LinkError::Refused(reason)) => {
                self.window.wrote(seq, chat, written);
                self.refused(id, chat, MessageFailure::unsendable(&reason));
            }
            Err(reason @ (LinkError::TimedOut | LinkError::Failed(_) | LinkError::Store(_))) => {
                warn!(bot = self.bot.name(), msgid = id.as_str(), %reason, "message not sent to WhatsApp; retry scheduled");
                if matches!(reason, LinkError::TimedOut) {
                    self.acks.write_timed_out();
                }
                self.window.rest(seq, chat, now + millis(REST));
            }
        }
    }

    /// Adds the rows of a read to the window; `limit` is the number of requested rows.
    fn read(&mut self, limit: usize, result: Result<Vec<Queued>, StoreError>) {
        let now = self.clock.steady();
        match result {
            Ok(rows) => {
                for (row, again) in self.backlog.read(limit, rows) {
                    self.window.insert(row, now, again);
                }
            }
            Err(reason) => {
                error!(bot = self.bot.name(), %reason, "queue of the bot could not be read");
                self.backlog.read_failed();
                self.store_rest_until = now + millis(STORE_REST);
            }
        }
    }

    /// Continues the pace after the send times before the restart.
    fn remember(&mut self, result: Result<Vec<Millis>, StoreError>) {
        match result {
            Ok(acked) => {
                if let Some(last) = self.turns.read(acked, &self.clock) {
                    self.window.hold(last);
                }
            }
            Err(reason) => {
                error!(bot = self.bot.name(), %reason, "last messages of the bot could not be read");
                self.turns.read_failed();
                self.store_rest_until = self.clock.steady() + millis(STORE_REST);
            }
        }
    }

    /// Ends a refused message. A refused number may be gone, so its stored lookup is forgotten.
    fn refused(&mut self, id: MessageId, chat: &Chat, failure: MessageFailure) {
        warn!(
            bot = self.bot.name(),
            msgid = id.as_str(),
            code = failure.cause.code(),
            reason = failure.text,
            "message refused"
        );
        if let Chat::Person(number) = chat {
            self.tasks.forget_number(number.clone());
        }
        self.fail(vec![id], failure);
    }

    /// Returns the next time at which work may be due.
    fn next_wake(&self) -> Millis {
        let now = self.clock.steady();
        let ack = self.acks.next_check(self.window.oldest_write());
        let expiry = self.window.oldest().map(|at| at + millis(EXPIRES));
        let holds = [self.hold_until, self.store_rest_until]
            .into_iter()
            .filter(|at| *at > now);
        [ack.filter(|_| self.up), expiry, self.window.next_wake()]
            .into_iter()
            .flatten()
            // A time in the past that caused no work must not cause a busy loop.
            .map(|at| at.max(now + 100))
            .chain(holds)
            .min()
            .unwrap_or(Millis::MAX)
    }
}
