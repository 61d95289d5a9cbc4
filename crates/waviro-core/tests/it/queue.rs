//! A bot's queue: sending, resending, and the end of messages.

use std::time::Duration;

use proptest::prelude::*;
use waviro_link::fake::FakeConnector;
use waviro_link::{Identity, LinkError, OfflineCause, ReceiptLevel, Status, UnlinkedCause};
use waviro_store::MessageFailure;
use waviro_testing::engine::{Receiver, TestEngine, endpoint, until};
use waviro_testing::samples::{OWN, number};

const BUDI: &str = "6281300000001";

fn reconnecting() -> Status {
    Status::Reconnecting {
        cause: OfflineCause::Ended("the connection ended".to_owned()),
    }
}

fn logged_out() -> Status {
    Status::Unlinked(UnlinkedCause::LoggedOut("by the phone".to_owned()))
}

#[tokio::test]
async fn messages_to_one_chat_are_written_in_the_order_of_acceptance() {
    let gateway = TestEngine::online().await;
    let texts: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    gateway.accept(BUDI, "first").await.unwrap();
    for text in &texts {
        gateway.accept(BUDI, text).await.unwrap();
    }
    let wire = until(|| async { gateway.wire() }, |wire| wire.len() > texts.len()).await;
    assert_eq!(wire[1..], texts);
}

#[tokio::test]
async fn a_backlog_larger_than_memory_goes_out_whole_and_in_order() {
    let mut gateway = TestEngine::online().await;
    gateway.accept(BUDI, "first").await.unwrap();
    until(
        || async { gateway.engine.store.pending_count() },
        |count| *count == 0,
    )
    .await;
    gateway.link().set_status(reconnecting());
    let texts: Vec<String> = (0..700).map(|n| n.to_string()).collect();
    for text in &texts {
        gateway.accept(BUDI, text).await.unwrap();
    }
    gateway.link().set_status(Status::Online);
    let wire = until(|| async { gateway.wire() }, |wire| wire.len() > texts.len()).await;
    assert_eq!(wire[1..], texts);
    until(
        || async { gateway.engine.store.pending_count() },
        |count| *count == 0,
    )
    .await;
    // The same after a restart.
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    assert!(gateway.wire().is_empty());
}

#[tokio::test]
async fn a_restart_writes_only_what_is_unacked_and_under_the_same_id() {
    let mut gateway = TestEngine::online().await;
    let acked = gateway.accept(BUDI, "acked").await.unwrap();
    until(|| gateway.ack_of(&acked.id), |ack| *ack == 1).await;
    gateway.link().keep_silent();
    let unacked = gateway.accept(BUDI, "unacked").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 2).await;
    gateway.link().set_status(reconnecting());
    let unsent = gateway.accept(BUDI, "unsent").await.unwrap();
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    until(|| gateway.ack_of(&unsent.id), |ack| *ack == 1).await;
    let ids: Vec<_> = gateway
        .link()
        .sent()
        .into_iter()
        .map(|sent| sent.id)
        .collect();
    assert_eq!(
        gateway.link().sent_again(),
        std::slice::from_ref(&unacked.id)
    );
    assert_eq!(ids, [unacked.id, unsent.id]);
}

#[tokio::test]
async fn a_new_connection_writes_again_what_the_old_one_left_unacked() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let one = gateway.accept(BUDI, "satu").await.unwrap();
    let two = gateway.accept(BUDI, "dua").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 2).await;
    gateway.link().ack(&one.id).await;
    gateway.link().set_status(reconnecting());
    gateway.link().set_status(Status::Online);
    let wire = until(|| async { gateway.link().sent() }, |sent| sent.len() >= 3).await;
    assert_eq!((wire.len(), &wire[2].id), (3, &two.id));
    assert_eq!(gateway.link().sent_again(), [two.id]);
}

#[tokio::test]
async fn a_minute_of_silence_asks_for_a_fresh_connection() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway.pass(Duration::from_secs(59));
    tokio::task::yield_now().await;
    assert_eq!(gateway.link().reconnects(), 0);
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.link().reconnects()
        },
        |count| *count == 1,
    )
    .await;
    // The link reports no new connection. The message is resent under its id in any case.
    let wire = until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.link().sent()
        },
        |sent| sent.len() == 2,
    )
    .await;
    assert_eq!(wire[1].id, accepted.id);
}

