//! What is done to the gateway, and to what it leans on.

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

/// The client library sends a group ten messages again a minute, no more, lest WhatsApp locks the account. A rig that makes phones ask
/// for more would find just that.
const BETWEEN_ASKS: Duration = Duration::from_secs(3);

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new process.
    Kill,
    /// The same while the link is open and silent, so that much waits.
    KillStalled,
    /// SIGTERM, and a new process.
    Stop,
    /// The connection to WhatsApp is reset.
    Cut,
    /// It stays open and passes nothing on, and is reset then.
    Stall,
    /// What the server says is lost, and then the connection is reset: it has taken messages that nobody knows of.
    Deaf,
    /// WhatsApp takes no connection for a while.
    Away,
    /// The server is slow to acknowledge.
    SlowAcks,
    /// The server refuses the next messages.
    Nack,
    /// The server takes the next messages and says nothing.
    LostAcks,
    /// The account is banned for a moment.
    Ban,
    /// A phone cannot read the next messages, and asks for them again.
    Undecryptable,
    /// The gateway cannot read the next messages, and asks for them again.
    Garbled,
    /// A customer's phone is off for a while.
    PhoneOff,
    /// The user's endpoints answer 500, 503, a redirect to nowhere, late, or end the connection when they have taken the call.
    Endpoint,
    /// They answer late.
    SlowEndpoint,
    /// They answer 429, never, byte by byte, or with more than anybody wants: what is tried again after minutes.
    HardEndpoint,
}

/// Every fault, by the word that names it.
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
    /// What is undone by waiting for minutes.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::HardEndpoint | Self::Ban)
    }

    pub(super) fn any(of: &[Self], chance: &mut StdRng) -> Self {
        of[chance.random_range(0..of.len())]
    }

    /// Waits for a moment that nobody chose, does it, and undoes what would last.
    pub(super) async fn strike(self, stage: &mut Stage, chance: &mut StdRng, log: &Log) {
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

/// The users' endpoint is one of these for a while.
async fn misbehave(stage: &Stage, manners: &[Manner], span: Duration, chance: &mut StdRng) {
    let ear = stage.receiver.ear();
    ear.behave(manners[chance.random_range(0..manners.len())]);
    pause(span).await;
    ear.behave(Manner::Works);
}
