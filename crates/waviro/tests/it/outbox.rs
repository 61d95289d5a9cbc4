//! Accepting messages: the refusals, and the number of lookups.

use std::time::Duration;

use waviro::outbox::Refusal;
use waviro_link::fake::FakeConnector;
use waviro_link::{LinkError, OfflineCause, Status, UnlinkedCause};

use crate::engine::{OWN, Rig, message, number, until};

const BUDI: &str = "6281300000001";

fn reconnecting() -> Status {
    Status::Reconnecting {
        cause: OfflineCause::Ended("the connection ended".to_owned()),
    }
}

#[tokio::test]
async fn an_accepted_message_is_durable_and_goes_out_under_its_id() {
    let rig = Rig::online().await;
    let accepted = rig.accept(BUDI, "halo").await.unwrap();
    assert_eq!(accepted.from, number(OWN));
    assert_eq!(accepted.to.address(), format!("{BUDI}@c.us"));
    until(|| rig.ack_of(&accepted.id), |ack| *ack == 1).await;
    let sent = rig.link().sent();
    assert_eq!((sent.len(), &sent[0].id), (1, &accepted.id));
}

#[tokio::test]
async fn the_same_text_twice_running_is_refused_and_names_the_first() {
    let rig = Rig::online().await;
    let first = rig.accept(BUDI, "halo").await.unwrap();
    let second = rig.accept(BUDI, "halo").await;
    assert!(matches!(second, Err(Refusal::Duplicate { of }) if of == first.id));
    rig.accept(BUDI, "lain").await.unwrap();
    rig.accept(BUDI, "halo").await.unwrap();
}

#[tokio::test]
async fn of_two_equal_requests_at_once_exactly_one_wins() {
    let rig = Rig::online().await;
    let requests = (0..16).map(|_| rig.accept(BUDI, "halo"));
    let outcomes = futures::future::join_all(requests).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(rig.link().lookups(), 1);
}

#[tokio::test]
async fn a_message_that_ended_in_error_is_no_duplicate() {
    let rig = Rig::online().await;
    rig.link().keep_silent();
    let first = rig.accept(BUDI, "halo").await.unwrap();
    until(|| async { rig.wire() }, |wire| wire.len() == 1).await;
    rig.link().nack(&first.id, "463").await;
    assert_eq!(rig.ack_of(&first.id).await, -1);
    rig.accept(BUDI, "halo").await.unwrap();
}

#[tokio::test]
async fn an_unregistered_number_is_refused_and_leaves_no_row() {
    let rig = Rig::online().await;
    rig.link().unregister(number(BUDI));
    assert!(matches!(
        rig.accept(BUDI, "halo").await,
        Err(Refusal::NotRegistered)
    ));
    assert_eq!(rig.engine.store.pending_count(), 0);
    assert!(rig.wire().is_empty());
}

#[tokio::test]
async fn a_known_number_costs_no_lookup_even_after_a_restart() {
    let mut rig = Rig::online().await;
    rig.accept(BUDI, "satu").await.unwrap();
    rig.accept(BUDI, "dua").await.unwrap();
    assert_eq!(rig.link().lookups(), 1);
    rig.crash_and_restart(FakeConnector::online(number(OWN)))
        .await;
    rig.accept(BUDI, "tiga").await.unwrap();
    assert_eq!(rig.link().lookups(), 0);
}

#[tokio::test]
async fn what_is_known_of_a_number_grows_old() {
    let rig = Rig::online().await;
    let first = rig.accept(BUDI, "satu").await.unwrap();
    until(|| rig.ack_of(&first.id), |ack| *ack == 1).await;
    rig.pass(Duration::from_hours(7 * 24 + 1));
    rig.accept(BUDI, "dua").await.unwrap();
    assert_eq!(rig.link().lookups(), 2);
    rig.link().unregister(number("6281300000002"));
    for (minutes, lookups) in [(0, 3), (9, 3), (2, 4)] {
        rig.pass(Duration::from_mins(minutes));
        let registered = rig
            .engine
            .outbox
            .is_registered(&rig.bot, &number("6281300000002"))
            .await;
        assert!(!registered.unwrap());
        assert_eq!(rig.link().lookups(), lookups);
    }
}

