//! One lane per bot: writes its queue to the wire and waits for the server's acks.
//!
//! The queue are the message rows with ack 0. The lane holds a [`Window`] of them in memory; accepts reach it right
//! after their commit, and where more wait than the window holds it reads on from the database. `send` returning `Ok`
//! proves nothing: a message leaves the queue only when the server's ack (or a refusal, the end of the device, or its
//! 24 hours) is committed. What was written on a connection that is gone is written again, same id, as soon as the next
//! one is up; where acks stay away for a minute the lane asks for a fresh connection itself.

mod backlog;
mod ending;
mod pace;
mod silence;
mod turn;
mod window;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use waviro_link::{Chat, Content, Link, LinkError, MessageId, Outgoing, Status};

use crate::bots::{Bot, Marks, Pacing, Settings};
use crate::clock::{Clock, Millis, millis};
use crate::outbox::Outbox;
use crate::store::{Committed, Feeds, Queued, Store, StoreError};
use backlog::Backlog;
use ending::EXPIRES;
use turn::Turns;
use window::{Window, Written};

/// Messages of one bot in memory, unacked ones included: at a round trip of 100 ms enough for 2,500 messages a second.
const WINDOW: usize = 256;

/// Messages of one bot being encrypted and written side by side.
const SIDE_BY_SIDE: usize = 16;

/// The server acks within a second or two; a minute of silence means that the connection is dead or the ack lost.
const ACK_WITHIN: Duration = Duration::from_mins(1);

/// A write that takes longer than this is given up as timed out.
const WRITE_WITHIN: Duration = Duration::from_mins(1);

/// The same where a file is uploaded first.
const UPLOAD_WITHIN: Duration = Duration::from_mins(5);

/// A chat rests so long after a failure that may pass.
const REST: Duration = Duration::from_secs(5);

/// The lane rests so long after a failure of the database.
const STORE_REST: Duration = Duration::from_secs(1);

/// A bot's lane.
pub(super) struct Lane {
    bot: Arc<Bot>,
    store: Store,
    outbox: Outbox,
    feeds: Feeds,
    /// Whatever is counted here is counted in its steady time.
    clock: Clock,
    stop: CancellationToken,
    window: Window,
    work: FuturesUnordered<BoxFuture<'static, Outcome>>,
    writing: usize,
    /// The link is up, by its own word and by what was heard.
    up: bool,
    /// The last message that was in memory, or is known not to be wanted.
    last_seen: i64,
    /// The last that a lane before this one may have written.
    of_others: i64,
    backlog: Backlog,
    /// How the bot is set.
    settings: watch::Receiver<Arc<Settings>>,
    turns: Turns,
    /// The connection on which what is unacked was written.
    connection: u64,
    /// The end of the device that was dealt with.
    epoch: u64,
    ending: bool,
    /// Nothing is written before this, or before the link's state changes.
    hold_until: Millis,
    /// The database failed: no look into it before this.
    store_rest_until: Millis,
    last_ack: Millis,
    kicked: Option<Written>,
    timeouts: u32,
}

/// What work of the lane came to.
enum Outcome {
    Wrote {
        seq: i64,
        id: MessageId,
        chat: Chat,
        written: Written,
        result: Result<(), LinkError>,
    },
    /// What a pace goes on after.
    Remembered(Result<Vec<Millis>, StoreError>),
    Read {
        limit: usize,
        result: Result<Vec<Queued>, StoreError>,
    },
    Ended {
        up_to: i64,
        result: Result<(), StoreError>,
    },
    Done,
}

impl Lane {
    pub(super) fn new(
        bot: Arc<Bot>,
        store: Store,
        outbox: Outbox,
        feeds: Feeds,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        let of_others = store.last_seq();
        Self {
            settings: bot.settings_changes(),
            turns: Turns::Free,
            bot,
            store,
            outbox,
            feeds,
            clock,
            stop,
            window: Window::default(),
            work: FuturesUnordered::new(),
            writing: 0,
            up: false,
            last_seen: 0,
            of_others,
            backlog: Backlog::Some,
            connection: 0,
            epoch: 0,
            ending: false,
            hold_until: 0,
            store_rest_until: 0,
            last_ack: 0,
            kicked: None,
            timeouts: 0,
        }
    }

