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
}
