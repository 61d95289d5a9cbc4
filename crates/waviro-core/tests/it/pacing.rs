//! A bot's pace: a limit of messages per minute without refused or lost messages, and typing before
//! a text.

use std::time::Duration;

use serde_json::{Value, json};
use waviro_link::fake::FakeConnector;
use waviro_link::{Chat, LinkError, MessageId, OfflineCause, ReceiptLevel, Sender, Status};
use waviro_store::clock::Millis;
use waviro_testing::engine::{Receiver, TestEngine, endpoint, until};
use waviro_testing::hooks::{Hooks, rule};
use waviro_testing::samples::inbound;
use waviro_testing::samples::{GROUP, group};
use waviro_testing::samples::{OWN, number};

const BUDI: &str = "6281300000001";
const SITI: &str = "6281300000002";

fn reconnecting() -> Status {
    Status::Reconnecting {
        cause: OfflineCause::Ended("the connection ended".to_owned()),
    }
}

/// Fails if a minute contains more than `most` messages. The recorded times may be one step of the
/// clock late.
fn paced(seen: &[(Millis, String)], most: usize) {
    for window in seen.windows(most + 1) {
        let span = window[most].0 - window[0].0;
        assert!(span >= 58_000, "{most} a minute: {window:?}");
    }
}

#[tokio::test]
async fn without_a_pace_nothing_waits() {
    let gateway = TestEngine::online().await;
    for n in 0..50 {
        gateway.accept(BUDI, &n.to_string()).await.unwrap();
    }
    until(|| async { gateway.wire() }, |wire| wire.len() == 50).await;
    assert!(gateway.link().typed().is_empty());
}

#[tokio::test]
async fn no_minute_holds_more_than_the_pace_each_chat_keeps_its_order_and_nobody_is_refused() {
    let gateway = TestEngine::online().await;
    gateway
        .set(json!({"pacing": {"per_minute": 6, "jitter": 1}}))
        .await;
    for n in 0..20 {
        let to = if n % 3 == 0 { SITI } else { BUDI };
        gateway.accept(to, &n.to_string()).await.unwrap();
    }
    let seen = gateway.run_until_sent(20, true).await;
    paced(&seen, 6);
    let of = |to: &str| -> Vec<usize> {
        let sent = gateway.link().sent().into_iter();
        let sent = sent.filter(|sent| sent.to == Chat::Person(number(to)));
        sent.map(|sent| {
            waviro_testing::engine::text_of(&sent.content)
                .parse()
                .unwrap()
        })
        .collect()
    };
    assert!(of(BUDI).is_sorted() && of(SITI).is_sorted());
    assert_eq!(of(BUDI).len() + of(SITI).len(), 20);
    gateway.ack_all().await;
}

#[tokio::test]
async fn a_restart_is_no_way_around_the_pace_and_loses_nothing() {
    let mut gateway = TestEngine::online().await;
    gateway
        .set(json!({"pacing": {"per_minute": 3, "jitter": 0}}))
        .await;
    for n in 0..6 {
        gateway.accept(BUDI, &n.to_string()).await.unwrap();
    }
    let mut seen = gateway.run_until_sent(3, true).await;
    until(
        || async { gateway.engine.store.pending_count() },
        |count| *count == 3,
    )
    .await;
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    seen.extend(gateway.run_until_sent(3, true).await);
    paced(&seen, 3);
    let texts: Vec<_> = seen.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_message_waiting_for_its_turn_is_reported_as_pending_and_does_not_expire() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    gateway
        .set(json!({"pacing": {"per_minute": 1, "jitter": 0}}))
        .await;
    gateway.accept(BUDI, "first").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    for n in 0..3 {
        gateway.accept(SITI, &n.to_string()).await.unwrap();
    }
    let last = gateway
        .accept_with(BUDI, "last", &endpoint(address, "a"))
        .await;
    gateway.pass(Duration::from_secs(11));
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            receiver.stages("a")
        },
        |stages| stages.first() == Some(&0),
    )
    .await;
    // The queue moves slowly, and its last message is sent before a day has passed.
    let day = gateway.clock.now() + 86_400_000;
    gateway
        .set(json!({"pacing": {"per_minute": 1, "jitter": 1}}))
        .await;
    let wire = gateway.wire().len();
    assert!(wire < 5, "{wire}");
    let seen = gateway.run_until_sent(5, true).await;
    assert!(seen.last().unwrap().0 < day);
    until(|| gateway.ack_of(&last.id), |ack| *ack == 1).await;
}

