//! Events with a fake link: their content, subscribers, order and number.

use std::time::Duration;

use serde_json::Value;
use waviro_link::fake::FakeConnector;
use waviro_link::{InboundKind, OfflineCause, ReceiptLevel, Sender, Status, UnlinkedCause};
use waviro_store::{CommitFeeds, SubscriptionChange};
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::group;
use waviro_testing::samples::{OWN, number};
use waviro_testing::samples::{call, each_group_change, each_kind};
use waviro_testing::samples::{in_group, inbound};
use waviro_testing::subscriptions::{
    self, every_delivery, received, subscribe, subscribe_to, subscription,
};

const BUDI: &str = "6281300000001";
const GROUP: &str = "120363000000000001";

#[tokio::test]
async fn each_kind_of_inbound_message_has_its_own_event_payload() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    let messages = each_kind();
    let count = messages.len();
    gateway.link().inbound(messages).await.unwrap();
    hooks.wait_for(count).await;
    let events = received(&gateway, "message.").await;
    insta::assert_json_snapshot!("messages", events);
    // The posted events are the stored events, with the same ids.
    let mut posted = hooks.calls();
    let mut ids = hooks.header("webhook-id");
    let mut carried: Vec<_> = posted
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    carried.sort();
    assert_eq!(ids, carried);
    assert!(ids.iter().all(|id| id.starts_with("evt_")));
    for event in &mut posted {
        subscriptions::without_signature(event);
        assert!(events.contains(event), "{event}");
    }
}

#[tokio::test]
async fn calls_group_changes_and_bot_states_have_their_own_event_payloads() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe_to(&gateway, &hooks.url("hook"), &["*"]).await;
    for change in each_group_change() {
        gateway.link().change_group(change).await;
    }
    gateway.link().call(call("C1", None)).await;
    gateway.link().call(call("C2", Some(GROUP))).await;
    let cause = "stream ended".to_owned();
    gateway.link().set_status(Status::Reconnecting {
        cause: OfflineCause::Ended(cause),
    });
    let code = Some(waviro_link::QrCode {
        text: "2@x".to_owned(),
        expires: std::time::UNIX_EPOCH,
    });
    let gone = UnlinkedCause::LoggedOut("401".to_owned());
    gateway.link().set_status(Status::Unlinked(gone));
    // A new QR code does not change the state.
    gateway.link().set_status(Status::Linking { qr: None });
    gateway.link().set_status(Status::Linking { qr: code });
    gateway.link().set_status(Status::Online);
    // The first online event may or may not be present, so all leading online events are skipped.
    let since = async || {
        let states = received(&gateway, "bot.state").await.into_iter();
        let states = states.skip_while(|event| event["data"]["state"] == "online");
        states.collect::<Vec<_>>()
    };
    let states = until(since, |states| states.len() >= 4).await;
    insta::assert_json_snapshot!("states", states);
    insta::assert_json_snapshot!("groups", received(&gateway, "group.changed").await);
    insta::assert_json_snapshot!("calls", received(&gateway, "call.received").await);
}

#[tokio::test]
async fn every_ack_of_a_message_is_one_event_and_in_order() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    gateway.link().keep_silent();
    let id = gateway.accept(BUDI, "satu").await.unwrap().id;
    let refused = gateway.accept(BUDI, "dua").await.unwrap().id;
    until(|| async { gateway.wire().len() }, |sent| *sent == 2).await;
    gateway.link().ack(&id).await;
    gateway.link().nack(&refused, "463").await;
    for level in [
        ReceiptLevel::Delivered,
        ReceiptLevel::Read,
        ReceiptLevel::Read,
        ReceiptLevel::Delivered,
    ] {
        gateway.link().receipt(&id, level).await.unwrap();
    }
    hooks.wait_for(4).await;
    let of = |wanted: &str, events: &[Value]| -> Vec<Value> {
        let events = events.iter().map(|event| event["data"].clone());
        events.filter(|data| data["id"] == wanted).collect()
    };
    let events = received(&gateway, "message.ack").await;
    let to = format!("{BUDI}@c.us");
    let ack = |ack: i8| serde_json::json!({"id": id.as_str(), "ack": ack, "to": to});
    assert_eq!(of(id.as_str(), &events), [ack(1), ack(2), ack(3)]);
    assert_eq!(of(id.as_str(), &hooks.calls()), [ack(1), ack(2), ack(3)]);
    assert_eq!(
        of(refused.as_str(), &events),
        [serde_json::json!({"id": refused.as_str(), "ack": -1, "cause": "nack: 463", "to": to})]
    );
}

