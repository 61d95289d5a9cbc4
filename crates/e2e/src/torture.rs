//! Torture runs, which try to break the gateway's promises. A run combines load of every kind with
//! faults at random moments; afterwards the oracle judges the observations of phones, receivers and
//! load.
//!
//! The seed fixes the plan: the messages with their times and recipients, and the order of the
//! faults. Timing on the machine still differs between runs, so a failed seed is run several times.

mod actions;
mod faults;
mod inject;
mod load;
mod log;
mod moments;
mod plan;
mod receiver;
mod report;
mod stage;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

pub use faults::{Fault, all_faults};
pub use plan::Plan;
pub use report::{Counts, Report};

use crate::oracle::{Seen, judge};
use actions::Actions;
use inject::inject;
use log::Log;
use stage::Stage;

/// Executes the plan.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let log = Log::begin();
    let mut stage = Stage::set(plan, &log).await;
    let load = load::Load::start(&stage, &mut chance, plan.rate, plan.greeted, &log).await;
    let actions = Actions {
        admin: stage.admin.clone(),
        participants: load.participants(),
        sim: Arc::clone(&stage.sim),
        endpoints: stage.receiver.endpoints().clone(),
        log: log.clone(),
        next: AtomicU64::new(0),
    };
    let missed = moments::end_at_each(plan, &mut stage, &actions, &mut chance, &log).await;
    let mut done = 0;
    while done < plan.faults && began.elapsed() < plan.within {
        let fault = Fault::any(&plan.kinds, &mut chance);
        inject(fault, &mut stage, &mut chance, &log).await;
        done += 1;
        if done % 10 == 0 {
            plan.print_progress(&format!(
                "{done} of {} faults, {} s: {}",
                plan.faults,
                began.elapsed().as_secs(),
                Counts::of(&log.entries())
            ));
        }
    }
    load.stop().await;
    log.see(Seen::Fault {
        what: "no more".to_owned(),
    });
    stage.settle(plan.settles_within, &log).await;
    stage.read_phones(&log).await;
    let gateway = stage.gateway.log();
    let lines: Vec<&str> = gateway.lines().rev().take(40).collect();
    let gateway = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    let log = log.entries();
    Report {
        seed: plan.seed,
        violations: judge(&log),
        missed,
        log,
        took: began.elapsed(),
        gateway,
    }
}
