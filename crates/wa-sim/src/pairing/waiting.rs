//! Lists the clients that wait for a link, for a person who looks for the code to scan.
//!
//! The list cannot contain the QR codes: a code holds the client's identity key and a secret, and
//! the server receives neither of them. The client refuses a link without the HMAC under the
//! secret. The server does not receive the eight characters either, because the client encrypts the
//! ephemeral key with them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wacore::pair_code::PairCodeUtils;

use super::{Pairings, REFS_LIFETIME};

/// A connected client without an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitingClient {
    /// The id of the client in this list.
    pub id: String,
    /// The platform reported by the client, or `unknown`.
    pub platform: String,
    /// Seconds since the client connected.
    pub waits_s: u64,
    /// Seconds until the last QR code expires; 0 afterwards.
    pub qr_expires_s: u64,
    /// The number of a requested eight-character code.
    pub code_for: Option<String>,
    /// Seconds until the eight-character code expires.
    pub code_expires_s: Option<u64>,
}

impl Pairings {
    /// Returns the waiting clients, the longest wait first.
    pub(crate) fn waiting(&self) -> Vec<WaitingClient> {
        let mut waiting: Vec<_> = self
            .by_ref
            .iter()
            .filter(|(code, unpaired)| unpaired.refs.first() == Some(*code))
            .map(|(code, unpaired)| {
                let request = self
                    .by_number
                    .values()
                    .find(|request| request.is_from(unpaired));
                let left = |request: &Arc<super::link_code::Request>| {
                    PairCodeUtils::code_validity().saturating_sub(request.age())
                };
                let age = unpaired.started.elapsed();
                WaitingClient {
                    id: code.trim_start_matches("2@").to_owned(),
                    platform: unpaired.platform.clone(),
                    waits_s: age.as_secs(),
                    qr_expires_s: REFS_LIFETIME.saturating_sub(age).as_secs(),
                    code_for: request.map(|request| request.number().to_owned()),
                    code_expires_s: request.map(|request| left(request).as_secs()),
                }
            })
            .collect();
        waiting.sort_by(|a, b| b.waits_s.cmp(&a.waits_s).then_with(|| a.id.cmp(&b.id)));
        waiting
    }

    /// Returns the number of waiting clients.
    pub(super) fn count(&self) -> usize {
        self.by_ref
            .iter()
            .filter(|(code, unpaired)| unpaired.refs.first() == Some(*code))
            .count()
    }
}
