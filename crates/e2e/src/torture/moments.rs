//! Ends the gateway once at each named moment under load. For a moment that the load alone does not
//! reach, the actions provoke the moment.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::actions::Actions;
use super::log::Log;
use super::plan::Plan;
use super::receiver::pause;
use super::stage::Stage;
use crate::oracle::Seen;

/// The time limit for reaching a moment. The slowest moment is the reminder about a message that
/// has waited for ten seconds.
const REACHED_WITHIN: Duration = Duration::from_secs(40);

/// The interval for polling the end of the process.
const LOOK: Duration = Duration::from_millis(5);

/// Moments that the load reaches many times per second. For these moments the process ends at the
/// first, second or third time.
const FREQUENT: [&str; 12] = [
    "accept",
    "apply_acks",
    "posted",
    "keep_inbound",
    "answered",
    "reply",
    "wire before",
    "wire after",
    "send begun",
    "send done",
    "post begun",
    "post answered",
];

/// Ends the gateway at each moment of the plan. Returns the moments that were not reached.
pub(super) async fn end_at_each(
    plan: &Plan,
    stage: &mut Stage,
    actions: &Actions,
    chance: &mut StdRng,
    log: &Log,
) -> Vec<String> {
    let mut missed = Vec::new();
    let moments = &plan.moments;
    if !moments.is_empty() {
        stage.gateway.kill().await;
    }
    for moment in moments {
        let frequent = FREQUENT.iter().any(|name| moment.ends_with(name));
        let times = if frequent {
            chance.random_range(1..4)
        } else {
            1
        };
        let value = format!("{moment}*{times}");
        stage.gateway.set_env("TORTURE_END_AT", Some(&value));
        stage.gateway.start_process();
        let write = moment.trim_start_matches("before ");
        let write = write.trim_start_matches("after ");
        let waited = Instant::now();
        let provoking = actions.provoke(write);
        tokio::pin!(provoking);
        let reached = loop {
            tokio::select! {
                biased;
                () = pause(LOOK) => {}
                () = &mut provoking => unreachable!("actions go on for ever"),
            }
            if stage.gateway.has_ended() {
                // The process ended by itself; the log must name the moment as the reason.
                let said = format!("ended at: {moment}");
                let log = stage.gateway.log();
                break log.lines().rev().take(20).any(|line| line == said);
            }
            if waited.elapsed() > REACHED_WITHIN {
                break false;
            }
        };
        actions.reset_faults();
        plan.print_progress(&format!("{} ms to {moment}", waited.elapsed().as_millis()));
        if !stage.gateway.has_ended() {
            stage.gateway.kill().await;
        }
        note(moment, reached, &mut missed, log);
    }
    stage.gateway.set_env("TORTURE_END_AT", None);
    if !moments.is_empty() {
        stage.gateway.run().await;
    }
    missed
}

/// Logs whether a moment was reached.
fn note(moment: &str, reached: bool, missed: &mut Vec<String>, log: &Log) {
    let what = if reached {
        format!("ended at: {moment}")
    } else {
        missed.push(moment.to_owned());
        format!("never came to: {moment}")
    };
    log.see(Seen::Fault { what });
}
