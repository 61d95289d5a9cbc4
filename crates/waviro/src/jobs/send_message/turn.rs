//! Whose turn it is: at once, or by the bot's pace; and the write itself, after the typing that is seen before it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error};
use waviro_link::{Content, Link, LinkError, Outgoing};

use super::pace::{self, Pace};
use super::window::Written;
use super::{Lane, Outcome, SIDE_BY_SIDE, STORE_REST, UPLOAD_WITHIN, WRITE_WITHIN};
use crate::bots::Pacing;
use crate::clock::{Millis, millis};
use crate::store::StoreError;

/// How turns are given.
#[derive(Debug)]
pub(super) enum Turns {
    /// There is no pace.
    Free,
    /// There is one, and what was written before is not read yet: nothing is written, or a restart would be a way around it.
    Unknown,
    /// It is being read.
    Reading,
    /// There is one.
    Paced(Pace),
}

impl Turns {
    /// When messages were written lately is not known yet.
    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Reading)
    }
}

impl Lane {
    /// Follows the bot's settings.
    pub(super) fn keep_turns(&mut self, pacing: Pacing, now: Millis) {
        match (&self.turns, pacing.per_minute) {
            (Turns::Free, Some(_)) => self.turns = Turns::Unknown,
            (Turns::Unknown | Turns::Paced(_), None) => self.turns = Turns::Free,
            _ => {}
        }
        if matches!(self.turns, Turns::Unknown) && now >= self.store_rest_until {
            self.turns = Turns::Reading;
            let (store, slot) = (self.store.clone(), self.bot.slot());
            let most = i64::try_from(pace::REMEMBERED).unwrap_or(i64::MAX);
            self.work.push(Box::pin(async move {
                Outcome::Remembered(store.last_sent(slot, most).await)
            }));
        }
    }

    /// Takes in when messages were last taken by the server, which is a little after they were written.
    pub(super) fn remember(&mut self, result: Result<Vec<Millis>, StoreError>) {
        match result {
            Ok(moments) => {
                // The database has them by a clock that may have been put forward since this process began.
                let (steady, ahead) = (self.clock.steady(), self.clock.now() - self.clock.steady());
                let passed = |at: Millis| if at > steady { at - ahead } else { at };
                let moments: Vec<Millis> = moments.into_iter().map(passed).collect();
                // The queue moved until then, before a restart too.
                if let Some(last) = moments.iter().max() {
                    self.window.hold((*last).min(steady));
                }
                self.turns = Turns::Paced(Pace::after(moments));
            }
            Err(reason) => {
                error!(bot = self.bot.name(), %reason, "the bot's last messages could not be read");
                self.turns = Turns::Unknown;
                self.store_rest_until = self.clock.steady() + millis(STORE_REST);
            }
        }
    }

    /// Writes what has its turn. Returns when the next has its turn, where it waits for that alone.
    pub(super) fn write(
        &mut self,
        link: &Arc<dyn Link>,
        pacing: Pacing,
        now: Millis,
    ) -> Option<Millis> {
        if !self.up || now < self.hold_until {
            return None;
        }
        while self.writing < SIDE_BY_SIDE {
            let (message, first) = self.window.peek()?;
            // Whoever saw it typed once need not see it again.
            let typing = pace::typing(pacing, message).filter(|_| first);
            let at = match &mut self.turns {
                Turns::Free => now + millis(typing.unwrap_or_default()),
                Turns::Unknown | Turns::Reading => return None,
                Turns::Paced(pace) => {
                    let lead = millis(typing.unwrap_or_default());
                    let turn = pace.next(pacing, now);
                    if turn > now + lead {
                        self.window.hold(now);
                        return Some(turn - lead);
                    }
                    let at = turn.max(now + lead);
                    pace.took(message, at);
                    at
                }
            };
            let (seq, message, again) = self.window.next()?;
            self.begin(link, (seq, message, again), typing, at);
        }
        None
    }

    fn begin(
        &mut self,
        link: &Arc<dyn Link>,
        (seq, message, again): (i64, Outgoing, bool),
        typing: Option<Duration>,
        at: Millis,
    ) {
        let (link, clock, stop) = (Arc::clone(link), self.clock.clone(), self.stop.clone());
        let marks = self.bot.marks();
        let epoch = marks.borrow().epoch;
        let message = self.outbox.located(message);
        let within = match message.content {
            Content::Media(_) => UPLOAD_WITHIN,
            _ => WRITE_WITHIN,
        };
        let written = Written {
            connection: self.connection,
            at,
        };
        self.writing += 1;
        self.work.push(Box::pin(async move {
            let seen = async {
                if let Err(cause) = link.typing(&message.to, true).await {
                    debug!(%cause, "typing is not shown");
                }
                std::future::pending::<()>().await;
            };
            let writing = async {
                if typing.is_some() {
                    tokio::select! {
                        () = seen => {}
                        () = clock.sleep_until(at) => {}
                        // The next start writes it.
                        () = stop.cancelled() => return Err(LinkError::Offline),
                    }
                    if marks.borrow().epoch != epoch {
                        // The device ended meanwhile, and the queue with it: whatever is linked next must not send this.
                        return Err(LinkError::Offline);
                    }
                }
                waviro_fault::step("send begun");
                tokio::select! {
                    biased;
                    result = link.send(&message, again) => result,
                    () = clock.sleep(within) => Err(LinkError::TimedOut),
                }
            };
            let result = writing.await;
            if result.is_ok() {
                waviro_fault::step("send done");
            }
            Outcome::Wrote {
                seq,
                id: message.id,
                chat: message.to,
                written,
                result,
            }
        }));
    }
}
