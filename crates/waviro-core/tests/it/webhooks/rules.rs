//! The rules of keyword webhooks: the choice of a rule, and a rule that is changed, off or deleted.

use std::time::Duration;

use serde_json::json;
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::{self, Hooks, deliveries, rule, texts};
use waviro_testing::samples::{in_group, inbound};

use super::{BUDI, GROUP};

#[tokio::test]
async fn the_catch_all_takes_the_rest_and_groups_go_to_rules_that_want_them() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("halo")).await;
    hooks::rule_with(&gateway, "", &hooks.url("rest"), true).await;
    let grouped = in_group(GROUP, "A1", BUDI, "halo semua");
    gateway.link().inbound(vec![grouped]).await.unwrap();
    hooks.wait_for(1).await;
    let call = &hooks.calls()[0];
    assert_eq!(call["keyword"], "");
    assert_eq!(call["data"], json!(["halo semua"]));
    assert_eq!(call["groupid"], format!("{GROUP}@g.us"));
    hooks.answer(
        200,
        r#"{"success":true,"message":[{"type":"message","content":"ke grup"}]}"#,
    );
    gateway
        .link()
        .inbound(vec![in_group(GROUP, "A2", BUDI, "lagi")])
        .await
        .unwrap();
    until(|| async { texts(&gateway) }, |texts| texts == &["ke grup"]).await;
    assert_eq!(
        gateway.link().sent()[0].to.address(),
        format!("{GROUP}@g.us")
    );
}

#[tokio::test]
async fn a_rule_whose_endpoint_says_410_is_switched_off_and_says_why() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    hooks.answer(410, "");
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(
        || deliveries(&gateway),
        |ended| ended.iter().all(|(outcome, _)| outcome == "gone"),
    )
    .await;
    let rules = gateway.engine.store.rules(gateway.bot.id()).await.unwrap();
    assert!(!rules[0].enabled);
    assert_eq!(
        rules[0].off_cause.as_deref(),
        Some("the endpoint answered 410")
    );
    gateway
        .link()
        .inbound(vec![inbound("A2", BUDI, "halo")])
        .await
        .unwrap();
    assert_eq!(deliveries(&gateway).await.len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_rule_follows_its_new_url_and_ends_with_the_rule() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let rule = rule(&gateway, "halo", &hooks.url("old")).await;
    hooks.answer(500, "");
    hooks.answer(500, "");
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    hooks.wait_for(1).await;
    until(|| hooks::waiting(&gateway), |waiting| *waiting == 1).await;
    let change = waviro_store::RuleChange {
        url: Some(hooks.url("new")),
        ..waviro_store::RuleChange::default()
    };
    let store = &gateway.engine.store;
    store
        .change_rule(gateway.bot.id(), rule, change, gateway.clock.now())
        .await
        .unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(2));
            hooks.paths()
        },
        |paths| paths.len() == 2,
    )
    .await;
    assert_eq!(hooks.paths(), ["old", "new"]);
    until(|| hooks::waiting(&gateway), |waiting| *waiting == 1).await;
    assert!(
        store
            .delete_rule(gateway.bot.id(), rule, gateway.clock.now())
            .await
            .unwrap()
    );
    assert_eq!(deliveries(&gateway).await[0].0, "cancelled");
}

#[tokio::test]
async fn a_rule_that_is_off_takes_nothing() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let id = rule(&gateway, "halo", &hooks.url("hook")).await;
    let off = waviro_store::RuleChange {
        enabled: Some(false),
        ..waviro_store::RuleChange::default()
    };
    let store = &gateway.engine.store;
    store
        .change_rule(gateway.bot.id(), id, off, gateway.clock.now())
        .await
        .unwrap();
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    assert!(deliveries(&gateway).await.is_empty());
}

#[tokio::test]
async fn what_is_in_memory_follows_a_new_url_and_the_old_one_switches_nothing_off() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let id = rule(&gateway, "", &hooks.url("old")).await;
    hooks.echo_slowly(Duration::from_millis(200));
    let batch = (0..6)
        .map(|n| inbound(&format!("A{n}"), BUDI, &n.to_string()))
        .collect();
    gateway.link().inbound(batch).await.unwrap();
    hooks.wait_for(1).await;
    let change = waviro_store::RuleChange {
        url: Some(hooks.url("new")),
        ..waviro_store::RuleChange::default()
    };
    let (store, bot_id, now) = (&gateway.engine.store, gateway.bot.id(), gateway.clock.now());
    store.change_rule(bot_id, id, change, now).await.unwrap();
    hooks.wait_for(6).await;
    assert_eq!(hooks.paths(), ["old", "new", "new", "new", "new", "new"]);
    let cause = "the endpoint answered 410".to_owned();
    let old = hooks.url("old");
    store
        .switch_rule_off(1, &old, cause.clone(), now)
        .await
        .unwrap();
    assert!(store.rules(bot_id).await.unwrap()[0].enabled);
    let new = hooks.url("new");
    store.switch_rule_off(1, &new, cause, now).await.unwrap();
    assert!(!store.rules(bot_id).await.unwrap()[0].enabled);
}