#[tokio::test]
async fn each_receipt_level_of_a_group_member_is_one_event() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    gateway.link().set_groups(vec![group(GROUP, "Pelanggan")]);
    let id = gateway
        .accept(&format!("{GROUP}@g.us"), "semua")
        .await
        .unwrap()
        .id;
    until(|| gateway.ack_of(&id), |ack| *ack == 1).await;
    let (budi, hidden) = (
        Sender::Number(number(BUDI)),
        Sender::Hidden("99887766".to_owned()),
    );
    for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
        for member in [&budi, &hidden, &budi] {
            let said = gateway
                .link()
                .member_receipt(&id, level, member.clone())
                .await;
            said.unwrap();
        }
    }
    // Subscribers get an event for each member, so the gateway must process each receipt.
    assert!(
        !gateway
            .link()
            .is_known(&id, ReceiptLevel::Delivered, Some(budi.clone()))
    );
    // A repeated receipt changes nothing.
    let late = gateway
        .link()
        .member_receipt(&id, ReceiptLevel::Delivered, budi)
        .await;
    late.unwrap();
    assert_eq!(gateway.ack_of(&id).await, 1);
    let events = received(&gateway, "message.ack").await;
    let said: Vec<_> = events
        .iter()
        .map(|event| {
            let member = &event["data"]["member"]["contact"];
            let ack = event["data"]["ack"].as_i64().unwrap();
            (member.as_str().unwrap_or("").to_owned(), ack)
        })
        .collect();
    let budi = format!("{BUDI}@c.us");
    let hidden = "99887766@lid".to_owned();
    let steps = [
        (String::new(), 1),
        (budi.clone(), 2),
        (hidden.clone(), 2),
        (budi, 3),
        (hidden, 3),
    ];
    assert_eq!(said, steps);
    assert_eq!(
        events[2]["data"]["member"],
        serde_json::json!({"number": null, "contact": "99887766@lid"})
    );
    hooks.wait_for(5).await;
}

#[tokio::test]
async fn what_nobody_wants_is_not_written() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let everything = async |n: usize| {
        let mut text = inbound(&format!("A{n}"), BUDI, "halo");
        gateway.link().inbound(vec![text.clone()]).await.unwrap();
        text.id = format!("B{n}").parse().unwrap();
        text.kind = InboundKind::Deleted {
            of: format!("A{n}").parse().unwrap(),
            by_admin: false,
        };
        gateway.link().inbound(vec![text]).await.unwrap();
        gateway.link().call(call(&format!("C{n}"), None)).await;
        let id = gateway.accept(BUDI, &n.to_string()).await.unwrap().id;
        until(|| gateway.ack_of(&id), |ack| *ack == 1).await;
    };
    everything(1).await;
    assert_eq!(received(&gateway, "").await, Vec::<Value>::new());
    let kinds = ["message.deleted", "call.received"];
    let id = subscribe_to(&gateway, &hooks.url("hook"), &kinds).await;
    everything(2).await;
    let words = |events: &[Value]| -> Vec<String> {
        let words = events.iter().map(|event| event["type"].as_str().unwrap());
        words.map(ToOwned::to_owned).collect()
    };
    assert_eq!(words(&received(&gateway, "").await), kinds);
    let change = SubscriptionChange {
        enabled: Some(false),
        ..SubscriptionChange::default()
    };
    let store = &gateway.engine.store;
    store
        .change_subscription(gateway.bot.id(), id, change, gateway.clock.now())
        .await
        .unwrap();
    everything(3).await;
    assert_eq!(received(&gateway, "").await.len(), 2);
}

#[tokio::test]
async fn a_redelivered_message_is_one_event() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    for _ in 0..3 {
        let twice = vec![inbound("A1", BUDI, "halo"), inbound("A1", BUDI, "halo")];
        gateway.link().inbound(twice).await.unwrap();
    }
    // A message of another chat may have the same id.
    let other = in_group(GROUP, "A1", BUDI, "halo");
    gateway.link().inbound(vec![other]).await.unwrap();
    hooks.wait_for(2).await;
    let events = received(&gateway, "message.received").await;
    assert_eq!(events.len(), 2);
    assert_ne!(events[0]["id"], events[1]["id"]);
}

