//! The duplicate rule.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use waviro_link::{MessageId, Nack};
use waviro_store::{Accepting, AckUpdate, MessageFailure, Store};

use super::{accept, apply_ack, channels, row, wire_id};

pub async fn are_refused(store: &Store) {
    the_same_content_right_after_is_a_duplicate(store).await;
    what_ended_in_minus_one_is_no_duplicate(store).await;
    of_parallel_twins_exactly_one_wins(store).await;
    in_a_crowd_the_duplicate_rule_holds_as_if_one_came_after_the_other(store).await;
}

async fn the_same_content_right_after_is_a_duplicate(store: &Store) {
    let channels = channels();
    let taken = Accepting::Taken;
    assert_eq!(
        accept(store, &channels, row(2, 1, "6281000001", "a", false)).await,
        taken
    );
    let repeat = accept(store, &channels, row(2, 2, "6281000001", "a", false)).await;
    assert_eq!(repeat, Accepting::Duplicate { of: wire_id(1) });
    assert!(store.message(&wire_id(2)).await.unwrap().is_none());
    // Another chat, another bot and another text are no duplicates, and afterwards the first text
    // is no duplicate either.
    assert_eq!(
        accept(store, &channels, row(2, 3, "6281000002", "a", false)).await,
        taken
    );
    assert_eq!(
        accept(store, &channels, row(3, 4, "6281000001", "a", false)).await,
        taken
    );
    assert_eq!(
        accept(store, &channels, row(2, 5, "6281000001", "b", false)).await,
        taken
    );
    assert_eq!(
        accept(store, &channels, row(2, 6, "6281000001", "a", false)).await,
        taken
    );
}

async fn what_ended_in_minus_one_is_no_duplicate(store: &Store) {
    let channels = channels();
    accept(store, &channels, row(4, 40, "6281000001", "a", false)).await;
    apply_ack(
        store,
        &channels,
        4,
        40,
        AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage)),
    )
    .await;
    assert_eq!(
        accept(store, &channels, row(4, 41, "6281000001", "a", false)).await,
        Accepting::Taken
    );
    accept(store, &channels, row(4, 42, "6281000001", "b", false)).await;
    apply_ack(
        store,
        &channels,
        4,
        42,
        AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage)),
    )
    .await;
    let repeat = accept(store, &channels, row(4, 43, "6281000001", "a", false)).await;
    assert_eq!(repeat, Accepting::Duplicate { of: wire_id(41) });
}

async fn of_parallel_twins_exactly_one_wins(store: &Store) {
    let channels = channels();
    let twins = (50..70).map(|id| accept(store, &channels, row(5, id, "6281000001", "a", false)));
    let outcomes = futures::future::join_all(twins).await;
    let taken = outcomes
        .iter()
        .filter(|outcome| **outcome == Accepting::Taken)
        .count();
    assert_eq!(
        (taken, store.pending(5, 0, 100).await.unwrap().len()),
        (1, 1)
    );
}

/// Compares the rule for batches of many sizes with a simple implementation of the duplicate rule.
async fn in_a_crowd_the_duplicate_rule_holds_as_if_one_came_after_the_other(store: &Store) {
    let channels = channels();
    let mut dice = StdRng::seed_from_u64(20);
    let mut last: HashMap<String, (String, MessageId)> = HashMap::new();
    let mut ids = 2_000_000..;
    for _ in 0..60 {
        let offered: Vec<(u64, String, String)> = (0..dice.random_range(1..10))
            .map(|_| {
                let chat = format!("628100000{}", dice.random_range(0..3));
                (
                    ids.next().unwrap(),
                    chat,
                    format!("text {}", dice.random_range(0..2)),
                )
            })
            .collect();
        let expected: Vec<Accepting> = offered
            .iter()
            .map(|(id, chat, text)| match last.get(chat) {
                Some((before, of)) if before == text => Accepting::Duplicate { of: of.clone() },
                _ => {
                    last.insert(chat.clone(), (text.clone(), wire_id(*id)));
                    Accepting::Taken
                }
            })
            .collect();
        let accepts = offered
            .iter()
            .map(|(id, chat, text)| accept(store, &channels, row(20, *id, chat, text, false)));
        assert_eq!(
            futures::future::join_all(accepts).await,
            expected,
            "{offered:?}"
        );
    }
    let taken = store.pending(20, 0, 1000).await.unwrap();
    assert!(
        taken.is_sorted_by_key(|queued| &queued.message.id),
        "in order of acceptance"
    );
}
