//! The rig over a plan of its own: promises hold under kills at random moments, and beside every other fault.

use std::time::Duration;

use e2e::oracle::Seen;
use e2e::torture::{Counts, Fault, Plan, Report, all_faults, run};

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

/// Every moment that the gateway can be ended at: before and after each commit, around the wire, files, calls and migrations.
#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_moment_it_loses_nothing_and_doubles_nothing() {
    let moments: Vec<String> = waviro_fault::moments().collect();
    assert!(moments.len() >= 100, "{}", moments.len());
    let half = moments.len().div_ceil(2);
    let plans = moments.chunks(half).zip(1..).map(|(moments, seed)| Plan {
        seed,
        moments: moments.to_vec(),
        faults: 0,
        dedupe: seed % 2 == 0,
        ..Plan::default()
    });
    let plans: Vec<Plan> = plans.collect();
    for report in futures::future::join_all(plans.iter().map(run)).await {
        assert_eq!(report.missed, [""; 0], "{report}");
        holds(&report, half - 1);
    }
}

/// What once broke a promise, shortened: the plan is the seed's.
#[tokio::test(flavor = "multi_thread")]
async fn plans_that_once_failed_hold() {
    let plans = [
        // A group's key was lost with its connection.
        (22, vec![Fault::Stall], false),
        // Members who asked at once got nothing, and a repeat that was asked for was dropped.
        (11, vec![Fault::Undecryptable], true),
        // Two answers to one question changed places.
        (12, vec![Fault::Stall, Fault::Deaf], true),
        // A refused id was taken for a repeat.
        (13, vec![Fault::Nack, Fault::LostAcks], true),
    ];
    let plans = plans.map(|(seed, kinds, greeted)| Plan {
        seed,
        kinds,
        greeted,
        faults: 8,
        rate: 60,
        within: Duration::from_mins(2),
        ..Plan::default()
    });
    for report in futures::future::join_all(plans.iter().map(run)).await {
        holds(&report, 8);
    }
}

/// A rig that finds nothing proves nothing: each bug, with the faults under which it shows, and the promise that it breaks.
#[tokio::test(flavor = "multi_thread")]
async fn every_planted_bug_is_found() {
    let bugs = [
        ("commit-after-answer", Fault::Kill, "I1"),
        ("new-id-on-resend", Fault::KillStalled, "I2"),
        ("ack-before-commit", Fault::Kill, "I8"),
        ("unordered-acks", Fault::Endpoint, "I6"),
        ("no-cap", Fault::SlowEndpoint, "I10"),
        ("duplicates-accepted", Fault::Cut, "I2"),
        ("replies-twice", Fault::Cut, "I8"),
    ];
    let mut missed = Vec::new();
    for (bug, fault, rule) in bugs {
        let plan = Plan {
            bug: Some(bug.to_owned()),
            kinds: vec![fault],
            faults: 8,
            within: Duration::from_secs(30),
            settles_within: Duration::from_secs(10),
            ..Plan::default()
        };
        let report = run(&plan).await;
        if !report.violations.iter().any(|it| it.rule == rule) {
            missed.push(format!("{bug}:\n{report}"));
        }
    }
    // The eighth, `no-sync`, is no matter of what phones and endpoints see: see `durable`.
    assert_eq!(bugs.len() + 1, waviro_fault::BUGS.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
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
