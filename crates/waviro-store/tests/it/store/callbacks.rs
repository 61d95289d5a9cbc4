//! The store's contract for callbacks.

use waviro_store::{AckUpdate, AttemptCause, AttemptFailure, Due, Lost, Store};
use waviro_testing::samples::START;

use super::{Channels, accept, apply_ack, attempt, callback, channels, posted, row, wire_id};

pub async fn keep_their_contract(store: &Store) {
    a_callback_is_one_row_and_goes_stage_by_stage(store).await;
    leased_rows_are_not_due_until_they_are_released(store).await;
    what_was_put_off_by_a_clock_ahead_of_todays_is_due_at_the_start(store).await;
    endpoint_queues_with_a_due_delivery_are_found(store).await;
    a_stage_given_up_stays_visible_and_the_next_revives_it(store).await;
    gone_is_final(store).await;
    pending_messages_are_reminded_of_once(store).await;
}

/// Stores a message with a callback and raises its ack to `level`.
async fn owed(store: &Store, channels: &mut Channels, bot_id: i32, id: u64, level: i8) -> Due {
    accept(
        store,
        channels,
        row(bot_id, id, "6281000001", &id.to_string(), true),
    )
    .await;
    apply_ack(store, channels, bot_id, id, AckUpdate::Reached(level)).await;
    channels.deliveries.recv().await.unwrap()
}

async fn lose(store: &Store, due: &Due, lost: Lost, error: &str) {
    let failure = AttemptFailure::new(AttemptCause::Unknown, error);
    let tried = attempt(Some(failure));
    store
        .lose_stage(due.id, callback(due), 1, lost, tried, START)
        .await
        .unwrap();
}

async fn a_callback_is_one_row_and_goes_stage_by_stage(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 13, 240, 1).await;
    assert_eq!(
        (
            callback(&due).stage,
            callback(&due).ack,
            callback(&due).next()
        ),
        (1, 1, Some(1))
    );
    // A new ack during an attempt updates the same row.
    apply_ack(store, &channels, 13, 240, AckUpdate::Reached(3)).await;
    assert!(channels.deliveries.try_recv().is_err());
    assert_eq!(posted(store, &due, 1).await, Some(3));
    assert_eq!(posted(store, &due, 2).await, Some(3));
    assert_eq!(posted(store, &due, 3).await, None);
    assert_eq!(store.open_delivery_count(), 0);
    // An ack after the end of the delivery creates a new row.
    let due = owed(store, &mut channels, 13, 241, 1).await;
    assert_eq!(posted(store, &due, 1).await, None);
    apply_ack(store, &channels, 13, 241, AckUpdate::Reached(2)).await;
    let due = channels.deliveries.recv().await.unwrap();
    assert_eq!((callback(&due).stage, callback(&due).ack), (2, 2));
    assert_eq!(posted(store, &due, 2).await, None);
}

async fn leased_rows_are_not_due_until_they_are_released(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 14, 250, 1).await;
    let endpoint = "http://one.example:80";
    assert!(
        store
            .claim(endpoint, 14, 10, START)
            .await
            .unwrap()
            .is_empty()
    );
    // Changing the clock beyond the lease makes no difference.
    let later = START + 100 * 3_600_000;
    assert!(
        store
            .claim(endpoint, 14, 10, later)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.due_queues(later).await.unwrap().is_empty());
    assert_eq!(store.release_all(START).await.unwrap(), 1);
    let claimed = store.claim(endpoint, 14, 10, START).await.unwrap();
    assert_eq!(claimed, std::slice::from_ref(&due));
    assert!(
        store
            .claim(endpoint, 14, 10, START)
            .await
            .unwrap()
            .is_empty()
    );
    store
        .put_off(
            &due,
            attempt(Some(AttemptFailure::status(500))),
            START + 5_000,
            false,
        )
        .await
        .unwrap();
    assert!(
        store
            .claim(endpoint, 14, 10, START + 4_999)
            .await
            .unwrap()
            .is_empty()
    );
    let claimed = store.claim(endpoint, 14, 10, START + 5_000).await.unwrap();
    assert_eq!(claimed[0].attempts, 1);
    store.release(vec![due.id], START + 5_000).await.unwrap();
    assert_eq!(
        store
            .claim(endpoint, 14, 10, START + 5_000)
            .await
            .unwrap()
            .len(),
        1
    );
    posted(store, &due, 1).await;
}

