//! The store's contract, equal on both databases.

mod bots;
mod callbacks;
mod duplicates;
mod events;
mod evidence;
mod idempotency;
mod inbound;
mod keys;
mod log;
mod settings;
mod tokens;
mod users;
mod waiting;

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::mpsc;
use url::Url;
use waviro_link::{Chat, Content, MessageId, Nack, Outgoing};
use waviro_store::clock::Millis;
use waviro_store::{
    Accepting, AckUpdate, Attempt, AttemptFailure, Callback, CommitFeeds, Committed, Due,
    MessageCause, MessageFailure, NewMessageRow, Store, StoreError, Work,
};
use waviro_testing::samples::{START, number};

/// Returns a message row; `id` determines the message id.
fn row(bot_id: i32, id: u64, to: &str, text: &str, notify: bool) -> NewMessageRow {
    row_at(START, bot_id, id, to, text, notify)
}

fn row_at(at: Millis, bot_id: i32, id: u64, to: &str, text: &str, notify: bool) -> NewMessageRow {
    let message = Outgoing {
        id: wire_id(id),
        to: to.strip_suffix("@g.us").map_or_else(
            || Chat::Person(number(to)),
            |group| Chat::Group(group.parse().unwrap()),
        ),
        content: Content::Text(text.to_owned()),
    };
    let url: Url = "http://one.example/notify".parse().unwrap();
    NewMessageRow::new(bot_id, message, notify.then_some(&url), at, 0)
}

fn wire_id(id: u64) -> MessageId {
    MessageId::from_random(id.to_be_bytes())
}

struct Channels {
    feeds: CommitFeeds,
    lane: mpsc::UnboundedReceiver<Committed>,
    deliveries: mpsc::UnboundedReceiver<Due>,
}

fn channels() -> Channels {
    let (lane, settled) = mpsc::unbounded_channel();
    let (deliveries, due) = mpsc::unbounded_channel();
    Channels {
        feeds: CommitFeeds { lane, deliveries },
        lane: settled,
        deliveries: due,
    }
}

/// Returns the callback of a delivery.
fn callback(due: &Due) -> &Callback {
    match &due.work {
        Work::Callback(callback) => callback,
        other => panic!("no callback: {other:?}"),
    }
}

/// Returns an attempt; a failed attempt if there is a failure.
pub fn attempt(failure: Option<AttemptFailure>) -> Attempt {
    Attempt {
        at: START,
        url: "http://one.example/notify".to_owned(),
        status: Some(if failure.is_some() { 500 } else { 200 }),
        took_ms: 7,
        address: Some("192.0.2.1".to_owned()),
        answer: "\u{0}so".to_owned(),
        failure,
    }
}

async fn posted(store: &Store, due: &Due, stage: i8) -> Option<i8> {
    store
        .posted(due.id, callback(due), stage, Some(attempt(None)), START)
        .await
        .unwrap()
}

async fn accept(store: &Store, channels: &Channels, row: NewMessageRow) -> Accepting {
    store
        .accept(row, None, channels.feeds.lane.clone())
        .await
        .unwrap()
}

async fn apply_ack(store: &Store, channels: &Channels, bot_id: i32, id: u64, update: AckUpdate) {
    store
        .apply_acks(bot_id, vec![(wire_id(id), update)], START, &channels.feeds)
        .await
        .unwrap();
}

async fn ack(store: &Store, id: u64) -> i8 {
    store.message(&wire_id(id)).await.unwrap().unwrap().ack
}

/// Tests every promise of the store on one database; each test uses its own bot.
pub async fn keeps_its_contract(store: &Store) {
    accepted_messages_are_queued_in_order(store).await;
    duplicates::are_refused(store).await;
    a_bad_command_does_not_hurt_its_neighbours(store).await;
    concurrent_accepts_share_transactions(store).await;
    acks_only_rise_and_minus_one_is_final(store).await;
    groups_stay_at_one(store).await;
    strangers_ids_are_passed_over(store).await;
    a_queue_ends_at_its_limit(store).await;
    callbacks::keep_their_contract(store).await;
    inbound::is_kept_once(store).await;
    inbound::edits_and_deletions_count_only_from_the_author_or_an_admin(store).await;
    inbound::numbers_are_remembered_and_forgotten(store).await;
    bots::live_and_die_by_name_and_slots_are_never_reused(store).await;
    keys::keep_their_contract(store).await;
    log::keep_their_contract(store).await;
    tokens::keep_their_contract(store).await;
    users::keep_their_contract(store).await;
    evidence::keeps_its_contract(store).await;
    events::keeps_its_contract(store).await;
    idempotency::keeps_its_contract(store).await;
    settings::keep_their_contract(store).await;
    waiting::keeps_its_contract(store).await;
}

