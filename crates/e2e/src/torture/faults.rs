//! The faults: disturbances of the gateway and of the systems around the gateway.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::log::Log;
use super::receiver::{Manner, pause};
use super::stage::Stage;
use crate::oracle::Seen;
use crate::proxy::Mode;

/// The client library resends at most ten messages per minute to a group, so that WhatsApp does not
/// lock the account. A faster series of retry receipts from the phones would only find this known
/// limit.
const BETWEEN_ASKS: Duration = Duration::from_secs(3);

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
pub const ALL: [(&str, Fault); 17] = [
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
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::HardEndpoint | Self::Ban)
    }

    pub(super) fn any(of: &[Self], chance: &mut StdRng) -> Self {
        of[chance.random_range(0..of.len())]
    }

    /// Waits for a random time, injects the fault, and resets lasting effects.
    pub(super) async fn inject(self, stage: &mut Stage, chance: &mut StdRng, log: &Log) {
        let mut some = |from: u64, to: u64| Duration::from_millis(chance.random_range(from..to));
        pause(some(100, 1500)).await;
        let span = some(200, 1500);
        log.see(Seen::Fault {
            what: self.to_string(),
        });
        match self {
            Self::Kill => {
                stage.gateway.kill().await;
                stage.gateway.run().await;
            }
            Self::KillStalled => {
                stage.proxy.set(Mode::Stall);
                pause(span).await;
                stage.gateway.kill().await;
                stage.proxy.set(Mode::Pass);
                stage.gateway.run().await;
            }
            Self::Stop => {
                stage.gateway.stop().await;
                stage.gateway.run().await;
            }
            Self::Cut => stage.proxy.cut(),
            Self::Stall => {
                stage.proxy.set(Mode::Stall);
                pause(span).await;
                stage.proxy.cut();
                stage.proxy.set(Mode::Pass);
            }
            Self::Deaf => {
                stage.proxy.set(Mode::Deaf);
                pause(span).await;
                stage.proxy.cut();
                stage.proxy.set(Mode::Pass);
            }
            Self::Nack => {
                let codes = [400, 404, 479, 500];
                let code = codes[chance.random_range(0..codes.len())];
                stage.sim.faults().nack_next(2, code);
            }
            Self::LostAcks => stage.sim.faults().drop_acks(2),
            Self::Ban => {
                let owner = &stage.owners[chance.random_range(0..stage.owners.len())];
                let ban = wa_sim::Ban {
                    code: 101,
                    expire_s: 1,
                };
                stage.sim.faults().ban(owner, ban);
                stage.proxy.cut();
                pause(Duration::from_secs(1)).await;
                stage.sim.faults().unban(owner);
            }
            Self::Away => {
                stage.proxy.set(Mode::Refuse);
                pause(span).await;
                stage.proxy.set(Mode::Pass);
            }
            Self::SlowAcks => {
                stage.sim.faults().set_ack_delay(span);
                pause(span).await;
                stage.sim.faults().set_ack_delay(Duration::ZERO);
            }
            Self::Undecryptable => {
                stage.sim.faults().fail_decrypts(3);
                pause(BETWEEN_ASKS).await;
            }
            Self::Garbled => stage.sim.faults().garble(2),
            Self::PhoneOff => {
                let n = chance.random_range(0..stage.customers.len());
                stage.customers[n].set_online(false);
                pause(span).await;
                stage.customers[n].set_online(true);
            }
            Self::Endpoint => {
                let manners = [
                    Manner::Fails,
                    Manner::Busy,
                    Manner::Moves,
                    Manner::Swallows,
                    Manner::Slow,
                ];
                misbehave(stage, &manners, span, chance).await;
            }
            Self::HardEndpoint => {
                let manners = [Manner::Limits, Manner::Hole, Manner::Drips, Manner::Floods];
                misbehave(stage, &manners, span, chance).await;
            }
            Self::SlowEndpoint => misbehave(stage, &[Manner::Slow], span, chance).await,
        }
    }
}

/// Makes the users' endpoint behave in one of these manners for a while.
async fn misbehave(stage: &Stage, manners: &[Manner], span: Duration, chance: &mut StdRng) {
    let endpoints = stage.receiver.endpoints();
    endpoints.behave(manners[chance.random_range(0..manners.len())]);
    pause(span).await;
    endpoints.behave(Manner::Works);
}
