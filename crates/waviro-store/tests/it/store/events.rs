//! Events, their subscribers, and retention.

use std::sync::Arc;

use url::Url;
use waviro_store::{
    AckUpdate, AddBot, Audience, DeliveryOutcome, Due, EventKind, EventRow, Kinds, MessageFailure,
    NewEvent, NewInboundRow, NewSubscription, RetentionLimits, Store, SubscriptionChange, media_id,
};
use waviro_testing::samples::START;
use waviro_testing::samples::picture;

use super::{accept, apply_ack, attempt, channels, row, wire_id};

const DAY: i64 = 86_400_000;

pub async fn keeps_its_contract(store: &Store) {
    let bot_id = match store
        .add_bot("events", "events", None, START)
        .await
        .unwrap()
    {
        AddBot::Added(bot_id) => bot_id,
        taken => panic!("{taken:?}"),
    };
    subscriptions_live_and_die_and_their_ids_are_never_reused(store, bot_id).await;
    who_wants_what_is_known_at_once(store, bot_id).await;
    events_are_numbered_in_order_and_owed_to_who_wants_them(store, bot_id).await;
    nothing_is_owed_to_who_is_visibly_switched_off(store, bot_id).await;
    members_are_remembered(store, bot_id).await;
    the_secret_is_made_once(store).await;
    retention_takes_what_is_old_and_has_ended(store, bot_id).await;
}