#[tokio::test]
async fn an_unacked_message_goes_again_at_the_pace_under_its_id() {
    let gateway = TestEngine::online().await;
    gateway
        .set(json!({"pacing": {"per_minute": 6, "jitter": 0, "typing": true}}))
        .await;
    gateway.link().keep_silent();
    gateway.accept(BUDI, "satu").await.unwrap();
    gateway.accept(BUDI, "dua").await.unwrap();
    gateway.run_until_sent(2, false).await;
    gateway.link().set_status(reconnecting());
    gateway.link().set_status(Status::Online);
    let seen = gateway.run_until_sent(4, false).await;
    assert!(seen[3].0 - seen[2].0 >= 9_000, "{seen:?}");
    let ids: Vec<MessageId> = gateway
        .link()
        .sent()
        .into_iter()
        .map(|sent| sent.id)
        .collect();
    assert_eq!((&ids[0], &ids[1]), (&ids[2], &ids[3]));
    // A resent text is not typed again.
    assert_eq!(gateway.link().typed().len(), 2);
}

#[tokio::test]
async fn a_text_to_a_person_is_typed_first_and_others_are_not() {
    let gateway = TestEngine::online().await;
    gateway.set(json!({"pacing": {"typing": true}})).await;
    let text = "a".repeat(50);
    gateway.accept(BUDI, &text).await.unwrap();
    let person = Chat::Person(number(BUDI));
    until(
        || async { gateway.link().typed() },
        |typed| *typed == [(person.clone(), true)],
    )
    .await;
    assert!(gateway.wire().is_empty());
    // 50 characters of 40 ms each, with a jitter of a third.
    gateway.pass(Duration::from_millis(1300));
    tokio::task::yield_now().await;
    assert!(gateway.wire().is_empty());
    gateway.pass(Duration::from_millis(1400));
    until(|| async { gateway.wire() }, |wire| *wire == [text.clone()]).await;
}

#[tokio::test]
async fn a_link_that_is_gone_when_the_pause_ends_loses_nothing() {
    let gateway = TestEngine::online().await;
    gateway.set(json!({"pacing": {"typing": true}})).await;
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(
        || async { gateway.link().typed() },
        |typed| typed.len() == 1,
    )
    .await;
    gateway.link().set_status(reconnecting());
    gateway.pass(Duration::from_secs(4));
    gateway.link().fail_next_send(LinkError::Offline);
    gateway.link().set_status(Status::Online);
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.ack_of(&accepted.id).await
        },
        |ack| *ack == 1,
    )
    .await;
    assert_eq!(gateway.wire(), ["halo"]);
}

#[tokio::test]
async fn a_kill_in_the_pause_loses_nothing_and_sends_once() {
    let mut gateway = TestEngine::online().await;
    gateway.set(json!({"pacing": {"typing": true}})).await;
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(
        || async { gateway.link().typed() },
        |typed| typed.len() == 1,
    )
    .await;
    let before = gateway.link();
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.ack_of(&accepted.id).await
        },
        |ack| *ack == 1,
    )
    .await;
    assert!(before.sent().is_empty());
    assert_eq!(gateway.link().sent().len(), 1);
}

#[tokio::test]
async fn a_pace_that_is_set_or_lifted_holds_at_once() {
    let gateway = TestEngine::online().await;
    gateway.set(json!({"pacing": {"per_minute": 1}})).await;
    for n in 0..5 {
        gateway.accept(BUDI, &n.to_string()).await.unwrap();
    }
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway.set(json!({"pacing": {"per_minute": null}})).await;
    until(|| async { gateway.wire() }, |wire| wire.len() == 5).await;
}

