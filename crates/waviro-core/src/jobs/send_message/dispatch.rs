//! The turns of messages: at once or by the bot's pace, and the write itself, with typing shown
//! before.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error};
use waviro_link::{Content, Link, LinkError, Outgoing};
use waviro_store::StoreError;
use waviro_store::clock::{Millis, millis};

use super::pace::{self, Pace};
use super::window::Written;
use super::{Lane, Outcome, SIDE_BY_SIDE, STORE_REST, UPLOAD_WITHIN, WRITE_WITHIN};
use crate::bots::Pacing;

/// The rule for turns.
#[derive(Debug)]
pub(super) enum Turns {
    /// The bot has no pace.
    Free,
    /// The bot has a pace, but the send times before the restart are not read yet. Nothing is
    /// written until then: a restart must not circumvent the pace.
    Unknown,
    /// The read of the send times is in progress.
    Reading,
    /// The bot has a pace and the send times are known.
    Paced(Pace),
}

impl Turns {
    /// Returns true if the last send times are not known yet.
    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Reading)
    }
}

impl Lane {
    /// Applies the bot's current pacing settings.
    pub(super) fn apply_pacing(&mut self, pacing: Pacing, now: Millis) {
        match (&self.turns, pacing.per_minute) {
            (Turns::Free, Some(_)) => self.turns = Turns::Unknown,
            (Turns::Unknown | Turns::Paced(_), None) => self.turns = Turns::Free,
            _ => {}
        }
        if matches!(self.turns, Turns::Unknown) && now >= self.store_rest_until {
            self.turns = Turns::Reading;
            let (store, bot_id) = (self.store.clone(), self.bot.id());
            let most = i64::try_from(pace::REMEMBERED).unwrap_or(i64::MAX);
            self.work.push(Box::pin(async move {
                Outcome::Remembered(store.last_sent(bot_id, most).await)
            }));
        }
    }

    /// Takes the times of the last server acks as send times; an ack follows shortly after the
    /// write.
    pub(super) fn remember(&mut self, result: Result<Vec<Millis>, StoreError>) {
        match result {
            Ok(moments) => {
                // The times in the database may come from a clock that was put forward since this
                // process started.
                let (steady, ahead) = (self.clock.steady(), self.clock.now() - self.clock.steady());
                let passed = |at: Millis| if at > steady { at - ahead } else { at };
                let moments: Vec<Millis> = moments.into_iter().map(passed).collect();
                // The queue moved until the last send time, also before a restart.
                if let Some(last) = moments.iter().max() {
                    self.window.hold((*last).min(steady));
                }
                self.turns = Turns::Paced(Pace::after(moments));
            }
            Err(reason) => {
                error!(bot = self.bot.name(), %reason, "last messages of the bot could not be read");
                self.turns = Turns::Unknown;
                self.store_rest_until = self.clock.steady() + millis(STORE_REST);
            }
        }
    }

    /// Writes the messages whose turn has come. If the next message waits only for its turn,
    /// returns the time of the turn.
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
            // The typing is not shown again for a resend.
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
        let history = self.bot.history();
        let epoch = history.borrow().epoch;
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
                    debug!(%cause, "typing indicator could not be sent");
                }
                std::future::pending::<()>().await;
            };
            let writing = async {
                if typing.is_some() {
                    tokio::select! {
                        () = seen => {}
                        () = clock.sleep_until(at) => {}
                        // The next start writes the message.
                        () = stop.cancelled() => return Err(LinkError::Offline),
                    }
                    if history.borrow().epoch != epoch {
                        // The device and the queue have ended in the meantime. The next linked
                        // device must not send this message.
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
