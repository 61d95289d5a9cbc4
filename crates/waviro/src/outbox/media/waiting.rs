//! Files of each bot that wait until they are sent: how many, and how large together.
//!
//! The folder is the truth. What is counted here is found out when a file is taken or removed, and each time the folder is swept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// As often the messages of a bot's files are asked after where it has too many: a queue that ended at once leaves its files.
const LOOKED_AFTER: Duration = Duration::from_secs(10);

/// The files that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counted: Mutex<Counted>,
    files: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Counted {
    /// By the file's name.
    files: HashMap<String, OfBot>,
    bots: HashMap<i32, Share>,
    /// Files that a task of this process works on: no message may name them yet.
    held: HashSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct OfBot {
    bot: i32,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Share {
    files: u64,
    bytes: u64,
    looked: Option<Instant>,
}

impl Waiting {
    /// At most so many files of one bot, and so many bytes of all of them.
    pub(super) fn new(files: u64, bytes: u64) -> Self {
        Self(Arc::new(Inner {
            counted: Mutex::default(),
            files,
            bytes,
        }))
    }

    /// Counts a file that is about to be fetched; `false` where its bot has as many as it may.
    pub(super) fn begin(&self, bot: i32, name: &str) -> bool {
        let mut counted = self.lock();
        let share = counted.bots.entry(bot).or_default();
        if share.files >= self.0.files || share.bytes >= self.0.bytes {
            return false;
        }
        counted.put(name, OfBot { bot, bytes: 0 });
        true
    }

    /// Counts how large it turned out to be; `false` where that is too much.
    pub(super) fn fetched(&self, name: &str, bytes: u64) -> bool {
        let mut counted = self.lock();
        let Some(file) = counted.files.get(name).copied() else {
            return false;
        };
        counted.put(name, OfBot { bytes, ..file });
        let share = counted.bots.entry(file.bot).or_default();
        share.bytes <= self.0.bytes
    }

    /// Counts a file that was found in the folder, whatever its bot may have.
    pub(super) fn found(&self, bot: i32, name: &str, bytes: u64) {
        self.lock().put(name, OfBot { bot, bytes });
    }

    /// A task works on the file: the sweep leaves it.
    pub(super) fn hold(&self, name: &str) {
        self.lock().held.insert(name.to_owned());
    }

    /// No task works on the file any more.
    pub(super) fn let_go(&self, name: &str) {
        self.lock().held.remove(name);
    }

    /// Whether a task works on the file.
    pub(super) fn is_held(&self, name: &str) -> bool {
        self.lock().held.contains(name)
    }

    /// The file is gone.
    pub(super) fn gone(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The names of a bot's files, where it is time to look after them.
    pub(super) fn to_look_after(&self, bot: i32) -> Vec<String> {
        let mut counted = self.lock();
        let now = Instant::now();
        let share = counted.bots.entry(bot).or_default();
        if share.looked.is_some_and(|at| now < at + LOOKED_AFTER) {
            return Vec::new();
        }
        share.looked = Some(now);
        let own = counted.files.iter().filter(|(_, file)| file.bot == bot);
        own.map(|(name, _)| name.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.0
            .counted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn put(&mut self, name: &str, file: OfBot) {
        self.remove(name);
        let share = self.bots.entry(file.bot).or_default();
        share.files += 1;
        share.bytes = share.bytes.saturating_add(file.bytes);
        self.files.insert(name.to_owned(), file);
    }

    fn remove(&mut self, name: &str) {
        let Some(file) = self.files.remove(name) else {
            return;
        };
        if let Some(share) = self.bots.get_mut(&file.bot) {
            share.files = share.files.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(file.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_has_so_many_files_and_bytes_and_takes_none_from_another() {
        let waiting = Waiting::new(3, 100);
        assert!(waiting.begin(1, "a") && waiting.fetched("a", 60));
        assert!(waiting.begin(1, "b"));
        assert!(!waiting.fetched("b", 41), "101 bytes");
        waiting.gone("b");
        assert!(waiting.begin(1, "c") && waiting.fetched("c", 40));
        assert!(!waiting.begin(1, "d"), "100 bytes are the most");
        assert!(waiting.begin(2, "e") && waiting.fetched("e", 1));
        waiting.gone("a");
        waiting.gone("a");
        assert!(waiting.begin(1, "f") && waiting.begin(1, "g"));
        assert!(!waiting.begin(1, "h"), "three files are the most");
        waiting.found(1, "c", 10);
        waiting.found(1, "i", 10);
        assert!(!waiting.begin(1, "h"));
        for name in ["c", "f", "g", "i"] {
            waiting.gone(name);
        }
        assert!(waiting.to_look_after(1).is_empty());
        assert!(waiting.begin(1, "h") && waiting.fetched("h", 100));
    }

    #[test]
    fn files_of_a_bot_are_looked_after_now_and_then() {
        let waiting = Waiting::new(1, 100);
        assert!(waiting.begin(1, "a") && waiting.begin(2, "b"));
        assert_eq!(waiting.to_look_after(1), ["a"]);
        assert!(waiting.to_look_after(1).is_empty());
        assert_eq!(waiting.to_look_after(2), ["b"]);
    }
}