fn new(kinds: &[&str]) -> NewSubscription {
    NewSubscription {
        url: url("http://one.example/e"),
        kinds: Kinds::of(kinds.iter().copied()).unwrap(),
        enabled: true,
        timeout_s: Some(5),
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn subscriptions_live_and_die_and_their_ids_are_never_reused(store: &Store, bot_id: i32) {
    let added = store.add_subscription(bot_id, new(&["bot.state"]), START);
    let added = added.await.unwrap().unwrap();
    let all = store.subscriptions(bot_id).await.unwrap();
    assert_eq!(all, std::slice::from_ref(&added));
    let change = SubscriptionChange {
        kinds: Some(Kinds::EVERY),
        timeout_s: Some(None),
        ..SubscriptionChange::default()
    };
    let changed = store.change_subscription(bot_id, added.id, change, START + 1);
    let changed = changed.await.unwrap().unwrap();
    assert_eq!((changed.kinds, changed.timeout_s), (Kinds::EVERY, None));
    let shown = store.subscription(bot_id, added.id).await.unwrap();
    assert_eq!(shown, Some(changed));
    assert_eq!(
        store.subscription(bot_id + 1, added.id).await.unwrap(),
        None
    );
    let other =
        store.change_subscription(bot_id + 1, added.id, SubscriptionChange::default(), START);
    assert_eq!(other.await.unwrap(), None);
    let others = store.delete_subscription(bot_id + 1, added.id, START);
    assert!(!others.await.unwrap());
    assert!(
        store
            .delete_subscription(bot_id, added.id, START)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_subscription(bot_id, added.id, START)
            .await
            .unwrap()
    );
    let next = store.add_subscription(bot_id, new(&["bot.state"]), START);
    let next = next.await.unwrap().unwrap().id;
    assert!(next > added.id);
    assert!(
        store
            .delete_subscription(bot_id, next, START)
            .await
            .unwrap()
    );
}

async fn who_wants_what_is_known_at_once(store: &Store, bot_id: i32) {
    let wants = async |now| {
        let audience = store.audience(bot_id, now).await.unwrap();
        EventKind::ALL.map(|kind| audience.wants(kind))
    };
    assert_eq!(wants(START).await, [false; 8]);
    let added = store.add_subscription(bot_id, new(&["message.received"]), START);
    let id = added.await.unwrap().unwrap().id;
    let mut one = [false; 8];
    one[0] = true;
    assert_eq!(wants(START).await, one);
    let listening = store.listen(Some(bot_id));
    assert_eq!(wants(START).await, [true; 8]);
    drop(listening);
    assert_eq!(wants(START).await, one);
    let all = store.listen(None);
    assert_eq!(wants(START).await, [true; 8]);
    drop(all);
    store.note_streamed(Some(bot_id), START).await.unwrap();
    assert_eq!(wants(START + 3_000).await, [true; 8]);
    assert_eq!(wants(START + 8 * DAY).await, one);
    store.delete_subscription(bot_id, id, START).await.unwrap();
    assert_eq!(wants(START + 8 * DAY).await, [false; 8]);
}

fn event(audience: &Arc<Audience>, n: usize) -> NewEvent {
    NewEvent {
        audience: Arc::clone(audience),
        kind: EventKind::CallReceived,
        subject: format!("C{n}"),
        line: "one".to_owned(),
        id: format!("evt_{n}"),
        data: "{}".to_owned(),
    }
}

async fn published(store: &Store, bot_id: i32, from: usize, now: i64) -> Vec<Due> {
    let audience = store.audience(bot_id, now).await.unwrap();
    let events = (from..from + 3).map(|n| event(&audience, n)).collect();
    store.publish_events(events, now).await.unwrap()
}

async fn events_are_numbered_in_order_and_owed_to_who_wants_them(store: &Store, bot_id: i32) {
    let now = START + 9 * DAY;
    let mut last = store.last_event();
    let before = *last.borrow_and_update();
    assert!(published(store, bot_id, 0, now).await.is_empty());
    assert!(last.has_changed().unwrap());
    let added = store.add_subscription(bot_id, new(&["*"]), now).await;
    let id = added.unwrap().unwrap().id;
    let due = published(store, bot_id, 3, now).await;
    // The deliveries share an endpoint queue: the first is due and the others wait.
    assert_eq!(due.len(), 1);
    let hook = store.webhook(due[0].id).await.unwrap().unwrap();
    assert_eq!(
        (hook.webhook_id.as_str(), hook.timeout_s),
        ("evt_3", Some(5))
    );
    assert!(!hook.cancelled);
    let end = store.end(
        &due[0],
        DeliveryOutcome::Delivered,
        None,
        Some(attempt(None)),
        now,
    );
    let next = end.await.unwrap().unwrap();
    assert_eq!(
        store.webhook(next.id).await.unwrap().unwrap().webhook_id,
        "evt_4"
    );
    let gone = "the endpoint answered 410".to_owned();
    store
        .switch_subscription_off(next.id, &next.url, gone.clone(), now)
        .await
        .unwrap();
    let off = store.subscription(bot_id, id).await.unwrap().unwrap();
    assert_eq!((off.enabled, off.off_cause), (false, Some(gone)));
    assert!(store.webhook(next.id).await.unwrap().unwrap().cancelled);
    let all = store.events_after(before, Some(bot_id), 100).await.unwrap();
    assert_eq!(all.len(), 6);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    let page = store.events_after(all[1].id, None, 2).await.unwrap();
    assert_eq!(page, all[2..4]);
    assert_eq!(
        store
            .events_after(before, Some(bot_id + 1), 9)
            .await
            .unwrap(),
        Vec::<EventRow>::new()
    );
    store.delete_subscription(bot_id, id, now).await.unwrap();
}

/// Other tasks see the commit before the caller of the change continues.
async fn nothing_is_owed_to_who_is_visibly_switched_off(store: &Store, bot_id: i32) {
    let now = START + 10 * DAY;
    let added = store.add_subscription(bot_id, new(&["call.received"]), now);
    let id = added.await.unwrap().unwrap().id;
    let mut due = published(store, bot_id, 6, now).await.pop();
    let Due { id: gone, url, .. } = due.clone().unwrap();
    let off = store.switch_subscription_off(gone, &url, "gone".to_owned(), now);
    let mut off = Box::pin(off);
    assert!(futures::poll!(&mut off).is_pending());
    // A later write ends after the commit.
    store.drop_previous_key(bot_id).await.unwrap();
    let shown = store.subscription(bot_id, id).await.unwrap().unwrap();
    assert!(!shown.enabled);
    let audience = store.audience(bot_id, now).await.unwrap();
    assert!(!audience.wants(EventKind::CallReceived));
    off.await.unwrap();
    while let Some(open) = due {
        let end = store.end(&open, DeliveryOutcome::Cancelled, None, None, now);
        due = end.await.unwrap();
    }
    store.delete_subscription(bot_id, id, now).await.unwrap();
}

async fn members_are_remembered(store: &Store, bot_id: i32) {
    let channels = channels();
    let listening = store.listen(Some(bot_id));
    accept(
        store,
        &channels,
        row(bot_id, 9100, "120363000000000077@g.us", "x", false),
    )
    .await;
    let before = *store.last_event().borrow();
    for level in [2, 3, 2, 3] {
        let member = "6281300000077@c.us".to_owned();
        apply_ack(
            store,
            &channels,
            bot_id,
            9100,
            AckUpdate::Member {
                level,
                member,
                for_all: false,
            },
        )
        .await;
    }
    let kept = store.events_after(before, Some(bot_id), 10).await.unwrap();
    // The first receipt of a member implies the server ack.
    assert_eq!(kept.len(), 3);
    let with = store.members_with(wire_id(9100).as_str()).await.unwrap();
    assert_eq!(with, Some((1, 1)));
    assert_eq!(store.members_with("nobody").await.unwrap(), None);
    drop(listening);
}

async fn the_secret_is_made_once(store: &Store) {
    assert_eq!(store.kept_media_secret().await.unwrap(), None);
    let first = store.media_secret("first".to_owned()).await.unwrap();
    assert_eq!(first, "first");
    assert_eq!(
        store.media_secret("second".to_owned()).await.unwrap(),
        "first"
    );
    let third = "third".to_owned();
    store.rotate_media_secret(third.clone()).await.unwrap();
    assert_eq!(
        store.kept_media_secret().await.unwrap(),
        Some(third.clone())
    );
    assert_eq!(
        store.media_secret("fourth".to_owned()).await.unwrap(),
        third
    );
}

async fn retention_takes_what_is_old_and_has_ended(store: &Store, bot_id: i32) {
    let (channels, old, young) = (channels(), START + 20 * DAY, START + 50 * DAY);
    let sweep = async |now: i64| {
        let before = now - 30 * DAY;
        let kept = RetentionLimits {
            events: before,
            deliveries: before,
            inbound: before,
            messages: before,
            media: before + 10 * DAY,
        };
        let mut sweep = Some(store.begin_sweep(kept, now).await.unwrap());
        let (mut rows, mut media) = (0, Vec::new());
        while let Some(from) = sweep {
            let (swept, next) = store.sweep(from).await.unwrap();
            rows += swept.rows;
            media.extend(swept.media);
            sweep = next;
        }
        (rows, media)
    };
    let owed = store.open_delivery_count();
    // More rows than one transaction takes.
    for n in 0..450 {
        let mut message = picture(&format!("R{n}"));
        message.quoted = Some("Q".parse().unwrap());
        let keeping =
            store.keep_inbound(bot_id, vec![NewInboundRow::new(message, Vec::new())], old);
        keeping.await.unwrap();
    }
    let young_one = NewInboundRow::new(picture("young"), Vec::new());
    store
        .keep_inbound(bot_id, vec![young_one], young)
        .await
        .unwrap();
    for id in 9200..9203 {
        accept(
            store,
            &channels,
            row(bot_id, id, "6281300000078", &id.to_string(), id == 9201),
        )
        .await;
    }
    // A final message, a final message with a waiting callback, and a message never acked.
    apply_ack(
        store,
        &channels,
        bot_id,
        9200,
        AckUpdate::Failed(MessageFailure::expired()),
    )
    .await;
    apply_ack(store, &channels, bot_id, 9201, AckUpdate::Reached(1)).await;
    published(store, bot_id, 20, young).await;
    let of = |id: &str| media_id(bot_id, "6281300000001@c.us", "6281300000001@c.us", id);
    let file = async |id: &str| store.media(&of(id)).await.unwrap();
    assert!(file("R0").await.unwrap().handle.is_some());
    assert_eq!(file("R0").await.unwrap().about.mime, "image/jpeg");
    sweep(old + 10 * DAY).await;
    assert_eq!(store.inbound_count(bot_id).await.unwrap(), 451);
    let ids = [of("R0"), of("young")];
    assert_eq!(store.known_media(&ids).await.unwrap().len(), 2);
    let (_, mut media) = sweep(old + 25 * DAY).await;
    let mut all: Vec<String> = (0..450).map(|n| of(&format!("R{n}"))).collect();
    media.retain(|id| all.contains(id));
    media.sort();
    all.sort();
    assert_eq!(media, all);
    // The file is removed before its message.
    assert_eq!(file("R0").await.unwrap().handle, None);
    let known = store.known_media(&ids).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [of("young")]);
    assert!(sweep(young + 29 * DAY).await.0 > 450);
    assert_eq!(store.inbound_count(bot_id).await.unwrap(), 1);
    let message = async |id| store.message(&wire_id(id)).await.unwrap().is_some();
    assert_eq!(
        (
            message(9200).await,
            message(9201).await,
            message(9202).await
        ),
        (false, true, true)
    );
    assert!(store.open_delivery_count() > owed);
    // Everything old is removed except the newest event, because otherwise its number would be
    // assigned again.
    let newest = *store.last_event().borrow();
    sweep(young + 99 * DAY).await;
    let left = store.events_after(0, None, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|event| event.id).collect::<Vec<_>>(),
        [newest]
    );
    assert_eq!(sweep(young + 99 * DAY).await.0, 0);
    published(store, bot_id, 30, young).await;
    assert_eq!(*store.last_event().borrow(), newest + 3);
}