#[tokio::test]
async fn an_offline_link_burns_no_attempt() {
    let gateway = TestEngine::online().await;
    gateway.link().fail_next_send(LinkError::Offline);
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.ack_of(&accepted.id).await
        },
        |ack| *ack == 1,
    )
    .await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_with_the_same_id() {
    let gateway = TestEngine::online().await;
    for error in [
        LinkError::TimedOut,
        LinkError::Failed("odd".to_owned()),
        LinkError::Store("locked".to_owned()),
    ] {
        let text = error.to_string();
        gateway.link().fail_next_send(error);
        let accepted = gateway.accept(BUDI, &text).await.unwrap();
        until(
            || async {
                gateway.pass(Duration::from_secs(1));
                gateway.ack_of(&accepted.id).await
            },
            |ack| *ack == 1,
        )
        .await;
    }
    assert_eq!(gateway.wire().len(), 3);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_for_a_day_expires() {
    let gateway = TestEngine::online().await;
    let first = gateway.accept(BUDI, "satu").await.unwrap();
    until(|| gateway.ack_of(&first.id), |ack| *ack == 1).await;
    gateway.link().set_status(reconnecting());
    let accepted = gateway.accept(BUDI, "dua").await.unwrap();
    gateway.pass(Duration::from_hours(24) - Duration::from_secs(1));
    assert_eq!(gateway.ack_of(&accepted.id).await, 0);
    gateway.pass(Duration::from_secs(2));
    until(|| gateway.ack_of(&accepted.id), |ack| *ack == -1).await;
    gateway.link().set_status(Status::Online);
    let row = gateway
        .engine
        .store
        .message(&accepted.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.failure, Some(MessageFailure::expired()));
}

#[tokio::test]
async fn a_clock_that_is_put_forward_ends_no_message_and_asks_for_no_connection() {
    let gateway = TestEngine::online().await;
    let first = gateway.accept(BUDI, "satu").await.unwrap();
    until(|| gateway.ack_of(&first.id), |ack| *ack == 1).await;
    gateway.link().keep_silent();
    let written = gateway.accept(BUDI, "dua").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 2).await;
    gateway.clock.put_forward(Duration::from_hours(48));
    // The lane checks its messages at every event.
    let after = gateway.accept(BUDI, "tiga").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 3).await;
    gateway.link().set_status(reconnecting());
    let waiting = gateway.accept(BUDI, "empat").await.unwrap();
    gateway.pass(Duration::from_secs(50));
    for accepted in [&written, &after, &waiting] {
        assert_eq!(gateway.ack_of(&accepted.id).await, 0);
    }
    assert_eq!(gateway.link().reconnects(), 0);
    // A real day on the clock ends the messages.
    gateway.pass(Duration::from_hours(24));
    for accepted in [&written, &after, &waiting] {
        until(|| gateway.ack_of(&accepted.id), |ack| *ack == -1).await;
    }
}

#[tokio::test]
async fn a_logout_ends_the_queue_with_one_minus_one_each_and_nothing_goes_out_after_a_relink() {
    let (receiver, address) = Receiver::start().await;
    let gateway = TestEngine::online().await;
    gateway.accept(BUDI, "first").await.unwrap();
    until(
        || async { gateway.engine.store.pending_count() },
        |count| *count == 0,
    )
    .await;
    gateway.link().set_status(reconnecting());
    for n in 0..1200 {
        gateway
            .accept_with(BUDI, &n.to_string(), &endpoint(address, "a"))
            .await;
    }
    gateway.link().set_status(logged_out());
    receiver.wait_for("a", 1200).await;
    gateway.link().scan(Identity {
        number: number(OWN),
        name: "Toko".to_owned(),
    });
    let after = gateway.accept(BUDI, "after").await.unwrap();
    until(|| gateway.ack_of(&after.id), |ack| *ack == 1).await;
    assert_eq!(gateway.wire(), ["first", "after"]);
    let arrived = receiver.arrived("a");
    let ids: std::collections::HashSet<_> = arrived.iter().map(|(id, _)| id).collect();
    assert!(arrived.iter().all(|(_, ack)| *ack == -1));
    assert_eq!((arrived.len(), ids.len()), (1200, 1200));
}

#[tokio::test]
async fn a_queue_whose_device_is_gone_at_the_start_ends_too() {
    let mut gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    gateway.crash_and_restart(FakeConnector::unlinked()).await;
    until(|| gateway.ack_of(&accepted.id), |ack| *ack == -1).await;
}

#[tokio::test]
async fn a_receipt_before_the_server_ack_says_all_that_it_implies() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway
        .link()
        .receipt(&accepted.id, ReceiptLevel::Delivered)
        .await
        .unwrap();
    assert_eq!(gateway.ack_of(&accepted.id).await, 2);
    gateway.link().set_status(reconnecting());
    gateway.link().set_status(Status::Online);
    gateway.link().ack(&accepted.id).await;
    let next = gateway.accept(BUDI, "lain").await.unwrap();
    until(
        || async { gateway.wire() },
        |wire| wire.last().is_some_and(|text| text == "lain"),
    )
    .await;
    assert_eq!(
        (gateway.ack_of(&accepted.id).await, gateway.wire().len()),
        (2, 2)
    );
    assert_eq!(gateway.ack_of(&next.id).await, 0);
}

#[tokio::test]
async fn a_receipt_that_is_not_durable_stays_with_whatsapp() {
    let gateway = TestEngine::online().await;
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    gateway.engine.store.close().await;
    assert!(
        gateway
            .link()
            .receipt(&accepted.id, ReceiptLevel::Read)
            .await
            .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn acks_and_receipts_in_any_order_are_posted_as_one_two_three(
        order in Just(vec![1_u8, 2, 3]).prop_shuffle()
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (receiver, address) = Receiver::start().await;
            let gateway = TestEngine::online().await;
            gateway.link().keep_silent();
            let accepted = gateway.accept_with(BUDI, "halo", &endpoint(address, "a")).await;
            until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
            for report in order {
                match report {
                    1 => gateway.link().ack(&accepted.id).await,
                    2 => gateway.link().receipt(&accepted.id, ReceiptLevel::Delivered).await.unwrap(),
                    _ => gateway.link().receipt(&accepted.id, ReceiptLevel::Read).await.unwrap(),
                }
            }
            assert_eq!(receiver.wait_for("a", 3).await, [1, 2, 3]);
        });
    }
}