#[tokio::test]
async fn a_number_that_whatsapp_says_is_gone_is_looked_up_again() {
    let rig = Rig::online().await;
    rig.link().keep_silent();
    let first = rig.accept(BUDI, "satu").await.unwrap();
    until(|| async { rig.wire() }, |wire| wire.len() == 1).await;
    rig.link().nack(&first.id, "404").await;
    rig.accept(BUDI, "dua").await.unwrap();
    assert_eq!(rig.link().lookups(), 2);
    until(|| async { rig.wire() }, |wire| wire.len() == 2).await;
    // Other refusals concern the account or the message, so another lookup would not help.
    let third = rig.accept(BUDI, "tiga").await.unwrap();
    until(|| async { rig.wire() }, |wire| wire.len() == 3).await;
    rig.link().nack(&third.id, "463").await;
    rig.accept(BUDI, "empat").await.unwrap();
    assert_eq!(rig.link().lookups(), 2);
}

#[tokio::test]
async fn a_bot_without_a_device_accepts_nothing() {
    let rig = Rig::over(FakeConnector::unlinked()).await;
    let refused = rig.accept(BUDI, "halo").await;
    assert!(matches!(
        refused,
        Err(Refusal::NotConnected(Status::Unlinked(
            UnlinkedCause::Never
        )))
    ));
    let refused = rig
        .engine
        .outbox
        .is_registered(&rig.bot, &number(BUDI))
        .await;
    assert!(matches!(refused, Err(Refusal::NotConnected(_))));
}

#[tokio::test]
async fn a_shut_device_accepts_nothing_at_once() {
    let rig = Rig::online().await;
    rig.accept(BUDI, "halo").await.unwrap();
    for status in [
        Status::Unlinked(UnlinkedCause::LoggedOut("by the phone".to_owned())),
        Status::Banned {
            reason: "spam".to_owned(),
            until: None,
        },
        Status::Replaced,
        Status::ClientOutdated,
    ] {
        rig.link().set_status(status.clone());
        let refused = rig.accept(BUDI, "lain").await;
        assert!(matches!(refused, Err(Refusal::NotConnected(told)) if told == status));
    }
}

#[tokio::test]
async fn a_reconnecting_bot_queues_within_the_grace_time_and_refuses_after() {
    let rig = Rig::online().await;
    let first = rig.accept(BUDI, "satu").await.unwrap();
    until(|| rig.ack_of(&first.id), |ack| *ack == 1).await;
    rig.pass(Duration::from_mins(5));
    rig.link().set_status(reconnecting());
    rig.pass(Duration::from_mins(1));
    let queued = rig.accept(BUDI, "dua").await.unwrap();
    rig.pass(Duration::from_secs(1));
    assert!(matches!(
        rig.accept(BUDI, "tiga").await,
        Err(Refusal::NotConnected(_))
    ));
    rig.link().set_status(Status::Online);
    // The clock must advance: the first write may have passed its deadline before returning, and
    // its chat then waits.
    until(
        || async {
            rig.pass(Duration::from_secs(1));
            rig.ack_of(&queued.id).await
        },
        |ack| *ack == 1,
    )
    .await;
    rig.accept(BUDI, "empat").await.unwrap();
}

#[tokio::test]
async fn an_unknown_number_waits_for_a_reconnecting_link() {
    let rig = Rig::online().await;
    rig.link().set_status(reconnecting());
    let (accepted, ()) = tokio::join!(rig.accept(BUDI, "halo"), async {
        tokio::task::yield_now().await;
        rig.link().set_status(Status::Online);
    });
    accepted.unwrap();
}

#[tokio::test]
async fn an_unknown_number_is_refused_where_the_link_stays_away() {
    let rig = Rig::online().await;
    rig.link().set_status(reconnecting());
    let passing = async {
        loop {
            rig.pass(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::select! {
        refused = rig.accept(BUDI, "halo") => refused,
        () = passing => unreachable!(),
    };
    assert!(matches!(
        refused,
        Err(Refusal::NotConnected(Status::Reconnecting { .. }))
    ));
}

#[tokio::test]
async fn a_refusal_by_the_link_ends_the_message_with_its_cause() {
    let rig = Rig::online().await;
    rig.link()
        .fail_next_send(LinkError::Refused("no such thing".to_owned()));
    let accepted = rig.accept(BUDI, "halo").await.unwrap();
    until(|| rig.ack_of(&accepted.id), |ack| *ack == -1).await;
    let row = rig
        .engine
        .store
        .message(&accepted.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.cause.as_deref(), Some("refused: no such thing"));
}

#[tokio::test]
async fn a_closed_database_refuses_and_sends_nothing() {
    let rig = Rig::online().await;
    rig.engine.store.close().await;
    let refused = rig
        .engine
        .outbox
        .accept(&rig.bot, message(BUDI, "halo", None))
        .await;
    assert!(matches!(refused, Err(Refusal::Storage(_))));
    assert!(rig.wire().is_empty());
}