#[tokio::test]
async fn the_events_of_a_message_arrive_in_order_although_the_endpoint_fails() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe(&gateway, &hooks.url("hook")).await;
    for status in [500, 503, 500] {
        hooks.answer(status, "");
    }
    let mut edited = inbound("A2", BUDI, "");
    edited.kind = InboundKind::Edited {
        of: "A1".parse().unwrap(),
        text: "halo!".to_owned(),
    };
    let mut reaction = inbound("A3", BUDI, "");
    reaction.kind = InboundKind::Reaction {
        to: "A1".parse().unwrap(),
        emoji: "👍".to_owned(),
    };
    let batch = vec![inbound("A1", BUDI, "halo"), edited, reaction];
    gateway.link().inbound(batch).await.unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(5));
            hooks.calls().len()
        },
        |calls| *calls == 6,
    )
    .await;
    let types: Vec<_> = hooks
        .calls()
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let first = "message.received";
    assert_eq!(
        types,
        [
            first,
            first,
            first,
            first,
            "message.edited",
            "message.reaction"
        ]
    );
    let ids = hooks.header("webhook-id");
    assert!(ids[..4].iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn a_restart_keeps_what_is_owed() {
    let mut gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let unheard = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}/hook", unheard.local_addr().unwrap());
    drop(unheard);
    let id = subscribe(&gateway, &dead.parse().unwrap()).await;
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    assert_eq!(received(&gateway, "message.received").await.len(), 1);
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    // Waiting deliveries go to the new URL.
    let change = SubscriptionChange {
        url: Some(hooks.url("hook")),
        ..SubscriptionChange::default()
    };
    let store = &gateway.engine.store;
    store
        .change_subscription(gateway.bot.id(), id, change, gateway.clock.now())
        .await
        .unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(5));
            hooks.calls()
        },
        |calls| {
            let mut received = calls.iter();
            received.any(|event| event["type"] == "message.received")
        },
    )
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_switches_its_subscription_off_visibly_and_nothing_more_is_written()
 {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let id = subscribe_to(&gateway, &hooks.url("hook"), &["message.received"]).await;
    hooks.answer(410, "");
    let batch = (0..3).map(|n| inbound(&format!("A{n}"), BUDI, "halo"));
    gateway
        .link()
        .inbound(vec![inbound("A0", BUDI, "halo")])
        .await
        .unwrap();
    let row = until(|| subscription(&gateway, id), |row| !row.enabled).await;
    assert_eq!(row.off_cause.as_deref(), Some("the endpoint answered 410"));
    gateway.link().inbound(batch.collect()).await.unwrap();
    assert_eq!(received(&gateway, "").await.len(), 1);
    let outcomes = until(|| every_delivery(&gateway), |outcomes| outcomes.len() == 1).await;
    let outcomes = until(
        || every_delivery(&gateway),
        |now| now.len() == outcomes.len() && now.iter().all(|outcome| !outcome.is_empty()),
    )
    .await;
    assert_eq!(outcomes, ["gone"]);
    let change = SubscriptionChange {
        enabled: Some(true),
        ..SubscriptionChange::default()
    };
    let store = &gateway.engine.store;
    let on = store.change_subscription(gateway.bot.id(), id, change, gateway.clock.now());
    assert_eq!(on.await.unwrap().unwrap().off_cause, None);
    gateway
        .link()
        .inbound(vec![inbound("A9", BUDI, "halo")])
        .await
        .unwrap();
    hooks.wait_for(2).await;
}

#[tokio::test]
async fn a_deleted_subscription_gets_nothing_that_still_waits() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    let id = subscribe_to(&gateway, &hooks.url("hook"), &["message.received"]).await;
    hooks.answer(500, "");
    gateway
        .link()
        .inbound(vec![inbound("A1", BUDI, "halo")])
        .await
        .unwrap();
    until(
        || waviro_testing::hooks::waiting(&gateway),
        |waiting| *waiting == 1,
    )
    .await;
    let store = &gateway.engine.store;
    let deleted = store.delete_subscription(gateway.bot.id(), id, gateway.clock.now());
    assert!(deleted.await.unwrap());
    gateway.pass(Duration::from_mins(10));
    assert_eq!(every_delivery(&gateway).await, ["cancelled"]);
    assert_eq!(hooks.calls().len(), 1);
}

#[tokio::test]
async fn two_subscriptions_get_each_event_and_a_failing_one_delays_no_other() {
    let gateway = TestEngine::online().await;
    let (bad, good) = (Hooks::start().await, Hooks::start().await);
    subscribe_to(&gateway, &bad.url("hook"), &["message.received"]).await;
    subscribe(&gateway, &good.url("hook")).await;
    for _ in 0..20 {
        bad.answer(500, "");
    }
    for n in 0..5 {
        let text = inbound(&format!("A{n}"), BUDI, "halo");
        gateway.link().inbound(vec![text]).await.unwrap();
    }
    good.wait_for(5).await;
    let mut ids = good.header("webhook-id");
    ids.extend(bad.header("webhook-id"));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

/// The bot may be removed in the meantime: its id has no subscribers, and raising acks still
/// succeeds.
#[tokio::test]
async fn an_event_of_a_bot_that_is_not_there_is_nobodys() {
    let gateway = TestEngine::online().await;
    let store = &gateway.engine.store;
    let audience = store.audience(99, gateway.clock.now()).await.unwrap();
    for kind in waviro_store::EventKind::ALL {
        assert!(!audience.wants(kind));
    }
    let (lane, _told) = tokio::sync::mpsc::unbounded_channel();
    let (deliveries, _due) = tokio::sync::mpsc::unbounded_channel();
    let feeds = CommitFeeds { lane, deliveries };
    let nobodys = store.apply_acks(99, Vec::new(), gateway.clock.now(), &feeds);
    nobodys.await.unwrap();
}
