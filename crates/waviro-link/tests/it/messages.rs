//! Outgoing messages and receipts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wa_sim::InboxMessage;
use waviro_link::{Chat, Connector, InboundKind, Listener, Nack, ReceiptLevel, Sender, Verdict};

use crate::{CUSTOMER, OWNER, PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_arrives_under_our_id_and_its_fate_comes_back() {
    let world = World::linked().await;
    world.send("3EB00000000000000001", "halo").await;
    assert_eq!(
        verdict(&world, "3EB00000000000000001").await,
        Verdict::Accepted
    );
    for level in [ReceiptLevel::Delivered, ReceiptLevel::Read] {
        let receipt = world
            .recorder
            .wait("a receipt", |reports| {
                reports.receipts.iter().find(|r| r.level == level).cloned()
            })
            .await;
        assert_eq!(receipt.ids[0].as_str(), "3EB00000000000000001");
    }
    let inbox = world.customer.inbox().await;
    assert_eq!(
        (inbox[0].id.as_str(), inbox[0].text.as_str()),
        ("3EB00000000000000001", "halo")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_server_carries_its_code() {
    let world = World::linked().await;
    world.sim.faults().nack_next(1, 463);
    world.send("3EB00000000000000002", "halo").await;
    let refused = Verdict::Refused(Nack::FirstMessage);
    assert_eq!(verdict(&world, "3EB00000000000000002").await, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_writes_comes_with_their_phone_number() {
    let world = World::linked().await;
    let id = world
        .customer
        .send_text(OWNER, "apakah buka?")
        .await
        .unwrap();
    let message = world
        .recorder
        .wait("the message", |reports| reports.inbound.first().cloned())
        .await;
    assert_eq!(message.id.as_str(), id);
    assert_eq!(message.kind, InboundKind::Text("apakah buka?".to_owned()));
    assert_eq!(message.sender, Sender::Number(CUSTOMER.parse().unwrap()));
    assert_eq!(message.chat, Chat::Person(CUSTOMER.parse().unwrap()));
    assert_eq!(message.push_name, "Ani");
    assert!(!message.from_me);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_committed_comes_again() {
    let world = World::linked().await;
    world.recorder.refuse_inbound.store(1, Ordering::SeqCst);
    let id = world
        .customer
        .send_text(OWNER, "jangan hilang")
        .await
        .unwrap();
    world
        .recorder
        .wait("the refusal", |_| {
            (world.recorder.refuse_inbound.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    world.link.reconnect().await;
    let message = world
        .recorder
        .wait("the message", |reports| reports.inbound.first().cloned())
        .await;
    assert_eq!(message.id.as_str(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_was_not_committed_comes_again() {
    let world = World::linked().await;
    world.customer.set_receipts(wa_sim::Receipts::Delivered);
    world.recorder.refuse_receipts.store(1, Ordering::SeqCst);
    world.send("3EB00000000000000003", "halo").await;
    let receipt = world
        .recorder
        .wait("the receipt", |reports| reports.receipts.first().cloned())
        .await;
    assert_eq!(receipt.level, ReceiptLevel::Delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_link_was_down_comes_when_it_is_up() {
    let world = World::linked().await;
    world.link.close(Duration::from_secs(5)).await;
    let id = world
        .customer
        .send_text(OWNER, "malam-malam")
        .await
        .unwrap();
    let recorder = std::sync::Arc::<crate::Recorder>::default();
    let listener = std::sync::Arc::clone(&recorder) as std::sync::Arc<dyn waviro_link::Listener>;
    let _link = waviro_link::Connector::open(&world.whatsapp, 1, listener)
        .await
        .unwrap();
    let message = recorder
        .wait("the message", |reports| reports.inbound.first().cloned())
        .await;
    assert_eq!(message.id.as_str(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_groups_are_looked_up() {
    let world = World::linked().await;
    assert!(
        world
            .link
            .is_registered(&CUSTOMER.parse().unwrap())
            .await
            .unwrap()
    );
    assert!(
        !world
            .link
            .is_registered(&"6281399999999".parse().unwrap())
            .await
            .unwrap()
    );
    let made = world.sim.create_group("Keluarga", OWNER, &[CUSTOMER]).await;
    let groups = world.link.groups().await.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].id.as_str(), made.id());
    assert_eq!(groups[0].name, "Keluarga");
}

/// Waits for the server ack of a message.
async fn verdict(world: &World, id: &str) -> Verdict {
    let ack = |reports: &crate::Reports| {
        reports
            .acks
            .iter()
            .find(|ack| ack.id.as_str() == id)
            .cloned()
    };
    world.recorder.wait("the server's word", ack).await.verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_a_restart_is_sent_again_to_who_could_not_read_it() {
    let world = World::linked().await;
    world.customer.set_online(false);
    let id = "3EB00000000000000009";
    world.send(id, "besok buka").await;
    assert_eq!(verdict(&world, id).await, Verdict::Accepted);
    world.link.close(Duration::from_secs(5)).await;
    world.sim.faults().fail_decrypts(1);
    world.customer.set_online(true);
    let listener = Arc::clone(&world.recorder) as Arc<dyn Listener>;
    let _link = world.whatsapp.open(1, listener).await.unwrap();
    let same = |shown: &InboxMessage| shown.id == id;
    world.customer.wait_for(PATIENCE, same).await.unwrap();
}
