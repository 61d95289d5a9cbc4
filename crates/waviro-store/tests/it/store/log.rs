//! The logs of deliveries and messages, and replay.

use waviro_link::{Chat, Nack};
use waviro_store::{
    AckUpdate, AddBot, AttemptFailure, DeliveryFilter, DeliveryKind, DeliveryOutcome, Due, Hook,
    Kinds, LogFilter, MessageFailure, NewInboundRow, NewMessageRow, NewSubscription, Replay,
    Replayed, Replaying, Store,
};
use waviro_store::{AddRule, NewRule};
use waviro_testing::samples::inbound;
use waviro_testing::samples::{START, number};

use super::{accept, apply_ack, attempt, channels, row, wire_id};

const BUDI: &str = "6281300000001";

pub async fn keep_their_contract(store: &Store) {
    let AddBot::Added(bot_id) = store.add_bot("log", "log0", None, START).await.unwrap() else {
        panic!("the name is free");
    };
    let source = rule(store, bot_id).await;
    let id = what_was_posted_is_found_again(store, bot_id, source).await;
    it_is_posted_again_as_it_was_or_with_another_body(store, bot_id, id).await;
    many_are_posted_again_but_for_those_without_a_rule(store, bot_id, source, id).await;
    a_line_goes_on_one_by_one_when_it_is_posted_again(store, bot_id).await;
    messages_are_found_by_text_and_time(store, bot_id).await;
}

async fn rule(store: &Store, bot_id: i32) -> i64 {
    let new = NewRule {
        keyword: String::new(),
        folded: String::new(),
        url: "http://log.example/hook".parse().unwrap(),
        enabled: true,
        in_groups: false,
        timeout_s: None,
    };
    match store.add_rule(bot_id, new, START).await.unwrap() {
        AddRule::Done(rule) => rule.id,
        other => panic!("{other:?}"),
    }
}

fn hook(bot_id: i32, id: &str, source: i64, line: Option<&str>) -> Hook {
    Hook {
        bot_id,
        subject: id.to_owned(),
        chat: line.is_none().then(|| Chat::Person(number(BUDI))),
        source,
        webhook_id: format!("msg_{id}"),
        url: "http://old.example/hook".parse().unwrap(),
        body: "{}".to_owned(),
        line: line.map(ToOwned::to_owned),
    }
}

async fn store_inbound(
    store: &Store,
    bot_id: i32,
    id: &str,
    text: &str,
    hooks: Vec<Hook>,
) -> Vec<Due> {
    let rows = vec![NewInboundRow::new(inbound(id, BUDI, text), hooks)];
    store.keep_inbound(bot_id, rows, START).await.unwrap().due
}

async fn what_was_posted_is_found_again(store: &Store, bot_id: i32, source: i64) -> i64 {
    let due = store_inbound(
        store,
        bot_id,
        "L1",
        "halo",
        vec![hook(bot_id, "L1", source, None)],
    )
    .await;
    let (id, now) = (due[0].id, START + 5);
    let again = async |replay: Replay| store.replay(bot_id, id, replay, now).await.unwrap();
    assert_eq!(again(Replay::default()).await, Replaying::Open);
    let failed = attempt(Some(AttemptFailure::status(500)));
    store
        .put_off(&due[0], failed, START + 1, false)
        .await
        .unwrap();
    let message = NewMessageRow::new(
        bot_id,
        waviro_link::Outgoing {
            id: wire_id(77_001),
            to: Chat::Person(number(BUDI)),
            content: waviro_link::Content::Text("siap".to_owned()),
        },
        None,
        START,
        0,
    );
    let lane = channels().feeds.lane;
    store
        .reply(
            id,
            vec![message],
            waviro_store::ReplyNote::sent(1, &[], false),
            START + 2,
            lane,
        )
        .await
        .unwrap();
    let shown = store.delivery(bot_id, id).await.unwrap().unwrap();
    assert_eq!(
        (shown.outcome, shown.replied_at, shown.kind),
        (
            Some(DeliveryOutcome::Delivered),
            Some(START + 2),
            DeliveryKind::Keyword
        )
    );
    assert_eq!(
        store.attempts(id).await.unwrap()[0].attempt.status,
        Some(500)
    );
    assert_eq!(
        store.replies_of(id).await.unwrap()[0].id,
        wire_id(77_001).as_str()
    );
    assert_eq!(store.delivery(bot_id + 1, id).await.unwrap(), None);

    let wanted = DeliveryFilter {
        outcome: Some(Some(DeliveryOutcome::Delivered)),
        kind: Some(DeliveryKind::Keyword),
        subject: Some("L1".to_owned()),
        endpoint: Some("http://old.example:80".to_owned()),
        since: Some(START),
        until: Some(START + 1),
    };
    let found = store
        .deliveries(bot_id, &wanted, None, 10)
        .await
        .unwrap()
        .rows;
    let found_at = shown.cursor();
    assert_eq!(found, [shown]);
    let elsewhere = DeliveryFilter {
        endpoint: Some("http://old.example:8080".to_owned()),
        ..wanted.clone()
    };
    let found = store
        .deliveries(bot_id, &elsewhere, None, 10)
        .await
        .unwrap()
        .rows;
    assert_eq!(found, []);
    let after = Some(found_at);
    let rest = store.deliveries(bot_id, &wanted, after, 10).await.unwrap();
    assert_eq!((rest.rows, rest.go_on), (Vec::new(), None));
    id
}

