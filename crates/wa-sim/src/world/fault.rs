//! Simulated faults of the server.
//!
//! All faults are off at the start. A test can change a fault at any time; the change applies to
//! the stanzas, logins and connections after the change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::tls::Certificate;

/// The faults of one simulator, returned by [`Sim::faults`](crate::Sim::faults).
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<FaultState>,
}

/// All faults, as shown in the control API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultState {
    /// Milliseconds between a message stanza and its server ack. Receipts are not delayed.
    pub ack_delay_ms: u64,
    /// The number of next messages without a server ack. The messages are delivered.
    pub drop_acks: u32,
    /// The number of next message stanzas to refuse. Refused messages are not delivered.
    pub nack: u32,
    /// The error code of refused messages.
    pub nack_code: u16,
    /// The server acknowledges a repeated message stanza (same device and id) without a
    /// second delivery.
    pub dedupe: bool,
    /// Stalled devices, `number:device`. The server keeps the connection and reads, but discards
    /// every stanza.
    pub stalled: BTreeSet<String>,
    /// Turns every IK handshake into `XXfallback`.
    pub refuse_ik: bool,
    /// Refuses every login as outdated (405).
    pub outdated: bool,
    /// Temporary bans by number: the login is refused (402).
    pub bans: BTreeMap<String, Ban>,
    /// The number of next messages that phones fail to decrypt and request again. The same message
    /// fails at most twice.
    pub undecryptable: u32,
    /// The number of next messages from phones with a garbled ciphertext, so that companions
    /// request them again.
    pub garble: u32,
    /// The certificate for new TLS connections.
    pub certificate: Certificate,
}

/// A temporary ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The reason code of WhatsApp, for example 101 (sent to too many people).
    pub code: u16,
    /// Seconds until the end of the ban, as sent to the client. The simulator itself lifts the ban
    /// only on [`Faults::unban`].
    pub expire_s: u64,
}

/// The handling of one message stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver, and acknowledge after the delay.
    Ack(Duration),
    /// Deliver without an ack.
    Silent,
    /// Refuse with this error code.
    Nack(u16),
}

impl Faults {
    /// Returns a copy of all faults.
    #[must_use]
    pub fn state(&self) -> FaultState {
        self.state.lock().clone()
    }

    /// Replaces all faults.
    pub fn set_state(&self, state: FaultState) {
        *self.state.lock() = state;
    }

    /// Turns all faults off.
    pub fn clear(&self) {
        self.set_state(FaultState::default());
    }

    /// Delays every server ack for a message, so that receipts arrive before the ack.
    pub fn set_ack_delay(&self, delay: Duration) {
        self.state.lock().ack_delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    }

    /// Omits the server ack of the next `n` messages. The messages are delivered.
    pub fn drop_acks(&self, n: u32) {
        self.state.lock().drop_acks = n;
    }

    /// Refuses the next `n` messages with `code`, for example 479, and delivers none of them.
    pub fn nack_next(&self, n: u32, code: u16) {
        let mut state = self.state.lock();
        state.nack = n;
        state.nack_code = code;
    }

    /// Sets whether the server drops a message with a repeated device and id.
    pub fn set_dedupe(&self, on: bool) {
        self.state.lock().dedupe = on;
    }

    /// Stalls a device (`number:device`) or ends the stall. Stanzas from a stalled device are lost.
    pub fn stall(&self, device: &str, on: bool) {
        let mut state = self.state.lock();
        if on {
            state.stalled.insert(device.to_owned());
        } else {
            state.stalled.remove(device);
        }
    }

    /// Turns every IK handshake into `XXfallback`.
    pub fn set_refuse_ik(&self, on: bool) {
        self.state.lock().refuse_ik = on;
    }

    /// Refuses every login with 405.
    pub fn set_outdated(&self, on: bool) {
        self.state.lock().outdated = on;
    }

    /// Refuses the logins of a number with 402.
    pub fn ban(&self, number: &str, ban: Ban) {
        self.state.lock().bans.insert(number.to_owned(), ban);
    }

    /// Lifts a ban.
    pub fn unban(&self, number: &str) {
        self.state.lock().bans.remove(number);
    }

    /// Makes phones fail to decrypt the next `n` messages. After two retry receipts, a message does
    /// not fail again, so the fault alone loses no message.
    pub fn fail_decrypts(&self, n: u32) {
        self.state.lock().undecryptable = n;
    }

    /// Garbles the next `n` ciphertexts from phones.
    pub fn garble(&self, n: u32) {
        self.state.lock().garble = n;
    }

    /// Sets the certificate for new TLS connections.
    pub fn set_certificate(&self, certificate: Certificate) {
        self.state.lock().certificate = certificate;
    }

    pub(crate) fn certificate(&self) -> Certificate {
        self.state.lock().certificate
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let mut state = self.state.lock();
        if take(&mut state.nack) {
            return Verdict::Nack(state.nack_code);
        }
        if take(&mut state.drop_acks) {
            return Verdict::Silent;
        }
        Verdict::Ack(Duration::from_millis(state.ack_delay_ms))
    }

    pub(crate) fn dedupe(&self) -> bool {
        self.state.lock().dedupe
    }

    pub(crate) fn is_stalled(&self, device: &str) -> bool {
        let state = self.state.lock();
        !state.stalled.is_empty() && state.stalled.contains(device)
    }

    pub(crate) fn refuse_ik(&self) -> bool {
        self.state.lock().refuse_ik
    }

    pub(crate) fn outdated(&self) -> bool {
        self.state.lock().outdated
    }

    pub(crate) fn ban_of(&self, number: &str) -> Option<Ban> {
        self.state.lock().bans.get(number).copied()
    }

    pub(crate) fn take_undecryptable(&self) -> bool {
        take(&mut self.state.lock().undecryptable)
    }

    pub(crate) fn take_garble(&self) -> bool {
        take(&mut self.state.lock().garble)
    }
}

fn take(left: &mut u32) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    true
}
