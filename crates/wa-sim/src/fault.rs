//! Knobs that make the server misbehave on purpose.
//!
//! All are off at first, can be turned at any time and act on what arrives from then on. More will move in here; each
//! knob says in which order things are observed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::tls::Certificate;

/// The knobs of one simulator, from [`Sim::faults`](crate::Sim::faults).
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<FaultState>,
}

/// All knobs at once, as the control API shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultState {
    /// Milliseconds between a message stanza and its server ack; receipts are not held back.
    pub ack_delay_ms: u64,
    /// How many of the next server acks for messages are not sent. The message itself goes through.
    pub drop_acks: u32,
    /// How many of the next message stanzas are refused; they are not delivered.
    pub nack: u32,
    /// The error code of those refusals.
    pub nack_code: u16,
    /// Whether the server drops a message stanza whose (device, id) it has seen, acknowledging it all the same.
    pub dedupe: bool,
    /// Stalled devices, `number:device`: connected and read, but nothing is processed or forwarded.
    pub stalled: BTreeSet<String>,
    /// Whether every IK handshake is turned into `XXfallback`.
    pub refuse_ik: bool,
    /// Whether every login is refused as outdated (405).
    pub outdated: bool,
    /// Temporary bans by number: the login is refused (402).
    pub bans: BTreeMap<String, Ban>,
    /// How many of the next messages to phones these fail to decrypt, so that they ask again; the same one twice at most.
    pub undecryptable: u32,
    /// How many of the next messages from phones are garbled, so that companions ask again.
    pub garble: u32,
    /// The certificate that is shown to whoever connects over TLS.
    pub certificate: Certificate,
}

/// A temporary ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// WhatsApp's reason, for example 101 (sent to too many people).
    pub code: u16,
    /// Seconds until it ends, as told to the client; the simulator itself lifts it only on [`Faults::unban`].
    pub expire_s: u64,
}

/// What becomes of one message stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Delivered, and acknowledged after the delay.
    Ack(Duration),
    /// Delivered, but not acknowledged.
    Silent,
    /// Refused with this code.
    Nack(u16),
}

impl Faults {
    /// A copy of all knobs.
    #[must_use]
    pub fn state(&self) -> FaultState {
        self.state.lock().clone()
    }

    /// Sets all knobs at once.
    pub fn set_state(&self, state: FaultState) {
        *self.state.lock() = state;
    }

    /// Turns everything off.
    pub fn clear(&self) {
        self.set_state(FaultState::default());
    }

    /// Holds every server ack for a message back, so that receipts overtake it.
    pub fn set_ack_delay(&self, delay: Duration) {
        self.state.lock().ack_delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    }

    /// Does not acknowledge the next `n` messages, which are delivered all the same.
    pub fn drop_acks(&self, n: u32) {
        self.state.lock().drop_acks = n;
    }

    /// Refuses the next `n` messages with `code`, for example 479, and delivers them to no one.
    pub fn nack_next(&self, n: u32, code: u16) {
        let mut state = self.state.lock();
        state.nack = n;
        state.nack_code = code;
    }

    /// Whether the server itself drops a repeated (device, id).
    pub fn set_dedupe(&self, on: bool) {
        self.state.lock().dedupe = on;
    }

    /// Stalls a device (`number:device`) or lets it go again. What it sent while stalled is lost.
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

    /// Makes phones fail to decrypt the next `n` messages. One that was asked for twice is spared, so that none is lost by this alone.
    pub fn fail_decrypts(&self, n: u32) {
        self.state.lock().undecryptable = n;
    }

    /// Garbles the next `n` ciphertexts that phones send.
    pub fn garble(&self, n: u32) {
        self.state.lock().garble = n;
    }

    /// Shows this certificate to whoever connects over TLS from now on.
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
