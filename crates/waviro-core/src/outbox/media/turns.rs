//! Limits work on files that takes much memory or a whole core: few files at a time, and fair
//! between bots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Allows a fixed number of files at a time. Cheap to clone.
///
/// Only one file of each bot waits for a turn at a time, and turns are given in the order of
/// waiting. A bot with many files therefore delays another bot's file by one file.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    turns: Arc<Semaphore>,
    lines: Arc<Mutex<HashMap<i32, Weak<Semaphore>>>>,
}

/// A file's turn, until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _first: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            lines: Arc::default(),
        }
    }

    /// Waits for a turn for a file of the bot. The result is never `None` while the process runs.
    pub(super) async fn of(&self, bot: i32) -> Option<Turn> {
        let first = self.line_of(bot).acquire_owned().await.ok()?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn {
            _turn: turn,
            _first: first,
        })
    }

    /// Returns the bot's own queue. Files wait in the bot's queue before waiting for a turn.
    fn line_of(&self, bot: i32) -> Arc<Semaphore> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&bot).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Semaphore::new(1));
        lines.insert(bot, Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use futures::stream::FuturesUnordered;

    use super::*;

    #[tokio::test]
    async fn a_bot_with_many_files_delays_the_file_of_another_by_one_of_its_own() {
        let turns = Turns::new(1);
        let held = turns.of(9).await;
        let order = Mutex::new(Vec::new());
        let work = async |bot: i32| {
            let _turn = turns.of(bot).await;
            order.lock().unwrap().push(bot);
            tokio::task::yield_now().await;
        };
        // The files start to wait in this order.
        let mut files: FuturesUnordered<_> = [1; 20].into_iter().chain([2]).map(work).collect();
        let waiting = files.by_ref().for_each(async |()| ());
        let begins = async { drop(held) };
        tokio::join!(waiting, begins);
        drop(files);
        let order = order.into_inner().unwrap();
        assert_eq!(order.len(), 21);
        assert!(order[..2].contains(&2), "{order:?}");
        drop(turns.of(3).await);
        let lines = turns.lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "bots that wait for nothing are forgotten");
    }
}