    /// Runs until the gateway stops or the bot's queue has ended for good. At a stop, writes under way are waited for.
    pub(super) async fn run(mut self, committed: &mut mpsc::UnboundedReceiver<Committed>) {
        let mut marks = self.bot.marks();
        let link = tokio::select! {
            link = self.bot.opened() => link,
            () = self.stop.cancelled() => None,
        };
        let Some(link) = link else {
            return;
        };
        let mut status = link.status();
        let mut news = Vec::new();
        loop {
            let heard = marks.borrow_and_update().clone();
            let online = *status.borrow_and_update() == Status::Online;
            self.follow(&heard);
            let pacing = self.settings.borrow_and_update().pacing;
            if heard.retired && self.epoch == heard.epoch && self.work.is_empty() {
                return;
            }
            self.up = heard.up && online;
            let turn = self.advance(&link, pacing);
            let wake = self.next_wake().min(turn.unwrap_or(Millis::MAX));
            tokio::select! {
                // In this order: a commit is told before the write that it answers returns.
                biased;
                () = self.stop.cancelled() => break,
                _ = committed.recv_many(&mut news, WINDOW), if !committed.is_closed() => {
                    for told in news.drain(..) {
                        self.told(told);
                    }
                }
                Some(outcome) = self.work.next() => self.outcome(outcome),
                changed = status.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.hold_until = 0;
                }
                _ = marks.changed() => self.hold_until = 0,
                Ok(()) = self.settings.changed() => {}
                () = self.clock.sleep_until(wake) => {}
            }
        }
        while self.writing > 0
            && let Some(outcome) = self.work.next().await
        {
            if matches!(outcome, Outcome::Wrote { .. }) {
                self.writing -= 1;
            }
        }
    }

    /// Takes in what was heard of the link: a new connection, the end of the device.
    fn follow(&mut self, heard: &Marks) {
        if heard.epoch > self.epoch && !self.ending && self.clock.steady() >= self.store_rest_until
        {
            self.epoch = heard.epoch;
            self.window.drop_up_to(heard.end_seq);
            self.last_seen = self.last_seen.max(heard.end_seq);
            self.backlog.grow();
            self.end_queue(heard.end_seq, heard.end_cause.clone());
        }
        if heard.connection > self.connection {
            self.connection = heard.connection;
            let connection = self.connection;
            let again = self
                .window
                .write_again(|written| written.connection < connection);
            if again > 0 {
                info!(
                    bot = self.bot.name(),
                    messages = again,
                    "unacked messages are written again on the new connection"
                );
            }
        }
    }

    /// Starts whatever can be started now. Returns when the next message has its turn, where it waits for that alone.
    fn advance(&mut self, link: &Arc<dyn Link>, pacing: Pacing) -> Option<Millis> {
        let now = self.clock.steady();
        self.window.wake(now);
        self.keep_turns(pacing, now);
        self.watch_acks(link, now);
        self.expire(now);
        self.read_on(now);
        self.write(link, pacing, now)
    }

    fn told(&mut self, told: Committed) {
        match told {
            Committed::Accepted(queued) if queued.seq <= self.last_seen => {}
            Committed::Accepted(queued)
                if queued
                    .epoch
                    .is_some_and(|epoch| epoch < self.bot.marks().borrow().epoch) =>
            {
                // Accepted while the device was ending: it must not be sent by whatever is linked next. Not earlier
                // than this can the end have counted it in.
                self.last_seen = self.last_seen.max(queued.seq);
                self.fail(vec![queued.message.id], "link_ended");
            }
            Committed::Accepted(queued)
                if self.backlog == Backlog::None && self.window.len() < WINDOW =>
            {
                self.last_seen = queued.seq;
                self.window.insert(queued, self.clock.steady(), false);
            }
            Committed::Accepted(_) => self.backlog.grow(),
            Committed::Settled(id) => {
                self.last_ack = self.clock.steady();
                self.timeouts = 0;
                if let Some(Outgoing { content, .. }) = self.window.settle(&id)
                    && matches!(content, Content::Media(_))
                {
                    let outbox = self.outbox.clone();
                    self.work.push(Box::pin(async move {
                        outbox.let_go(&content).await;
                        Outcome::Done
                    }));
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
            } => {
                self.writing -= 1;
                self.wrote(seq, id, &chat, written, result);
            }
            Outcome::Read { limit, result } => self.read(limit, result),
            Outcome::Remembered(result) => self.remember(result),
            Outcome::Ended { up_to, result } => {
                self.ending = false;
                if let Err(reason) = result {
                    error!(bot = self.bot.name(), %reason, "the bot's queue could not be ended; trying again");
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
                // The state will say so in a moment; until then nothing is written. No attempt is lost.
                self.hold_until = now + millis(STORE_REST);
                self.window.rest(seq, chat, now);
            }
            Err(LinkError::Refused(reason)) => {
                warn!(
                    bot = self.bot.name(),
                    msgid = id.as_str(),
                    reason,
                    "message refused"
                );
                self.window.wrote(seq, chat, written);
                if let Chat::Person(number) = chat {
                    let (outbox, number) = (self.outbox.clone(), number.clone());
                    self.work.push(Box::pin(async move {
                        outbox.number_gone(&number).await;
                        Outcome::Done
                    }));
                }
                self.fail(vec![id], &format!("refused: {reason}"));
            }
            Err(reason) => {
                warn!(bot = self.bot.name(), msgid = id.as_str(), %reason, "message not written; trying again");
                if matches!(reason, LinkError::TimedOut) {
                    self.timeouts += 1;
                }
                self.window.rest(seq, chat, now + millis(REST));
            }
        }
    }

    /// The next moment at which something may be due by time alone.
    fn next_wake(&self) -> Millis {
        let now = self.clock.steady();
        let ack = self
            .window
            .oldest_write()
            .map(|written| written.at + millis(ACK_WITHIN));
        let kick = self.kicked.map(|kick| kick.at + millis(REST));
        let expiry = self.window.oldest().map(|at| at + millis(EXPIRES));
        let holds = [self.hold_until, self.store_rest_until]
            .into_iter()
            .filter(|at| *at > now);
        [
            ack.filter(|_| self.up),
            kick.filter(|_| self.up),
            expiry,
            self.window.next_wake(),
        ]
        .into_iter()
        .flatten()
        // A moment that is past and changed nothing must not spin.
        .map(|at| at.max(now + 100))
        .chain(holds)
        .min()
        .unwrap_or(Millis::MAX)
    }
}
