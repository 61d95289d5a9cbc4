//! Tests `waviro conform`: a correct host passes, and the suite finds every planted defect by name.

mod defective_host;
mod defects;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use waviro_conform::{Outcome, Report, Target};
use waviro_link::Link;
use waviro_testing::samples::{GROUP, number};

use crate::test_app::TestApp;

use defective_host::DefectiveHost;
use defects::Defect;

const ANI: &str = "6282386000001";
const NOBODY: &str = "6289999999999";

/// Starts a gateway with a linked and an unlinked bot; also returns the key of the unlinked bot.
async fn gateway() -> (TestApp, String) {
    let app = TestApp::live(&[
        ("outbound.allow", "127.0.0.0/8"),
        ("limits.wrong_keys_per_minute", "100000"),
    ])
    .await;
    app.link().unregister(number(NOBODY));
    let (bot, key) = app.inner.bots().add("cadangan").await.unwrap();
    let link = app.connector.link(bot.id()).unwrap();
    link.logout().await;
    (app, key.reveal().to_owned())
}

fn target(app: &TestApp, unlinked: &str, address: SocketAddr, only: &[&str]) -> Target {
    Target {
        url: format!("http://{address}").parse().unwrap(),
        key: app.key.clone(),
        to: ANI.to_owned(),
        group: GROUP.to_owned(),
        unlinked_key: Some(unlinked.to_owned()),
        nobody: NOBODY.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        pace: Duration::ZERO,
        patience: Duration::from_secs(12),
        only: only.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn failed(report: &Report) -> BTreeSet<&'static str> {
    report.failed().map(|tried| tried.check.name).collect()
}

#[tokio::test]
async fn a_correct_host_passes_every_check_and_skips_none() {
    let (app, unlinked) = gateway().await;
    let host = DefectiveHost::start(app.inner.router(), None).await;
    let target = target(&app, &unlinked, host.address(), &[]);
    let report = waviro_conform::run(&target, |_| {}).await.unwrap();
    let other: Vec<_> = report
        .tried
        .iter()
        .filter(|tried| tried.outcome != Outcome::Passed)
        .map(waviro_conform::Tried::line)
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert_eq!(report.counts(), [waviro_conform::checks().len(), 0, 0]);
    assert!(report.sent.len() > 40, "{}", report.sent.len());
}

#[tokio::test]
async fn every_planted_defect_is_found_by_name() {
    let (app, unlinked) = gateway().await;
    let mut wrong = Vec::new();
    for defect in defects::all() {
        let Defect {
            name, only, finds, ..
        } = defect;
        let host = DefectiveHost::start(app.inner.router(), Some(defect)).await;
        let target = target(&app, &unlinked, host.address(), only);
        let report = waviro_conform::run(&target, |_| {}).await;
        let found = report.as_ref().map(failed).unwrap_or_default();
        if found != finds.iter().copied().collect() {
            let report = report.map(|report| {
                let lines: Vec<_> = report.failed().map(waviro_conform::Tried::line).collect();
                lines.join("\n")
            });
            wrong.push(format!("{name}: found by {found:?}\n{report:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_check_can_fail() {
    let can_fail: BTreeSet<&str> = defects::all()
        .iter()
        .flat_map(|defect| defect.finds)
        .copied()
        .collect();
    let all: BTreeSet<&str> = waviro_conform::checks()
        .iter()
        .map(|check| check.name)
        .collect();
    let never: Vec<_> = all.difference(&can_fail).collect();
    assert!(never.is_empty(), "no planted defect is found by {never:?}");
    let unknown: Vec<_> = can_fail.difference(&all).collect();
    assert!(unknown.is_empty(), "no check is called {unknown:?}");
}

#[test]
fn no_two_checks_have_the_same_name() {
    let names: BTreeSet<&str> = waviro_conform::checks()
        .iter()
        .map(|check| check.name)
        .collect();
    assert_eq!(names.len(), waviro_conform::checks().len());
}

#[tokio::test]
async fn a_run_without_a_host_a_linked_bot_or_a_check_is_an_error() {
    let (app, unlinked) = gateway().await;
    let host = DefectiveHost::start(app.inner.router(), None).await;
    let mut wrong_key = target(&app, &unlinked, host.address(), &[]);
    wrong_key.key = "bukan-kunci".to_owned();
    let mut not_linked = target(&app, &unlinked, host.address(), &[]);
    not_linked.key = unlinked.clone();
    let no_host = target(&app, &unlinked, "127.0.0.1:1".parse().unwrap(), &[]);
    let no_check = target(&app, &unlinked, host.address(), &["teks"]);
    let mut slip = target(&app, &unlinked, host.address(), &[]);
    slip.to = "08".to_owned();
    let one_wrong = target(&app, &unlinked, host.address(), &["text", "teks"]);
    for (target, says) in [
        (slip, "--to"),
        (one_wrong, "teks"),
        (wrong_key, "SecretKey"),
        (not_linked, "linked"),
        (no_host, "no answer"),
        (no_check, "--list"),
    ] {
        let error = waviro_conform::run(&target, |_| {}).await.err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_remote_host_that_cannot_reach_the_suite_skips_files_and_callbacks() {
    let (app, unlinked) = gateway().await;
    let host = DefectiveHost::start(app.inner.router(), None).await;
    let only = ["media.image", "callback.text", "text.sample"];
    let mut target = target(&app, &unlinked, host.address(), &only);
    // On Linux this address reaches the same machine, but the suite cannot know.
    target.url = format!("http://0.0.0.0:{}", host.address().port())
        .parse()
        .unwrap();
    let report = waviro_conform::run(&target, |_| {}).await.unwrap();
    assert_eq!(report.counts(), [1, 0, 2]);
    let text = report.junit().unwrap();
    assert!(
        text.contains("--public-url") && text.contains("skipped=\"2\""),
        "{text}"
    );
}
