//! Accepting messages: the refusals, and the number of lookups.

use std::time::Duration;

use waviro_core::outbox::Refusal;
use waviro_link::fake::FakeConnector;
use waviro_link::{LinkError, OfflineCause, Status, UnlinkedCause};
use waviro_store::MessageCause;
use waviro_testing::engine::{TestEngine, message, until};
use waviro_testing::samples::{OWN, number};

const BUDI: &str = "6281300000001";

fn reconnecting() -> Status {
    Status::Reconnecting {
        cause: OfflineCause::Ended("the connection ended".to_owned()),
    }
}

#[tokio::test]
async fn an_accepted_message_is_durable_and_goes_out_under_its_id() {
    let gateway = TestEngine::online().await;
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    assert_eq!(accepted.from, number(OWN));
    assert_eq!(accepted.to.address(), format!("{BUDI}@c.us"));
    until(|| gateway.ack_of(&accepted.id), |ack| *ack == 1).await;
    let sent = gateway.link().sent();
    assert_eq!((sent.len(), &sent[0].id), (1, &accepted.id));
}

#[tokio::test]
async fn the_same_text_twice_running_is_refused_and_names_the_first() {
    let gateway = TestEngine::online().await;
    let first = gateway.accept(BUDI, "halo").await.unwrap();
    let second = gateway.accept(BUDI, "halo").await;
    assert!(matches!(second, Err(Refusal::Duplicate { of }) if of == first.id));
    gateway.accept(BUDI, "lain").await.unwrap();
    gateway.accept(BUDI, "halo").await.unwrap();
}

#[tokio::test]
async fn of_two_equal_requests_at_once_exactly_one_wins() {
    let gateway = TestEngine::online().await;
    let requests = (0..16).map(|_| gateway.accept(BUDI, "halo"));
    let outcomes = futures::future::join_all(requests).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(gateway.link().lookups(), 1);
}

#[tokio::test]
async fn a_message_that_ended_in_error_is_no_duplicate() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let first = gateway.accept(BUDI, "halo").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway.link().nack(&first.id, "463").await;
    assert_eq!(gateway.ack_of(&first.id).await, -1);
    gateway.accept(BUDI, "halo").await.unwrap();
}

#[tokio::test]
async fn an_unregistered_number_is_refused_and_leaves_no_row() {
    let gateway = TestEngine::online().await;
    gateway.link().unregister(number(BUDI));
    assert!(matches!(
        gateway.accept(BUDI, "halo").await,
        Err(Refusal::NotRegistered)
    ));
    assert_eq!(gateway.engine.store.pending_count(), 0);
    assert!(gateway.wire().is_empty());
}

#[tokio::test]
async fn a_known_number_costs_no_lookup_even_after_a_restart() {
    let mut gateway = TestEngine::online().await;
    gateway.accept(BUDI, "satu").await.unwrap();
    gateway.accept(BUDI, "dua").await.unwrap();
    assert_eq!(gateway.link().lookups(), 1);
    gateway
        .crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    gateway.accept(BUDI, "tiga").await.unwrap();
    assert_eq!(gateway.link().lookups(), 0);
}

#[tokio::test]
async fn what_is_known_of_a_number_grows_old() {
    let gateway = TestEngine::online().await;
    let first = gateway.accept(BUDI, "satu").await.unwrap();
    until(|| gateway.ack_of(&first.id), |ack| *ack == 1).await;
    gateway.pass(Duration::from_hours(7 * 24 + 1));
    gateway.accept(BUDI, "dua").await.unwrap();
    assert_eq!(gateway.link().lookups(), 2);
    gateway.link().unregister(number("6281300000002"));
    for (minutes, lookups) in [(0, 3), (9, 3), (2, 4)] {
        gateway.pass(Duration::from_mins(minutes));
        let registered = gateway
            .engine
            .outbox
            .is_registered(&gateway.bot, &number("6281300000002"))
            .await;
        assert!(!registered.unwrap());
        assert_eq!(gateway.link().lookups(), lookups);
    }
}

#[tokio::test]
async fn a_number_that_whatsapp_says_is_gone_is_looked_up_again() {
    let gateway = TestEngine::online().await;
    gateway.link().keep_silent();
    let first = gateway.accept(BUDI, "satu").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 1).await;
    gateway.link().nack(&first.id, "404").await;
    gateway.accept(BUDI, "dua").await.unwrap();
    assert_eq!(gateway.link().lookups(), 2);
    until(|| async { gateway.wire() }, |wire| wire.len() == 2).await;
    // Other refusals concern the account or the message, so another lookup would not help.
    let third = gateway.accept(BUDI, "tiga").await.unwrap();
    until(|| async { gateway.wire() }, |wire| wire.len() == 3).await;
    gateway.link().nack(&third.id, "463").await;
    gateway.accept(BUDI, "empat").await.unwrap();
    assert_eq!(gateway.link().lookups(), 2);
}