async fn it_is_posted_again_as_it_was_or_with_another_body(store: &Store, bot_id: i32, id: i64) {
    let now = START + 5;
    let again = async |replay: Replay| store.replay(bot_id, id, replay, now).await.unwrap();
    assert_eq!(again(Replay::default()).await, Replaying::Due(id));
    let ended = DeliveryFilter {
        outcome: Some(Some(DeliveryOutcome::Delivered)),
        ..DeliveryFilter::default()
    };
    assert_eq!(
        store
            .deliveries(bot_id, &ended, None, 10)
            .await
            .unwrap()
            .rows,
        []
    );
    let shown = store.delivery(bot_id, id).await.unwrap().unwrap();
    // The replay goes to the rule's current URL and sends no second reply.
    assert_eq!(
        (shown.url.as_str(), shown.next_at, shown.replays),
        ("http://log.example/hook", Some(now), 1)
    );
    assert!(store.webhook(id).await.unwrap().unwrap().replied);
    let claimed = store
        .claim("http://log.example:80", bot_id, 10, now)
        .await
        .unwrap();
    let claimed = claimed.iter().find(|due| due.id == id).unwrap();
    store
        .end(claimed, DeliveryOutcome::GivenUp, None, None, now)
        .await
        .unwrap();

    let edited = Replay {
        edited: Some((r#"{"a":1}"#.to_owned(), "msg_edited".to_owned())),
        reply: true,
    };
    let Replaying::Due(new) = again(edited).await else {
        panic!("it has ended");
    };
    let hook = store.webhook(new).await.unwrap().unwrap();
    assert_eq!(
        (hook.body.as_str(), hook.webhook_id.as_str(), hook.replied),
        (r#"{"a":1}"#, "msg_edited", false)
    );
    assert_eq!(
        store
            .delivery(bot_id, new)
            .await
            .unwrap()
            .unwrap()
            .replay_of,
        Some(id)
    );
    // The delivery and its copy must not be open at the same time.
    let twin = store.replay(bot_id, id, Replay::default(), now).await;
    assert_eq!(twin.unwrap(), Replaying::Open);
    let claimed = store
        .claim("http://log.example:80", bot_id, 10, now)
        .await
        .unwrap();
    let claimed = claimed.iter().find(|due| due.id == new).unwrap();
    store
        .end(claimed, DeliveryOutcome::Cancelled, None, None, now)
        .await
        .unwrap();
}

async fn many_are_posted_again_but_for_those_without_a_rule(
    store: &Store,
    bot_id: i32,
    source: i64,
    id: i64,
) {
    let now = START + 5;
    let given_up = DeliveryFilter {
        outcome: Some(Some(DeliveryOutcome::GivenUp)),
        ..DeliveryFilter::default()
    };
    let all = store
        .replay_all(bot_id, &given_up, 0, 10, now)
        .await
        .unwrap();
    assert_eq!(
        all,
        Replayed {
            due: 1,
            left_out: 0,
            more_after: None
        }
    );
    store.delete_rule(bot_id, source, now).await.unwrap();
    let cancelled = DeliveryFilter {
        outcome: Some(Some(DeliveryOutcome::Cancelled)),
        ..DeliveryFilter::default()
    };
    let first = store
        .replay_all(bot_id, &cancelled, 0, 1, now)
        .await
        .unwrap();
    assert_eq!(
        first,
        Replayed {
            due: 0,
            left_out: 1,
            more_after: Some(id)
        }
    );
    let rest = store
        .replay_all(bot_id, &cancelled, id, 1, now)
        .await
        .unwrap();
    assert_eq!(
        rest,
        Replayed {
            due: 0,
            left_out: 1,
            more_after: None
        }
    );
    assert_eq!(
        store
            .replay(bot_id, 999_999, Replay::default(), now)
            .await
            .unwrap(),
        Replaying::Unknown
    );
}

async fn a_line_goes_on_one_by_one_when_it_is_posted_again(store: &Store, bot_id: i32) {
    let wish = NewSubscription {
        url: "http://log.example/event".parse().unwrap(),
        kinds: Kinds::of(["message.received"]).unwrap(),
        enabled: true,
        timeout_s: None,
    };
    let added = store.add_subscription(bot_id, wish, START).await.unwrap();
    let source = added.unwrap().id;
    let hooks = vec![
        hook(bot_id, "E1", source, Some("baris")),
        hook(bot_id, "E2", source, Some("baris")),
    ];
    let first = store_inbound(store, bot_id, "L2", "halo", hooks)
        .await
        .remove(0);
    let second = store
        .end(&first, DeliveryOutcome::GivenUp, None, None, START)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store
            .end(&second, DeliveryOutcome::GivenUp, None, None, START)
            .await
            .unwrap(),
        None
    );
    for id in [first.id, second.id] {
        let again = store
            .replay(bot_id, id, Replay::default(), START)
            .await
            .unwrap();
        assert_eq!(again, Replaying::Due(id));
    }
    let next_at = async |id: i64| store.delivery(bot_id, id).await.unwrap().unwrap().next_at;
    assert_eq!(
        (next_at(first.id).await, next_at(second.id).await),
        (Some(START), None)
    );
    let next = store
        .end(&first, DeliveryOutcome::Delivered, None, None, START)
        .await
        .unwrap();
    assert_eq!(next.unwrap().id, second.id);
    store
        .end(&second, DeliveryOutcome::Delivered, None, None, START)
        .await
        .unwrap();
}

async fn messages_are_found_by_text_and_time(store: &Store, bot_id: i32) {
    let channels = channels();
    for (id, text) in [
        (77_002, "Harga 100%"),
        (77_003, "kata \"harga\""),
        (77_004, "lain"),
    ] {
        accept(store, &channels, row(bot_id, id, "6281000077", text, false)).await;
    }
    apply_ack(store, &channels, bot_id, 77_002, AckUpdate::Reached(2)).await;
    apply_ack(store, &channels, bot_id, 77_002, AckUpdate::Reached(3)).await;
    let first = store
        .sent(bot_id, wire_id(77_002).as_str())
        .await
        .unwrap()
        .unwrap();
    let times = (first.settled_at, first.delivered_at, first.read_at);
    assert_eq!(
        (first.ack, times),
        (3, (Some(START), Some(START), Some(START)))
    );
    let found = async |filter: LogFilter, limit: usize| {
        let rows = store.sent_log(bot_id, &filter, None, limit).await.unwrap();
        rows.rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let ids = |ids: &[u64]| {
        ids.iter()
            .map(|id| wire_id(*id).as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let text = |text: &str| LogFilter {
        text: Some(text.to_owned()),
        ..LogFilter::default()
    };
    assert_eq!(found(text("harga"), 10).await, ids(&[77_003, 77_002]));
    assert_eq!(found(text("harga"), 1).await, ids(&[77_003]));
    assert_eq!(found(text("\"HARGA"), 10).await, ids(&[77_003]));
    assert_eq!(found(text("0%"), 10).await, ids(&[77_002]));
    assert_eq!(found(text("text"), 10).await, ids(&[]));
    let read = LogFilter {
        ack: Some(3),
        chat: Some("6281000077@c.us".to_owned()),
        text: Some("100".to_owned()),
        since: Some(START),
        until: Some(START + 1),
    };
    assert_eq!(found(read, 10).await, ids(&[77_002]));
    let standing = |ack: i8| LogFilter {
        ack: Some(ack),
        chat: Some("6281000077@c.us".to_owned()),
        ..LogFilter::default()
    };
    assert_eq!(found(standing(0), 10).await, ids(&[77_004, 77_003]));
    let failed = AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage));
    apply_ack(store, &channels, bot_id, 77_004, failed).await;
    assert_eq!(found(standing(-1), 10).await, ids(&[77_004]));
    let before = LogFilter {
        until: Some(START),
        ..LogFilter::default()
    };
    assert_eq!(found(before, 10).await, ids(&[]));

    store_inbound(store, bot_id, "L3", "apa Harga?", Vec::new()).await;
    let all = store
        .inbound_log(bot_id, &LogFilter::default(), None, 10)
        .await
        .unwrap()
        .rows;
    let named: Vec<_> = all.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(named, ["L3", "L2", "L1"]);
    let budi = LogFilter {
        chat: Some(format!("{BUDI}@c.us")),
        ..LogFilter::default()
    };
    let with_budi = store.inbound_log(bot_id, &budi, None, 10).await.unwrap();
    assert_eq!(with_budi.rows, all);
    let (every, after) = (LogFilter::default(), Some(all[0].cursor()));
    let rest = store.inbound_log(bot_id, &every, after, 10);
    assert_eq!(rest.await.unwrap().rows, all[1..]);
    let found = store
        .inbound_log(bot_id, &text("harga"), None, 10)
        .await
        .unwrap()
        .rows;
    assert_eq!(found, all[..1]);
    assert_eq!(
        store.inbound(bot_id, "L2").await.unwrap(),
        Some(all[1].clone())
    );
    assert_eq!(store.inbound(bot_id + 1, "L2").await.unwrap(), None);
}
