//! Clients that wait for a link: their codes, and the state of a link in progress.
//!
//! [`Pairings::waiting`] lists the clients for a person who looks for the code to scan. The list
//! cannot contain the QR codes: a code holds the client's identity key and a secret, and the server
//! receives neither of them. The client refuses a link without the HMAC under the secret. The
//! server does not receive the eight characters either, because the client encrypts the ephemeral
//! key with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore::pair_code::PairCodeUtils;
use wacore_libsignal::protocol::KeyPair;

use super::account::Account;
use super::companion::DeviceInfo;
use super::link::Link;

/// The number of refs for an unpaired client.
pub(crate) const REFS: usize = 6;
/// The lifetime of all refs together: 60 s for the first, 20 s for each other ref.
const REFS_LIFETIME: Duration = Duration::from_secs(60 + 5 * 20);

/// The reason why a code did not link a companion.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanError {
    /// The text is not a WhatsApp QR code.
    #[error("this is not a WhatsApp QR code ({0}); pass the code's whole text")]
    Unreadable(String),
    /// No client shows this code.
    #[error("no client shows this code (any more); scan the newest code")]
    UnknownCode,
    /// The client's codes have expired.
    #[error("this code has expired; scan a new code")]
    Expired,
    /// The eight characters differ from the code of the client.
    #[error("the code is wrong; enter the eight characters that the client shows")]
    WrongCode,
    /// No client requested a code for this number.
    #[error("no client requested a code for the number {0}; request a code first")]
    NoCodeRequested(String),
    /// The client did not answer, or the client's signature was wrong.
    #[error("the client did not complete the link: {0}")]
    Refused(String),
}

/// Clients that wait for a link.
#[derive(Default)]
pub(crate) struct Pairings {
    by_ref: HashMap<String, Arc<Unpaired>>,
    by_number: HashMap<String, Arc<Request>>,
}

/// A connection without an account.
pub(crate) struct Unpaired {
    pub(crate) link: Link,
    pub(crate) noise_key: [u8; 32],
    pub(crate) platform: String,
    started: Instant,
    pub(crate) refs: Vec<String>,
    pub(crate) pending: Mutex<Option<Pending>>,
}

impl Unpaired {
    pub(crate) fn new(
        link: Link,
        noise_key: [u8; 32],
        platform: String,
        refs: Vec<String>,
    ) -> Self {
        Self {
            link,
            noise_key,
            platform,
            started: Instant::now(),
            refs,
            pending: Mutex::default(),
        }
    }

    /// Returns whether all refs have expired.
    pub(crate) fn is_expired(&self) -> bool {
        self.started.elapsed() > REFS_LIFETIME
    }
}

/// A link without the companion's signature so far.
pub(crate) struct Pending {
    /// The id of the stanza that the companion must answer.
    pub(crate) question: String,
    pub(crate) account: Arc<Account>,
    pub(crate) device: u16,
    pub(crate) identity: [u8; 32],
    pub(crate) platform: String,
    pub(crate) done: oneshot::Sender<Result<DeviceInfo, ScanError>>,
}

/// A client that requested a link to a number.
pub(crate) struct Request {
    pub(crate) unpaired: Arc<Unpaired>,
    pub(crate) number: String,
    pub(crate) code_ref: Vec<u8>,
    pub(crate) wrapped_ephemeral: Vec<u8>,
    pub(crate) platform: String,
    pub(crate) asked: Instant,
    pub(crate) entered: Mutex<Option<Entered>>,
}

/// The phone's state between `primary_hello` and `companion_finish`.
pub(crate) struct Entered {
    pub(crate) account: Arc<Account>,
    pub(crate) ephemeral: KeyPair,
    pub(crate) companion_ephemeral: [u8; 32],
    pub(crate) outcome: oneshot::Sender<Result<(), ScanError>>,
    pub(crate) done: oneshot::Sender<oneshot::Receiver<Result<DeviceInfo, ScanError>>>,
}

impl Request {
    pub(crate) fn is_from(&self, unpaired: &Arc<Unpaired>) -> bool {
        Arc::ptr_eq(&self.unpaired, unpaired)
    }

    /// Returns the time since the request.
    pub(crate) fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

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
    /// Adds a client under all of its refs.
    pub(crate) fn add(&mut self, unpaired: &Arc<Unpaired>) {
        for code in &unpaired.refs {
            self.by_ref.insert(code.clone(), Arc::clone(unpaired));
        }
    }

    /// Removes the refs and the request of a client.
    pub(crate) fn remove(&mut self, unpaired: &Arc<Unpaired>) {
        for code in &unpaired.refs {
            self.by_ref.remove(code);
        }
        self.by_number
            .retain(|_, request| !request.is_from(unpaired));
    }

    /// Returns the client with this ref.
    pub(crate) fn find(&self, code: &str) -> Option<Arc<Unpaired>> {
        self.by_ref.get(code).cloned()
    }

    /// Adds a request for an eight-character code. A newer request for the number replaces the
    /// older request, as on the real server.
    pub(crate) fn add_request(&mut self, request: Request) {
        let number = request.number.clone();
        self.by_number.insert(number, Arc::new(request));
    }

    /// Returns the request for this number.
    pub(crate) fn request(&self, number: &str) -> Option<Arc<Request>> {
        self.by_number.get(number).cloned()
    }

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
                let left = |request: &Arc<Request>| {
                    PairCodeUtils::code_validity().saturating_sub(request.age())
                };
                let age = unpaired.started.elapsed();
                WaitingClient {
                    id: code.trim_start_matches("2@").to_owned(),
                    platform: unpaired.platform.clone(),
                    waits_s: age.as_secs(),
                    qr_expires_s: REFS_LIFETIME.saturating_sub(age).as_secs(),
                    code_for: request.map(|request| request.number.clone()),
                    code_expires_s: request.map(|request| left(request).as_secs()),
                }
            })
            .collect();
        waiting.sort_by(|a, b| b.waits_s.cmp(&a.waits_s).then_with(|| a.id.cmp(&b.id)));
        waiting
    }

    /// Returns the number of waiting clients.
    pub(crate) fn count(&self) -> usize {
        self.by_ref
            .iter()
            .filter(|(code, unpaired)| unpaired.refs.first() == Some(*code))
            .count()
    }
}
