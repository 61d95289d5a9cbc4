//! The limits: each shared resource has a total limit and a limit per owner.

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
    /// Timeout for the header of a request, and again for the body, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub read_timeout_s: u64,
    /// Timeout for a client without progress in reading an answer, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub write_timeout_s: u64,
    /// Timeout for the first QR code, seconds.
    #[serde(deserialize_with = "parse::between::<_, 1, 300>")]
    pub qr_wait_s: u64,
    /// Login attempts per name, address and minute.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000>")]
    pub login_tries_per_minute: u64,
    /// Login attempts per address and minute.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000>")]
    pub login_tries_per_address: u64,
    /// Login attempts waiting for the password check.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000>")]
    pub logins_waiting: u64,
    /// Concurrent file transfers, for each direction.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub fetches: u64,
    /// Concurrent file transfers per bot.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub fetches_per_bot: u64,
    /// Concurrent requests with an Idempotency-Key. Such a request continues if the client
    /// disconnects.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub keyed: u64,
    /// Concurrent requests with an Idempotency-Key per caller.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub keyed_per_caller: u64,
    /// Concurrent event streams.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub streams: u64,
    /// Concurrent event streams per token.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub streams_per_token: u64,
    /// Event streams reserved for the tokens of admins.
    #[serde(deserialize_with = "parse::between::<_, 0, 100000>")]
    pub streams_for_admins: u64,
    /// Concurrent dashboard pages with live updates.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub live_pages: u64,
    /// Concurrent dashboard pages with live updates per user, over all sessions.
    #[serde(deserialize_with = "parse::between::<_, 1, 100000>")]
    pub live_pages_per_user: u64,
    /// Live pages reserved for admins.
    #[serde(deserialize_with = "parse::between::<_, 0, 100000>")]
    pub live_pages_for_admins: u64,
    /// Files of a bot waiting to be sent.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub waiting_files: u64,
    /// The total size of a bot's waiting files, MiB.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub waiting_files_mib: u64,
    /// The minimum of free disk space for accepting files, MiB.
    #[serde(deserialize_with = "parse::between::<_, 0, 1000000000>")]
    pub free_disk_mib: u64,
    /// The total size of stored answers per caller, MiB.
    #[serde(deserialize_with = "parse::between::<_, 1, 1000000000>")]
    pub kept_answers_mib: u64,
}
