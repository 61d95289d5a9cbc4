//! Clients that wait to be linked, for people who look for the code to scan.
//!
//! A code cannot be made from what the server knows. It holds the client's identity key and a secret beside the ref that
//! the server gave; neither is ever sent, and the client refuses a link that is not signed under that secret. Nor does
//! the server learn the eight characters: they are what encrypts the client's key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wacore::pair_code::PairCodeUtils;

use super::{Pairings, REFS_LIFETIME};

/// A client that is connected and belongs to no account yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitingClient {
    /// Tells it from others.
    pub id: String,
    /// What it says it runs on; `unknown` where it did not say.
    pub platform: String,
    /// Seconds since it connected.
    pub waits_s: u64,
    /// Seconds until its last QR code is too old; 0 afterwards.
    pub qr_expires_s: u64,
    /// The number for which it shows eight characters, if it asked for them.
    pub code_for: Option<String>,
    /// Seconds until these are too old.
    pub code_expires_s: Option<u64>,
}

impl Pairings {
    /// Who waits, the longest first.
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

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.by_ref
            .iter()
            .filter(|(code, unpaired)| unpaired.refs.first() == Some(*code))
            .count()
    }
}