/// Checks at the end that the counters in memory match the rows.
pub async fn counts_as_the_rows_do(store: &Store, url: &str) {
    let again = Store::open(url).await.unwrap();
    assert_eq!(store.waiting(), again.waiting());
    assert!(store.pending_count() > 0);
    again.close().await;
}

async fn accepted_messages_are_queued_in_order(store: &Store) {
    let mut channels = channels();
    for id in 1000..1005 {
        accept(
            store,
            &channels,
            row(1, id, "6281000001", &id.to_string(), false),
        )
        .await;
    }
    let pending = store.pending(1, 0, 100).await.unwrap();
    let ids: Vec<MessageId> = pending
        .iter()
        .map(|queued| queued.message.id.clone())
        .collect();
    assert_eq!(ids, (1000..1005).map(wire_id).collect::<Vec<_>>());
    assert_eq!(pending[0].message.content, Content::Text("1000".to_owned()));
    let rest = store.pending(1, pending[2].seq, 1).await.unwrap();
    assert_eq!(rest[0].message.id, wire_id(1003));
    for queued in pending {
        assert!(
            matches!(channels.lane.recv().await, Some(Committed::Accepted(accepted)) if accepted.seq == queued.seq)
        );
    }
}

async fn a_bad_command_does_not_hurt_its_neighbours(store: &Store) {
    let channels = channels();
    accept(store, &channels, row(6, 100, "6281000001", "first", false)).await;
    // The id of row 7 is already used, so a constraint breaks the transaction shared by all twenty
    // rows.
    let commands = (0..20).map(|n| {
        let id = if n == 7 { 100 } else { 101 + n };
        store.accept(
            row(6, id, &format!("62810000{n:02}"), "x", false),
            None,
            channels.feeds.lane.clone(),
        )
    });
    let outcomes = futures::future::join_all(commands).await;
    let failed: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| outcome.is_err())
        .map(|(n, _)| n)
        .collect();
    assert_eq!(failed, [7]);
    assert!(matches!(outcomes[7], Err(StoreError::Refused(_))));
    assert_eq!(store.pending(6, 0, 100).await.unwrap().len(), 20);
}

async fn concurrent_accepts_share_transactions(store: &Store) {
    let channels = channels();
    let before = store.commits();
    let accepts = (0..300).map(|n| {
        accept(
            store,
            &channels,
            row(7, 1_000_000 + n, "6281000001", &n.to_string(), false),
        )
    });
    futures::future::join_all(accepts).await;
    let commits = store.commits() - before;
    assert!(commits <= 10, "{commits} commits for 300 messages");
}

async fn acks_only_rise_and_minus_one_is_final(store: &Store) {
    let channels = channels();
    for id in 200..203 {
        accept(
            store,
            &channels,
            row(8, id, "6281000001", &id.to_string(), false),
        )
        .await;
    }
    apply_ack(store, &channels, 8, 200, AckUpdate::Reached(2)).await;
    apply_ack(store, &channels, 8, 200, AckUpdate::Reached(1)).await;
    apply_ack(
        store,
        &channels,
        8,
        200,
        AckUpdate::Failed(MessageFailure::expired()),
    )
    .await;
    assert_eq!(ack(store, 200).await, 2);
    apply_ack(
        store,
        &channels,
        8,
        201,
        AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage)),
    )
    .await;
    apply_ack(store, &channels, 8, 201, AckUpdate::Reached(3)).await;
    let ended = store.message(&wire_id(201)).await.unwrap().unwrap();
    let failure = ended.failure.unwrap();
    assert_eq!((ended.ack, failure.text.as_str()), (-1, "nack: 463"));
    assert_eq!(failure.cause, MessageCause::Nack(Nack::FirstMessage));
    // Several acks in one transaction, in any order.
    let all = [2, 3, 1].map(|level| (wire_id(202), AckUpdate::Reached(level)));
    store
        .apply_acks(8, all.to_vec(), START, &channels.feeds)
        .await
        .unwrap();
    assert_eq!(ack(store, 202).await, 3);
    assert!(store.pending(8, 0, 10).await.unwrap().is_empty());
}

async fn groups_stay_at_one(store: &Store) {
    let channels = channels();
    accept(
        store,
        &channels,
        row(9, 210, "120363000000000001@g.us", "a", false),
    )
    .await;
    apply_ack(store, &channels, 9, 210, AckUpdate::Reached(3)).await;
    assert_eq!(ack(store, 210).await, 1);
}

