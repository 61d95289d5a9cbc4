//! What one caller may take: each shared resource has a bound in all and a bound for each owner.

use serde::Deserialize;

use super::parse;

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body, KiB.
    #[serde(deserialize_with = "parse::between::<_, 1, 16384>")]
    pub body_kib: u64,
    /// Wrong keys per address and minute.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000>")]
    pub wrong_keys_per_minute: u64,
    /// For a request's header, and again for its body, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub read_timeout_s: u64,
    /// For taking anything of an answer, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub write_timeout_s: u64,
    /// For the first QR code, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub qr_wait_s: u64,
    /// Attempts to log in, per name, address and minute.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000>")]
    pub login_tries_per_minute: u64,
    /// Attempts to log in, per address and minute.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000>")]
    pub login_tries_per_address: u64,
    /// Attempts to log in that wait until their password is checked.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000>")]
    pub logins_waiting: u64,
    /// Files that are fetched at a time, each way.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub fetches: u64,
    /// The same for one bot.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub fetches_per_bot: u64,
    /// Requests with an Idempotency-Key that go on without their clients.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub keyed: u64,
    /// The same for one caller.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub keyed_per_caller: u64,
    /// Streams of events that are open at a time.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub streams: u64,
    /// The same with one token.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub streams_per_token: u64,
    /// The last ones, which only admins' tokens take.
    #[serde(deserialize_with = "parse::between::<_, 0, 100000>")]
    pub streams_for_admins: u64,
    /// Pages of the dashboard that are live at a time.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub live_pages: u64,
    /// The same of one user, whatever the number of sessions.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub live_pages_per_user: u64,
    /// The last ones, which only admins take.
    #[serde(deserialize_with = "parse::between::<_, 0, 100000>")]
    pub live_pages_for_admins: u64,
    /// Files of one bot that wait until they are sent.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub waiting_files: u64,
    /// The most of all of them, MiB.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub waiting_files_mib: u64,
    /// The disk's free room below which no files are taken, MiB.
    #[serde(deserialize_with = "parse::between::<_, 0, 1000000000>")]
    pub free_disk_mib: u64,
    /// The most of one caller's kept answers, MiB.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub kept_answers_mib: u64,
}