async fn what_was_put_off_by_a_clock_ahead_of_todays_is_due_at_the_start(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 14, 251, 1).await;
    let (endpoint, today) = ("http://one.example:80", START - 3_600_000);
    store
        .put_off(
            &due,
            attempt(Some(AttemptFailure::status(500))),
            START + 5_000,
            false,
        )
        .await
        .unwrap();
    // A recently failed delivery keeps waiting after a restart.
    assert_eq!(store.release_all(START + 1).await.unwrap(), 0);
    assert!(
        store
            .claim(endpoint, 14, 10, START + 4_999)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.release_all(today).await.unwrap(), 0);
    assert_eq!(store.claim(endpoint, 14, 10, today).await.unwrap().len(), 1);
    posted(store, &due, 1).await;
}

async fn endpoint_queues_with_a_due_delivery_are_found(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 15, 260, 1).await;
    assert!(store.due_queues(START).await.unwrap().is_empty());
    store
        .put_off(
            &due,
            attempt(Some(AttemptFailure::status(500))),
            START + 10,
            false,
        )
        .await
        .unwrap();
    assert!(store.due_queues(START + 9).await.unwrap().is_empty());
    assert_eq!(
        store.due_queues(START + 10).await.unwrap(),
        [("http://one.example:80".to_owned(), 15)]
    );
    posted(store, &due, 1).await;
    assert!(store.due_queues(START + 10).await.unwrap().is_empty());
}

async fn a_stage_given_up_stays_visible_and_the_next_revives_it(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 16, 270, 1).await;
    lose(store, &due, Lost::TableUsedUp, "status 500").await;
    assert!(store.due_queues(i64::MAX).await.unwrap().is_empty());
    let lost = (wire_id(270), "1".to_owned(), "status 500".to_owned());
    assert_eq!(store.given_up(10).await.unwrap(), [lost]);
    apply_ack(store, &channels, 16, 270, AckUpdate::Reached(2)).await;
    let due = channels.deliveries.recv().await.unwrap();
    assert_eq!(
        (callback(&due).stage, due.attempts, callback(&due).lossy),
        (2, 0, true)
    );
    // The delivery succeeds; the lost stage 1 stays in the list of given-up deliveries.
    assert_eq!(posted(store, &due, 2).await, None);
    assert_eq!(store.given_up(10).await.unwrap().len(), 1);
    assert_eq!(store.open_delivery_count(), 0);
    // If the next stage is already known, the delivery continues with the next stage.
    let due = owed(store, &mut channels, 16, 271, 2).await;
    lose(store, &due, Lost::TableUsedUp, "status 500").await;
    let next = store
        .claim("http://one.example:80", 16, 10, START)
        .await
        .unwrap();
    assert_eq!((callback(&next[0]).stage, next[0].attempts), (2, 0));
    posted(store, &next[0], 2).await;
}

async fn gone_is_final(store: &Store) {
    let mut channels = channels();
    let due = owed(store, &mut channels, 17, 280, 1).await;
    lose(store, &due, Lost::Gone, "status 410").await;
    apply_ack(store, &channels, 17, 280, AckUpdate::Reached(3)).await;
    assert!(channels.deliveries.try_recv().is_err());
    assert!(store.due_queues(i64::MAX).await.unwrap().is_empty());
}

async fn pending_messages_are_reminded_of_once(store: &Store) {
    let channels = channels();
    accept(store, &channels, row(18, 290, "6281000001", "a", true)).await;
    accept(store, &channels, row(18, 291, "6281000001", "b", false)).await;
    assert!(store.remind(START - 1, 10, START).await.unwrap().is_empty());
    let due = store.remind(START, 10, START).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (callback(&due[0]).message.clone(), callback(&due[0]).next()),
        (wire_id(290), Some(0))
    );
    assert!(store.remind(START, 10, START).await.unwrap().is_empty());
    apply_ack(store, &channels, 18, 290, AckUpdate::Reached(1)).await;
    assert_eq!(posted(store, &due[0], 0).await, Some(1));
    assert_eq!(posted(store, &due[0], 1).await, None);
}
