//! The settings of the outbox, and the limits of a file.

use std::time::Duration;

use crate::config::Limits;

/// The largest picture, audio or video that WhatsApp accepts. The API document has the same limit.
pub const FILE_CAP: u64 = 16 * 1024 * 1024;

/// The timeout of the fetch of a file. The caller's request stays open meanwhile, and PHP callers
/// give up after 30 s.
pub const FILE_WITHIN: Duration = Duration::from_secs(25);

/// The settings of the outbox.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a linked bot still accepts messages after its connection was lost, unless the bot's
    /// own settings differ. 60 s.
    pub grace: Duration,
    /// The timeout of a lookup at WhatsApp, including the wait for a reconnecting link. 10 s.
    pub lookup_within: Duration,
    /// How long the result "registered" stays valid. 7 days.
    pub registered_for: Duration,
    /// How long the result "not registered" stays valid. Short, because people do sign up. 10
    /// minutes.
    pub unregistered_for: Duration,
    /// The most files fetched at the same time, for all bots together.
    pub fetches: u64,
    /// The most files fetched at the same time for one bot.
    pub fetches_per_bot: u64,
    /// The most files of one bot in the spool.
    pub waiting_files: u64,
    /// The most MiB of one bot's files in the spool.
    pub waiting_files_mib: u64,
    /// The free space on the disk, in MiB, below which no file is accepted.
    pub free_disk_mib: u64,
}

impl Settings {
    /// Returns the settings with the values from `limits`.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self {
            fetches: limits.fetches,
            fetches_per_bot: limits.fetches_per_bot,
            waiting_files: limits.waiting_files,
            waiting_files_mib: limits.waiting_files_mib,
            free_disk_mib: limits.free_disk_mib,
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_mins(1),
            lookup_within: Duration::from_secs(10),
            registered_for: Duration::from_hours(7 * 24),
            unregistered_for: Duration::from_mins(10),
            fetches: 64,
            fetches_per_bot: 8,
            waiting_files: 1000,
            waiting_files_mib: 1024,
            free_disk_mib: 0,
        }
    }
}
