//! The rig over a plan of its own: promises hold under kills at random moments, and beside every other fault.

use std::time::Duration;

use e2e::oracle::Seen;
use e2e::torture::{Counts, Plan, Report, all_faults, run};

/// Both kinds of servers: one that drops a message whose id it had, and one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_lose_nothing_and_double_nothing() {
    for (seed, dedupe) in [(1, true), (2, false)] {
        let plan = Plan {
            seed,
            dedupe,
            faults: 15,
            ..Plan::default()
        };
        let report = run(&plan).await;
        holds(&report, 15);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_among_each_other_loses_nothing_and_doubles_nothing() {
    let plan = Plan {
        seed: 7,
        faults: 30,
        kinds: all_faults(),
        within: Duration::from_mins(2),
        ..Plan::default()
    };
    let report = run(&plan).await;
    holds(&report, 30);
}

/// No promise is broken, and there was something to break.
fn holds(report: &Report, faults: usize) {
    assert_eq!(report.violations, [], "{report}");
    let counts = Counts::of(&report.log);
    assert!(counts.accepted > 100 && counts.told > 100, "{counts}");
    assert!(counts.questions > 5 && counts.faults > faults, "{counts}");
    let shown = report.log.iter();
    let shown = shown.filter(|entry| matches!(entry.seen, Seen::Shown { .. }));
    assert!(shown.count() >= counts.accepted, "{counts}");
}