async fn strangers_ids_are_passed_over(store: &Store) {
    let mut channels = channels();
    accept(store, &channels, row(10, 220, "6281000001", "a", true)).await;
    apply_ack(store, &channels, 11, 220, AckUpdate::Reached(1)).await;
    apply_ack(store, &channels, 10, 999_999, AckUpdate::Reached(1)).await;
    assert_eq!(ack(store, 220).await, 0);
    assert!(channels.deliveries.try_recv().is_err());
    apply_ack(store, &channels, 10, 220, AckUpdate::Reached(1)).await;
    let due = channels.deliveries.recv().await.unwrap();
    posted(store, &due, 1).await;
}

async fn a_queue_ends_at_its_limit(store: &Store) {
    let mut channels = channels();
    for id in 230..235 {
        accept(
            store,
            &channels,
            row(12, id, "6281000001", &id.to_string(), true),
        )
        .await;
    }
    let limit = store.pending(12, 0, 10).await.unwrap()[3].seq;
    let end = |most| {
        store.end_queue(
            12,
            limit,
            MessageFailure::logged_out("removed"),
            most,
            START,
            &channels.feeds,
        )
    };
    assert_eq!(
        (
            end(3).await.unwrap(),
            end(3).await.unwrap(),
            end(3).await.unwrap()
        ),
        (3, 1, 0)
    );
    assert_eq!((ack(store, 233).await, ack(store, 234).await), (-1, 0));
    for _ in 0..4 {
        let due = channels.deliveries.recv().await.unwrap();
        assert_eq!(callback(&due).next(), Some(-1));
        posted(store, &due, -1).await;
    }
    assert!(channels.deliveries.try_recv().is_err());
    apply_ack(store, &channels, 12, 234, AckUpdate::Reached(1)).await;
    let due = channels.deliveries.recv().await.unwrap();
    posted(store, &due, 1).await;
}

#[tokio::test]
async fn the_store_keeps_its_contract_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    let store = Store::open(&url).await.unwrap();
    keeps_its_contract(&store).await;
    counts_as_the_rows_do(&store, &url).await;
    store.close().await;
    assert!(matches!(
        store.add_bot("late", "00", None, START).await,
        Err(StoreError::Closed)
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", folder.path().join("a.db").display()))
        .await
        .unwrap();
    store.add_bot("toko", "aa", None, START).await.unwrap();
    for file in ["a.db", "a.db-wal", "a.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_url_without_a_known_scheme_is_refused() {
    assert!(matches!(
        Store::open("mysql://x").await,
        Err(StoreError::Failed(_))
    ));
}

/// Generates ack updates of a message in any order, split into any transactions.
fn updates() -> impl Strategy<Value = Vec<Vec<AckUpdate>>> {
    let one = prop_oneof![
        (1_i8..=3).prop_map(AckUpdate::Reached),
        Just(AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage))),
    ];
    prop::collection::vec(prop::collection::vec(one, 1..4), 1..5)
}

#[test]
fn whatever_the_order_of_updates_callbacks_rise_strictly_and_end_where_the_ack_ended() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    let store = Arc::new(runtime.block_on(Store::open(&url)).unwrap());
    let next = std::sync::atomic::AtomicU64::new(1);
    proptest!(ProptestConfig::with_cases(200), |(batches in updates())| {
        let id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (said, last) = runtime.block_on(async {
            let mut channels = channels();
            accept(&store, &channels, row(1, id, "6281000001", &id.to_string(), true)).await;
            let mut said = Vec::new();
            for batch in batches {
                let batch = batch.into_iter().map(|update| (wire_id(id), update)).collect();
                store.apply_acks(1, batch, START, &channels.feeds).await.unwrap();
                while let Ok(due) = channels.deliveries.try_recv() {
                    let Work::Callback(mut callback) = due.work else {
                        panic!("only callbacks are owed");
                    };
                    while let Some(stage) = callback.next() {
                        said.push(stage);
                        let posted = store.posted(due.id, &callback, stage, None, START).await;
                        match posted.unwrap() {
                            Some(ack) => (callback.stage, callback.ack) = (stage + 1, ack),
                            None => break,
                        }
                    }
                }
            }
            (said, ack(&store, id).await)
        });
        let all: Vec<i8> = if last < 0 { vec![-1] } else { (1..=last).collect() };
        prop_assert_eq!(said, all);
    });
    runtime.block_on(store.close());
}