#[tokio::test]
async fn a_bot_without_a_device_accepts_nothing() {
    let gateway = TestEngine::over(FakeConnector::unlinked()).await;
    let refused = gateway.accept(BUDI, "halo").await;
    assert!(matches!(
        refused,
        Err(Refusal::NotConnected(Status::Unlinked(
            UnlinkedCause::Never
        )))
    ));
    let refused = gateway
        .engine
        .outbox
        .is_registered(&gateway.bot, &number(BUDI))
        .await;
    assert!(matches!(refused, Err(Refusal::NotConnected(_))));
}

#[tokio::test]
async fn a_shut_device_accepts_nothing_at_once() {
    let gateway = TestEngine::online().await;
    gateway.accept(BUDI, "halo").await.unwrap();
    for status in [
        Status::Unlinked(UnlinkedCause::LoggedOut("by the phone".to_owned())),
        Status::Banned {
            reason: "spam".to_owned(),
            until: None,
        },
        Status::Replaced,
        Status::ClientOutdated,
    ] {
        gateway.link().set_status(status.clone());
        let refused = gateway.accept(BUDI, "lain").await;
        assert!(matches!(refused, Err(Refusal::NotConnected(reported)) if reported == status));
    }
}

#[tokio::test]
async fn a_reconnecting_bot_queues_within_the_grace_time_and_refuses_after() {
    let gateway = TestEngine::online().await;
    let first = gateway.accept(BUDI, "satu").await.unwrap();
    until(|| gateway.ack_of(&first.id), |ack| *ack == 1).await;
    gateway.pass(Duration::from_mins(5));
    gateway.link().set_status(reconnecting());
    gateway.pass(Duration::from_mins(1));
    let queued = gateway.accept(BUDI, "dua").await.unwrap();
    gateway.pass(Duration::from_secs(1));
    assert!(matches!(
        gateway.accept(BUDI, "tiga").await,
        Err(Refusal::NotConnected(_))
    ));
    gateway.link().set_status(Status::Online);
    // The clock must advance: the first write may have passed its deadline before returning, and
    // its chat then waits.
    until(
        || async {
            gateway.pass(Duration::from_secs(1));
            gateway.ack_of(&queued.id).await
        },
        |ack| *ack == 1,
    )
    .await;
    gateway.accept(BUDI, "empat").await.unwrap();
}

#[tokio::test]
async fn an_unknown_number_waits_for_a_reconnecting_link() {
    let gateway = TestEngine::online().await;
    gateway.link().set_status(reconnecting());
    let (accepted, ()) = tokio::join!(gateway.accept(BUDI, "halo"), async {
        tokio::task::yield_now().await;
        gateway.link().set_status(Status::Online);
    });
    accepted.unwrap();
}

#[tokio::test]
async fn an_unknown_number_is_refused_where_the_link_stays_away() {
    let gateway = TestEngine::online().await;
    gateway.link().set_status(reconnecting());
    let passing = async {
        loop {
            gateway.pass(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::select! {
        refused = gateway.accept(BUDI, "halo") => refused,
        () = passing => unreachable!(),
    };
    assert!(matches!(
        refused,
        Err(Refusal::NotConnected(Status::Reconnecting { .. }))
    ));
}

#[tokio::test]
async fn a_refusal_by_the_link_ends_the_message_with_its_cause() {
    let gateway = TestEngine::online().await;
    gateway
        .link()
        .fail_next_send(LinkError::Refused("no such thing".to_owned()));
    let accepted = gateway.accept(BUDI, "halo").await.unwrap();
    until(|| gateway.ack_of(&accepted.id), |ack| *ack == -1).await;
    let row = gateway
        .engine
        .store
        .message(&accepted.id)
        .await
        .unwrap()
        .unwrap();
    let failure = row.failure.unwrap();
    assert_eq!(failure.text, "refused: no such thing");
    assert_eq!(failure.cause, MessageCause::Unsendable);
}

#[tokio::test]
async fn a_closed_database_refuses_and_sends_nothing() {
    let gateway = TestEngine::online().await;
    gateway.engine.store.close().await;
    let refused = gateway
        .engine
        .outbox
        .accept(&gateway.bot, message(BUDI, "halo", None))
        .await;
    assert!(matches!(refused, Err(Refusal::Storage(_))));
    assert!(gateway.wire().is_empty());
}
