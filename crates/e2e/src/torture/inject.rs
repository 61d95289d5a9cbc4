//! The effects of the faults.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::faults::Fault;
use super::log::Log;
use super::receiver::{Manner, pause};
use super::stage::Stage;
use crate::oracle::Seen;
use crate::proxy::Mode;

/// The client library resends at most ten messages per minute to a group, so that WhatsApp does not
/// lock the account. A faster series of retry receipts from the phones would only find this known
/// limit.
const BETWEEN_ASKS: Duration = Duration::from_secs(3);

/// Waits for a random time, injects the fault, and resets lasting effects.
pub(super) async fn inject(fault: Fault, stage: &mut Stage, chance: &mut StdRng, log: &Log) {
    let mut some = |from: u64, to: u64| Duration::from_millis(chance.random_range(from..to));
    pause(some(100, 1500)).await;
    let span = some(200, 1500);
    log.see(Seen::Fault {
        what: fault.to_string(),
    });
    match fault {
        Fault::Kill => {
            stage.gateway.kill().await;
            stage.gateway.run().await;
        }
        Fault::KillStalled => {
            stage.proxy.set(Mode::Stall);
            pause(span).await;
            stage.gateway.kill().await;
            stage.proxy.set(Mode::Pass);
            stage.gateway.run().await;
        }
        Fault::Stop => {
            stage.gateway.stop().await;
            stage.gateway.run().await;
        }
        Fault::Cut => stage.proxy.cut(),
        Fault::Stall => {
            stage.proxy.set(Mode::Stall);
            pause(span).await;
            stage.proxy.cut();
            stage.proxy.set(Mode::Pass);
        }
        Fault::Deaf => {
            stage.proxy.set(Mode::Deaf);
            pause(span).await;
            stage.proxy.cut();
            stage.proxy.set(Mode::Pass);
        }
        Fault::Nack => {
            let codes = [400, 404, 479, 500];
            let code = codes[chance.random_range(0..codes.len())];
            stage.sim.faults().nack_next(2, code);
        }
        Fault::LostAcks => stage.sim.faults().drop_acks(2),
        Fault::Ban => {
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
        Fault::Away => {
            stage.proxy.set(Mode::Refuse);
            pause(span).await;
            stage.proxy.set(Mode::Pass);
        }
        Fault::SlowAcks => {
            stage.sim.faults().set_ack_delay(span);
            pause(span).await;
            stage.sim.faults().set_ack_delay(Duration::ZERO);
        }
        Fault::Undecryptable => {
            stage.sim.faults().fail_decrypts(3);
            pause(BETWEEN_ASKS).await;
        }
        Fault::Garbled => stage.sim.faults().garble(2),
        Fault::PhoneOff => {
            let n = chance.random_range(0..stage.customers.len());
            stage.customers[n].set_online(false);
            pause(span).await;
            stage.customers[n].set_online(true);
        }
        Fault::Endpoint => {
            let manners = [
                Manner::Fails,
                Manner::Busy,
                Manner::Moves,
                Manner::Swallows,
                Manner::Slow,
            ];
            misbehave(stage, &manners, span, chance).await;
        }
        Fault::HardEndpoint => {
            let manners = [Manner::Limits, Manner::Hole, Manner::Drips, Manner::Floods];
            misbehave(stage, &manners, span, chance).await;
        }
        Fault::SlowEndpoint => misbehave(stage, &[Manner::Slow], span, chance).await,
    }
}

/// Makes the users' endpoint behave in one of these manners for a while.
async fn misbehave(stage: &Stage, manners: &[Manner], span: Duration, chance: &mut StdRng) {
    let endpoints = stage.receiver.endpoints();
    endpoints.behave(manners[chance.random_range(0..manners.len())]);
    pause(span).await;
    endpoints.behave(Manner::Works);
}
