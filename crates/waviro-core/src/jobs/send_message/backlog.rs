//! The part of a bot's queue outside the window: messages to read from the database.

use waviro_fault::Bug;
use waviro_link::MessageId;
use waviro_store::Queued;

/// The messages of the queue that are not in the window.
#[derive(Debug)]
pub(super) struct Backlog {
    state: State,
    /// The highest message sequence number that was in memory or needs no write.
    last_seen: i64,
    /// The highest sequence number possibly written by an earlier lane.
    earlier_lanes: i64,
}

/// Tells if the database holds messages outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All messages are in memory.
    Empty,
    /// The database may hold further messages.
    Waiting,
    /// A read is in progress; `missed` is set if a message was accepted during the read.
    Reading { missed: bool },
}

/// A read of the next messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// The read starts after this sequence number.
    pub(super) after: i64,
    pub(super) limit: usize,
}

impl Backlog {
    /// A new lane reads its messages from the database. An earlier lane may have written the
    /// messages up to the sequence number `earlier_lanes`.
    pub(super) fn new(earlier_lanes: i64) -> Self {
        Self {
            state: State::Waiting,
            last_seen: 0,
            earlier_lanes,
        }
    }

    /// Returns true if all accepted messages are in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Returns true if the message was in memory or needs no write.
    pub(super) fn has_seen(&self, seq: i64) -> bool {
        seq <= self.last_seen
    }

    /// Records that the messages up to this one are in memory or need no write.
    pub(super) fn seen(&mut self, seq: i64) {
        self.last_seen = self.last_seen.max(seq);
    }

    /// A message was accepted but does not fit in the window.
    pub(super) fn grow(&mut self) {
        self.state = match self.state {
            State::Empty | State::Waiting => State::Waiting,
            State::Reading { .. } => State::Reading { missed: true },
        };
    }

    /// Returns the next read of up to `limit` messages, unless nothing is left to read or a read is
    /// in progress. The caller ends the read with [`Self::read`] or [`Self::read_failed`].
    pub(super) fn next_read(&mut self, limit: usize) -> Option<Read> {
        if self.state != State::Waiting {
            return None;
        }
        self.state = State::Reading { missed: false };
        let after = self.last_seen;
        Some(Read { after, limit })
    }

    /// Ends a read. Returns the new messages, each with true if an earlier lane may have written
    /// the message.
    pub(super) fn read(&mut self, limit: usize, rows: Vec<Queued>) -> Vec<(Queued, bool)> {
        let missed = self.state == (State::Reading { missed: true });
        self.state = if missed || rows.len() >= limit {
            State::Waiting
        } else {
            State::Empty
        };
        let mut new = Vec::with_capacity(rows.len());
        for mut row in rows {
            if waviro_fault::planted(Bug::NewIdOnResend) {
                row.message.id = MessageId::from_random(rand::random());
            }
            if !self.has_seen(row.seq) {
                self.seen(row.seq);
                let again = row.seq <= self.earlier_lanes;
                new.push((row, again));
            }
        }
        new
    }

    /// Ends a failed read.
    pub(super) fn read_failed(&mut self) {
        self.state = State::Waiting;
    }
}
