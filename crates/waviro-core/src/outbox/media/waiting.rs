//! Counts the files of each bot that wait to be sent, and their bytes.
//!
//! The folder is the truth. The counts change when a file is fetched or removed, and at each sweep
//! of the folder.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two checks of the messages of a bot with too many files. The check
/// finds files left behind by a queue that ended at once.
const LOOKED_AFTER: Duration = Duration::from_secs(10);

/// The counts of waiting files. Cheap to clone.
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
    /// Keyed by the file name.
    files: HashMap<String, OfBot>,
    bots: HashMap<i32, Share>,
    /// Files in use by a task of this process. A message may not name such a file yet.
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
    /// Limits each bot to `files` files and `bytes` bytes.
    pub(super) fn new(files: u64, bytes: u64) -> Self {
        Self(Arc::new(Inner {
            counted: Mutex::default(),
            files,
            bytes,
        }))
    }

    /// Counts a file before its fetch. Returns `false` if the bot has reached a limit.
    pub(super) fn begin(&self, bot: i32, name: &str) -> bool {
        let mut counted = self.lock();
        let share = counted.bots.entry(bot).or_default();
        if share.files >= self.0.files || share.bytes >= self.0.bytes {
            return false;
        }
        counted.put(name, OfBot { bot, bytes: 0 });
        true
    }

    /// Counts the bytes of a fetched file. Returns `false` if the bot now has too many bytes.
    pub(super) fn fetched(&self, name: &str, bytes: u64) -> bool {
        let mut counted = self.lock();
        let Some(file) = counted.files.get(name).copied() else {
            return false;
        };
        counted.put(name, OfBot { bytes, ..file });
        let share = counted.bots.entry(file.bot).or_default();
        share.bytes <= self.0.bytes
    }

    /// Counts a file found in the folder, without checking the limits.
    pub(super) fn found(&self, bot: i32, name: &str, bytes: u64) {
        self.lock().put(name, OfBot { bot, bytes });
    }

    /// Marks a file as in use by a task, so that the sweep keeps the file.
    pub(super) fn hold(&self, name: &str) {
        self.lock().held.insert(name.to_owned());
    }

    /// Removes the mark of [`Waiting::hold`].
    pub(super) fn release(&self, name: &str) {
        self.lock().held.remove(name);
    }

    /// Returns whether a task uses the file.
    pub(super) fn is_held(&self, name: &str) -> bool {
        self.lock().held.contains(name)
    }

    /// Removes a file from the counts.
    pub(super) fn gone(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Returns the names of a bot's files, or nothing if the last check was less than
    /// [`LOOKED_AFTER`] ago.
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

/// Returns a file's name in the folder.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_files_and_bytes_are_limited_per_bot() {
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
    fn the_waiting_files_of_a_bot_are_checked_periodically() {
        let waiting = Waiting::new(1, 100);
        assert!(waiting.begin(1, "a") && waiting.begin(2, "b"));
        assert_eq!(waiting.to_look_after(1), ["a"]);
        assert!(waiting.to_look_after(1).is_empty());
        assert_eq!(waiting.to_look_after(2), ["b"]);
    }
}
