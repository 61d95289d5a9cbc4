//! Stored answers for idempotency keys: stored with the message or not at all.

use waviro_store::{Accepting, KeepingAnswer, KeptAnswer, NewMessageRow, Store, StoreError};
use waviro_testing::samples::START;

use super::{Channels, accept, channels, row, wire_id};

pub async fn keeps_its_contract(store: &Store) {
    a_message_and_its_answer_come_together_or_not_at_all(store).await;
    of_parallel_twins_one_is_accepted_and_the_others_hear_its_answer(store).await;
    removed_responses_free_space_for_new_ones(store).await;
    what_the_answers_of_a_caller_take_is_counted_and_its_oldest_go_first(store).await;
}

fn keeping(id: &str, answer: &str) -> KeepingAnswer {
    KeepingAnswer {
        id: id.to_owned(),
        caller: "bot 60".to_owned(),
        most: i64::MAX,
        kept: KeptAnswer {
            request_sha256: "hash".to_owned(),
            status: 200,
            answer: answer.to_owned(),
        },
        at: START,
        since: START - 1000,
    }
}

async fn once(
    store: &Store,
    channels: &Channels,
    row: NewMessageRow,
    keeping: KeepingAnswer,
) -> Result<Accepting, StoreError> {
    let lane = channels.feeds.lane.clone();
    store.accept(row, Some(keeping), lane).await
}

async fn a_message_and_its_answer_come_together_or_not_at_all(store: &Store) {
    let channels = channels();
    let first = row(60, 88_6000, "6281000001", "a", false);
    let taken = once(store, &channels, first, keeping("one", "the first")).await;
    assert_eq!(taken.unwrap(), Accepting::Taken);
    let kept = store.kept("one", START).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.answer.as_str()), (200, "the first"));
    // The repeated request gets the stored answer without the duplicate rule.
    let again = row(60, 88_6001, "6281000001", "a", false);
    let before = once(store, &channels, again, keeping("one", "the second")).await;
    assert_eq!(before.unwrap(), Accepting::Before(kept));
    assert!(store.message(&wire_id(88_6001)).await.unwrap().is_none());
    // A duplicate and a used id store neither a message nor an answer.
    let repeat = row(60, 88_6002, "6281000001", "a", false);
    let refused = once(store, &channels, repeat, keeping("two", "no")).await;
    assert_eq!(
        refused.unwrap(),
        Accepting::Duplicate {
            of: wire_id(88_6000)
        }
    );
    let taken = row(60, 88_6000, "6281000001", "b", false);
    let refused = once(store, &channels, taken, keeping("two", "no")).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))));
    assert_eq!(store.kept("two", 0).await.unwrap(), None);
    // Requests without a key share the batch as before, and the lane gets all messages in order.
    let mixed = futures::future::join_all((0..20_u64).map(|n| {
        let (channels, row) = (
            &channels,
            row(61, 88_6100 + n, "6281000001", &n.to_string(), false),
        );
        async move {
            if n % 3 == 0 {
                once(store, channels, row, keeping(&format!("mixed {n}"), ""))
                    .await
                    .unwrap()
            } else {
                accept(store, channels, row).await
            }
        }
    }));
    assert!(mixed.await.iter().all(|taken| *taken == Accepting::Taken));
    let mut seqs = Vec::new();
    let mut lane = channels.lane;
    while let Ok(waviro_store::Committed::Accepted(queued)) = lane.try_recv() {
        seqs.push(queued.seq);
    }
    assert!(seqs.len() == 21 && seqs.is_sorted(), "{seqs:?}");
}

async fn of_parallel_twins_one_is_accepted_and_the_others_hear_its_answer(store: &Store) {
    let channels = channels();
    let twins = (0..10_u64).map(|n| {
        let row = row(62, 88_6200 + n, "6281000001", &n.to_string(), false);
        once(store, &channels, row, keeping("twins", &n.to_string()))
    });
    let outcomes = futures::future::join_all(twins).await;
    let taken = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Accepting::Taken)));
    assert_eq!(taken.count(), 1);
    let kept = store.kept("twins", START).await.unwrap().unwrap();
    let before = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Accepting::Before(first)) if *first == kept));
    assert_eq!(before.count(), 9);
    assert_eq!(store.pending(62, 0, 100).await.unwrap().len(), 1);
}

async fn removed_responses_free_space_for_new_ones(store: &Store) {
    store.keep(keeping("old", "first")).await.unwrap();
    store.keep(keeping("old", "second")).await.unwrap();
    assert_eq!(
        store.kept("old", START).await.unwrap().unwrap().answer,
        "second"
    );
    assert_eq!(store.kept("old", START + 1).await.unwrap(), None);
    let later = KeepingAnswer {
        at: START + 5000,
        since: START + 4000,
        ..keeping("old", "third")
    };
    store.keep(later).await.unwrap();
    assert_eq!(
        store.kept("old", START).await.unwrap().unwrap().answer,
        "third"
    );
    assert_eq!(store.forget_kept(START + 1, 2).await.unwrap().0, 2);
    while store.forget_kept(START + 1, 2).await.unwrap().1 {}
    let none = store.forget_kept(START + 1, 100).await.unwrap();
    assert_eq!(none, (0, false));
    assert!(store.kept("old", START).await.unwrap().is_some());
}

async fn what_the_answers_of_a_caller_take_is_counted_and_its_oldest_go_first(store: &Store) {
    let given = |id: &str, caller: &str, at| KeepingAnswer {
        caller: caller.to_owned(),
        most: 25_000,
        at,
        ..keeping(id, &"x".repeat(10_000))
    };
    let lives = async |id: &str| store.kept(id, START).await.unwrap().is_some();
    store.keep(given("71", "bot 71", START)).await.unwrap();
    for (id, at) in [("70-b", 2), ("70-a", 1), ("70-b", 2)] {
        store.keep(given(id, "bot 70", START + at)).await.unwrap();
    }
    // An answer stored over an existing answer is counted once.
    assert!(lives("70-a").await && lives("70-b").await);
    let channels = channels();
    let message = row(60, 88_7000, "6281000009", "a", false);
    let taken = once(
        store,
        &channels,
        message,
        given("70-c", "bot 70", START + 3),
    )
    .await;
    assert_eq!(taken.unwrap(), Accepting::Taken);
    assert!(!lives("70-a").await && lives("70-b").await && lives("70-c").await);
    assert!(lives("71").await, "another caller's");
    // Answers removed by the sweep are no longer counted.
    while store.forget_kept(START + 3, 100).await.unwrap().0 > 0 {}
    store
        .keep(given("70-d", "bot 70", START + 4))
        .await
        .unwrap();
    assert!(!lives("70-b").await && lives("70-c").await && lives("70-d").await);
}