#[tokio::test]
async fn answers_of_webhooks_wait_for_their_turn_too() {
    let gateway = TestEngine::online().await;
    gateway
        .set(json!({"pacing": {"per_minute": 6, "jitter": 0}}))
        .await;
    let hooks = Hooks::start().await;
    rule(&gateway, "halo", &hooks.url("hook")).await;
    let texts: Vec<Value> = ["a", "b", "c"]
        .map(|text| json!({"type": "message", "content": text}))
        .into();
    hooks.answer(200, &json!({"success": true, "message": texts}).to_string());
    let asked = vec![inbound("A1", BUDI, "halo")];
    gateway.link().inbound(asked).await.unwrap();
    let seen = gateway.run_until_sent(3, true).await;
    for pair in seen.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 9_000, "{seen:?}");
    }
}

#[tokio::test]
async fn a_groups_acks_rise_with_the_first_member_where_the_bot_is_set_so() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    gateway.link().set_groups(vec![group(GROUP, "Pelanggan")]);
    let to = format!("{GROUP}@g.us");
    let member = || Sender::Number(number(SITI));
    let usual = gateway
        .accept_with(&to, "satu", &endpoint(address, "a"))
        .await;
    until(|| gateway.ack_of(&usual.id), |ack| *ack == 1).await;
    gateway
        .link()
        .member_receipt(&usual.id, ReceiptLevel::Read, member())
        .await
        .unwrap();
    assert_eq!(gateway.ack_of(&usual.id).await, 1);
    gateway.set(json!({"group_acks": true})).await;
    let message = gateway
        .accept_with(&to, "dua", &endpoint(address, "b"))
        .await;
    until(|| gateway.ack_of(&message.id), |ack| *ack == 1).await;
    for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
        gateway
            .link()
            .member_receipt(&message.id, level, member())
            .await
            .unwrap();
    }
    assert_eq!(receiver.wait_for("b", 3).await, [1, 2, 3]);
    assert_eq!(receiver.stages("a"), [1]);
}

#[tokio::test]
async fn a_receipt_without_news_is_distinguished_from_a_receipt_that_changes_the_ack() {
    let gateway = TestEngine::online().await;
    gateway.link().set_groups(vec![group(GROUP, "Pelanggan")]);
    let (delivered, read) = (ReceiptLevel::Delivered, ReceiptLevel::Read);
    let member = || Some(Sender::Number(number(SITI)));
    let other = || Some(Sender::Hidden("99887766".to_owned()));
    let known = |id: &MessageId, level, from| gateway.link().is_known(id, level, from);
    let in_group = gateway
        .accept(&format!("{GROUP}@g.us"), "semua")
        .await
        .unwrap();
    assert!(!known(&in_group.id, delivered, member()));
    until(|| gateway.ack_of(&in_group.id), |ack| *ack == 1).await;
    gateway
        .link()
        .member_receipt(&in_group.id, delivered, Sender::Number(number(SITI)))
        .await
        .unwrap();
    assert!(known(&in_group.id, read, member()) && known(&in_group.id, delivered, other()));

    let alone = gateway.accept(SITI, "satu").await.unwrap();
    gateway.link().receipt(&alone.id, delivered).await.unwrap();
    assert!(known(&alone.id, delivered, None) && !known(&alone.id, read, None));
    assert_eq!(gateway.ack_of(&alone.id).await, 2);
    gateway.link().receipt(&alone.id, read).await.unwrap();
    assert_eq!(gateway.ack_of(&alone.id).await, 3);

    // Now the receipt of each member raises the ack, so the gateway must process every receipt.
    gateway.set(json!({"group_acks": true})).await;
    assert!(!known(&in_group.id, delivered, other()));
    gateway
        .link()
        .member_receipt(&in_group.id, read, Sender::Number(number(SITI)))
        .await
        .unwrap();
    assert_eq!(gateway.ack_of(&in_group.id).await, 3);
}
