//! Torture runs with fixed plans: the promises hold under kills at random moments and under every
//! other fault.

use std::time::Duration;

use e2e::oracle::Seen;
use e2e::torture::{Counts, Fault, Plan, Report, all_faults, run};

/// Tests a server that drops a message with a repeated id, and a server that delivers the message.
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
async fn all_faults_together_lose_nothing_and_double_nothing() {
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

/// Tests every moment at which the gateway can be ended: before and after each commit, and around
/// sending, files, calls and migrations.
#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_moment_it_loses_nothing_and_doubles_nothing() {
    let moments: Vec<String> = waviro_fault::moments().collect();
    let plans = [(1, false), (2, true)].map(|(seed, dedupe)| Plan {
        seed,
        moments: moments.clone(),
        faults: 0,
        dedupe,
        ..Plan::default()
    });
    for report in futures::future::join_all(plans.iter().map(run)).await {
        assert_eq!(report.missed, [""; 0], "{report}");
        holds(&report, moments.len() - 1);
    }
}

/// Shortened plans that once found a broken promise; the seed fixes the plan.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_failing_plans_pass() {
    let plans = [
        // A group's sender key was lost with its connection.
        (22, vec![Fault::Stall], false),
        // Members with simultaneous retry receipts got no resend, and a requested resend was
        // dropped.
        (11, vec![Fault::Undecryptable], true),
        // Two replies to one question arrived in the wrong order.
        (12, vec![Fault::Stall, Fault::Deaf], true),
        // A refused id was treated as a duplicate.
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

/// A test that finds no bugs proves nothing. Each bug is listed with a fault that reveals the bug
/// and with the broken rule.
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
    // The remaining bug, `no-sync`, is invisible to phones and endpoints; see `durable`.
    assert_eq!(bugs.len() + 1, waviro_fault::BUGS.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Checks that no promise is broken, and that the run had enough load.
fn holds(report: &Report, faults: usize) {
    assert_eq!(report.violations, [], "{report}");
    let counts = Counts::of(&report.log);
    assert!(counts.accepted > 100 && counts.callbacks > 100, "{counts}");
    assert!(counts.questions > 5 && counts.faults > faults, "{counts}");
    let shown = report.log.iter();
    let shown = shown.filter(|entry| matches!(entry.seen, Seen::Shown { .. }));
    assert!(shown.count() >= counts.accepted, "{counts}");
}
