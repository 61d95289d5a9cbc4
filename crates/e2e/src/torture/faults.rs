//! The faults: disturbances of the gateway and of the systems around the gateway.

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, followed by a new process.
    Kill,
    /// SIGKILL while the link is open but forwards nothing, so that many messages wait.
    KillStalled,
    /// SIGTERM, followed by a new process.
    Stop,
    /// A reset of the connection to WhatsApp.
    Cut,
    /// The connection stays open but forwards nothing, and is then reset.
    Stall,
    /// The server's bytes are lost, and then the connection is reset. The server has accepted
    /// messages without the gateway's knowledge.
    Deaf,
    /// WhatsApp refuses connections for a while.
    Away,
    /// The server delays its acks.
    SlowAcks,
    /// The server refuses the next messages.
    Nack,
    /// The server accepts the next messages without an ack.
    LostAcks,
    /// The account is banned for one second.
    Ban,
    /// A phone cannot decrypt the next messages and sends retry receipts.
    Undecryptable,
    /// The gateway cannot decrypt the next messages and sends retry receipts.
    Garbled,
    /// A customer's phone is off for a while.
    PhoneOff,
    /// The user's endpoints answer with 500, 503, a redirect without a usable target or a delay, or
    /// close the connection after reading the call.
    Endpoint,
    /// The user's endpoints answer late.
    SlowEndpoint,
    /// The user's endpoints answer 429, never answer, answer byte by byte, or answer with a huge
    /// body. The gateway retries such calls only after minutes.
    HardEndpoint,
}

/// Every fault with its name on the command line.
const ALL: [(&str, Fault); 17] = [
    ("kill", Fault::Kill),
    ("kill-stalled", Fault::KillStalled),
    ("stop", Fault::Stop),
    ("cut", Fault::Cut),
    ("stall", Fault::Stall),
    ("deaf", Fault::Deaf),
    ("away", Fault::Away),
    ("slow-acks", Fault::SlowAcks),
    ("nack", Fault::Nack),
    ("lost-acks", Fault::LostAcks),
    ("ban", Fault::Ban),
    ("undecryptable", Fault::Undecryptable),
    ("garbled", Fault::Garbled),
    ("phone-off", Fault::PhoneOff),
    ("endpoint", Fault::Endpoint),
    ("slow-endpoint", Fault::SlowEndpoint),
    ("hard-endpoint", Fault::HardEndpoint),
];

/// Returns every kind of fault except the slow ones, after which a delivery waits for minutes.
#[must_use]
pub fn all_faults() -> Vec<Fault> {
    let all = ALL.map(|(_, fault)| fault).into_iter();
    all.filter(|fault| !fault.is_slow()).collect()
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, fault)| *fault).ok_or_else(|| {
            let words = ALL.map(|(name, _)| name).join(", ");
            format!("{word} is no fault; there are {words}")
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(_, fault)| fault == self);
        f.write_str(name.map_or("fault", |(name, _)| name))
    }
}

impl Fault {
    /// Returns whether the effects of the fault last for minutes.
    fn is_slow(self) -> bool {
        matches!(self, Self::HardEndpoint | Self::Ban)
    }

    pub(super) fn any(of: &[Self], chance: &mut StdRng) -> Self {
        of[chance.random_range(0..of.len())]
    }
}
