//! The part of a bot's queue outside the window: reading further messages from the database.

use tracing::error;
use waviro_fault::Bug;
use waviro_link::MessageId;
use waviro_store::clock::{Millis, millis};
use waviro_store::{Queued, StoreError};

use super::{Lane, Outcome, STORE_REST, WINDOW};

/// Tells if the database holds messages outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    /// All messages are in memory.
    None,
    /// The database may hold further messages.
    Some,
    /// A read is in progress; `missed` is set if a message was accepted during the read.
    Reading { missed: bool },
}

impl Backlog {
    /// A message was accepted but does not fit in the window.
    pub(super) fn grow(&mut self) {
        *self = match self {
            Self::None | Self::Some => Self::Some,
            Self::Reading { .. } => Self::Reading { missed: true },
        };
    }
}

impl Lane {
    /// Reads further messages if the database has some and the window has room.
    pub(super) fn read_on(&mut self, now: Millis) {
        let low = self.window.len() <= WINDOW / 2;
        if self.backlog == Backlog::Some && low && !self.ending && now >= self.store_rest_until {
            self.backlog = Backlog::Reading { missed: false };
            let (store, bot_id, after) = (self.store.clone(), self.bot.id(), self.last_seen);
            let limit = WINDOW - self.window.len();
            self.work.push(Box::pin(async move {
                let most = i64::try_from(limit).unwrap_or(i64::MAX);
                let result = store.pending(bot_id, after, most).await;
                Outcome::Read { limit, result }
            }));
        }
    }

    /// Adds the rows of a read to the window; `limit` is the number of requested rows.
    pub(super) fn read(&mut self, limit: usize, result: Result<Vec<Queued>, StoreError>) {
        let rows = match result {
            Ok(rows) => rows,
            Err(reason) => {
                error!(bot = self.bot.name(), %reason, "queue of the bot could not be read");
                self.backlog = Backlog::Some;
                self.store_rest_until = self.clock.steady() + millis(STORE_REST);
                return;
            }
        };
        let missed = self.backlog == (Backlog::Reading { missed: true });
        self.backlog = if missed || rows.len() >= limit {
            Backlog::Some
        } else {
            Backlog::None
        };
        for mut row in rows {
            if waviro_fault::planted(Bug::NewIdOnResend) {
                row.message.id = MessageId::from_random(rand::random());
            }
            if row.seq > self.last_seen {
                self.last_seen = row.seq;
                let again = row.seq <= self.of_others;
                self.window.insert(row, self.clock.steady(), again);
            }
        }
    }
}
