//! A bot's settings with an effect in the database.

use waviro_store::{Accepting, AckUpdate, AddBot, MessageFailure, Repeats, Store};
use waviro_testing::samples::START;

use super::{accept, ack, apply_ack, channels, row, row_at};

pub async fn keep_their_contract(store: &Store) {
    settings_belong_to_a_living_bot(store).await;
    a_repeat_may_be_bounded_in_time_or_fine(store).await;
    a_group_may_rise_by_one_members_word(store).await;
    when_messages_were_last_taken_is_known(store).await;
}

async fn settings_belong_to_a_living_bot(store: &Store) {
    let AddBot::Added(bot_id) = store
        .add_bot("disetel", "key of disetel", None, START)
        .await
        .unwrap()
    else {
        panic!("no bot");
    };
    let of = async || store.bot(bot_id).await.unwrap().unwrap().settings;
    assert_eq!(of().await, None);
    let text = Some("{}".to_owned());
    assert!(store.set_settings(bot_id, text.clone()).await.unwrap());
    assert_eq!(of().await, text);
    store
        .give_secrets(bot_id, "k".to_owned(), "s".to_owned())
        .await
        .unwrap();
    assert_eq!(store.secrets(bot_id).await.unwrap().unwrap().settings, text);
    assert!(store.set_settings(bot_id, None).await.unwrap());
    assert_eq!(of().await, None);
    assert!(!store.set_settings(9_999, None).await.unwrap());
}

async fn a_repeat_may_be_bounded_in_time_or_fine(store: &Store) {
    let channels = channels();
    let offer = async |id: u64, repeats: Repeats| {
        let row = row(70, id, "6281000001", "a", false).repeats(repeats);
        accept(store, &channels, row).await
    };
    let taken = Accepting::Taken;
    assert_eq!(offer(77_7000, Repeats::Refused).await, taken);
    let repeat = offer(77_7001, Repeats::RefusedSince(START)).await;
    assert!(matches!(repeat, Accepting::Duplicate { .. }));
    assert_eq!(
        offer(77_7002, Repeats::RefusedSince(START + 1)).await,
        taken
    );
    assert_eq!(offer(77_7003, Repeats::Fine).await, taken);
    assert!(matches!(
        offer(77_7004, Repeats::Refused).await,
        Accepting::Duplicate { .. }
    ));
    // A message with a time in the future has no reliable time of acceptance. A duplicate rule
    // without a time limit still refuses the same content.
    let earlier = async |id: u64, repeats: Repeats| {
        let row = row_at(START - 86_400_000, 70, id, "6281000001", "a", false);
        accept(store, &channels, row.repeats(repeats)).await
    };
    assert!(matches!(
        earlier(77_7005, Repeats::Refused).await,
        Accepting::Duplicate { .. }
    ));
    assert_eq!(
        earlier(77_7006, Repeats::RefusedSince(START - 86_460_000)).await,
        taken
    );
    // In a shared batch each row has its own rule.
    let crowd = (77_7010..77_7030_u64).map(|id| {
        let rule = if id % 2 == 0 {
            Repeats::Fine
        } else {
            Repeats::Refused
        };
        offer(id, rule)
    });
    for (n, outcome) in futures::future::join_all(crowd)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(outcome == taken, n % 2 == 0, "{n}: {outcome:?}");
    }
}

async fn a_group_may_rise_by_one_members_word(store: &Store) {
    let channels = channels();
    accept(
        store,
        &channels,
        row(71, 77_7100, "120363000000000001@g.us", "a", false),
    )
    .await;
    apply_ack(store, &channels, 71, 77_7100, AckUpdate::Reached(2)).await;
    assert_eq!(ack(store, 77_7100).await, 1);
    let word = |for_all| AckUpdate::Member {
        level: 2,
        member: "6281000001@c.us".to_owned(),
        for_all,
    };
    apply_ack(store, &channels, 71, 77_7100, word(false)).await;
    assert_eq!(ack(store, 77_7100).await, 1);
    apply_ack(store, &channels, 71, 77_7100, word(true)).await;
    assert_eq!(ack(store, 77_7100).await, 2);
    apply_ack(store, &channels, 71, 77_7100, AckUpdate::ReachedSomebody(3)).await;
    assert_eq!(ack(store, 77_7100).await, 3);
}

async fn when_messages_were_last_taken_is_known(store: &Store) {
    let channels = channels();
    for id in 77_7200..77_7204 {
        accept(
            store,
            &channels,
            row(72, id, "6281000001", &id.to_string(), false),
        )
        .await;
    }
    assert!(store.last_sent(72, 10).await.unwrap().is_empty());
    apply_ack(store, &channels, 72, 77_7200, AckUpdate::Reached(1)).await;
    apply_ack(store, &channels, 72, 77_7201, AckUpdate::Reached(1)).await;
    apply_ack(
        store,
        &channels,
        72,
        77_7202,
        AckUpdate::Failed(MessageFailure::expired()),
    )
    .await;
    assert_eq!(store.last_sent(72, 10).await.unwrap(), [START, START]);
    assert_eq!(store.last_sent(72, 1).await.unwrap().len(), 1);
}
