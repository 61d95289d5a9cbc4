//! The turns of messages: at once or by the bot's pace, with typing shown before.

use std::time::Duration;

use waviro_link::Outgoing;
use waviro_store::clock::{Clock, Millis, millis};

use super::pace::{self, Pace};
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

/// The turn of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The turn has come. The message is written at `at`; until then the bot shows typing if
    /// `typing` is set.
    Now { typing: bool, at: Millis },
    /// The turn comes at this time.
    At(Millis),
    /// The send times are not known yet.
    Unknown,
}

impl Turns {
    /// Returns true if the last send times are not known yet.
    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Reading)
    }

    /// Applies the bot's current pacing settings. Returns true if the send times before the restart
    /// must be read.
    pub(super) fn apply(&mut self, pacing: Pacing) -> bool {
        match (&self, pacing.per_minute) {
            (Self::Free, Some(_)) => *self = Self::Unknown,
            (Self::Unknown | Self::Paced(_), None) => *self = Self::Free,
            _ => {}
        }
        matches!(self, Self::Unknown)
    }

    /// The read of the send times has started.
    pub(super) fn reading(&mut self) {
        *self = Self::Reading;
    }

    /// The read of the send times failed.
    pub(super) fn read_failed(&mut self) {
        *self = Self::Unknown;
    }

    /// Takes the times of the last server acks as send times; an ack follows shortly after the
    /// write. Returns the last time, because the queue moved until then, also before a restart.
    pub(super) fn read(&mut self, acked: Vec<Millis>, clock: &Clock) -> Option<Millis> {
        // The times in the database may come from a clock that was put forward since this process
        // started.
        let (steady, ahead) = (clock.steady(), clock.now() - clock.steady());
        let passed = |at: Millis| if at > steady { at - ahead } else { at };
        let times: Vec<Millis> = acked.into_iter().map(passed).collect();
        let last = times.iter().max().map(|last| (*last).min(steady));
        *self = Self::Paced(Pace::after(times));
        last
    }

    /// Returns the turn of the next message, and takes the turn if the turn has come. `first` is
    /// false for a resend: the typing is not shown again.
    pub(super) fn next(
        &mut self,
        pacing: Pacing,
        message: &Outgoing,
        first: bool,
        now: Millis,
    ) -> Turn {
        let typing: Option<Duration> = pace::typing(pacing, message).filter(|_| first);
        let lead = millis(typing.unwrap_or_default());
        let at = match self {
            Self::Free => now + lead,
            Self::Unknown | Self::Reading => return Turn::Unknown,
            Self::Paced(pace) => {
                let turn = pace.next(pacing, now);
                if turn > now + lead {
                    return Turn::At(turn - lead);
                }
                let at = turn.max(now + lead);
                pace.took(message, at);
                at
            }
        };
        let typing = typing.is_some();
        Turn::Now { typing, at }
    }
}
