//! The database's data about a bot's health.

use waviro_link::{Chat, Inbound, InboundKind, Nack, Sender};
use waviro_store::{AckUpdate, Evidence, MessageFailure, NewInboundRow, Store};
use waviro_testing::samples::{START, number};

use super::{accept, apply_ack, channels, row, wire_id};

/// A bot id that no other test uses.
const BOT_ID: i32 = 77;

pub async fn keeps_its_contract(store: &Store) {
    assert_eq!(store.evidence(BOT_ID).await.unwrap(), Evidence::default());
    let channels = channels();
    for id in 7000..7003 {
        accept(
            store,
            &channels,
            row(BOT_ID, id, "6281000077", &id.to_string(), false),
        )
        .await;
    }
    let waiting = Evidence {
        pending: 3,
        oldest_pending: Some(START),
        ..Evidence::default()
    };
    assert_eq!(store.evidence(BOT_ID).await.unwrap(), waiting);
    // A refusal does not count as a server ack.
    apply_ack(
        store,
        &channels,
        BOT_ID,
        7000,
        AckUpdate::Failed(MessageFailure::nack(Nack::FirstMessage)),
    )
    .await;
    let refused = store.evidence(BOT_ID).await.unwrap();
    assert_eq!((refused.pending, refused.last_server_ack), (2, None));
    store
        .apply_acks(
            BOT_ID,
            vec![(wire_id(7001), AckUpdate::Reached(1))],
            START + 50,
            &channels.feeds,
        )
        .await
        .unwrap();
    let taken = store.evidence(BOT_ID).await.unwrap();
    assert_eq!(
        (taken.pending, taken.last_server_ack),
        (1, Some(START + 50))
    );
    let inbound = Inbound {
        id: "E1".parse().unwrap(),
        chat: Chat::Person(number("6281000077")),
        sender: Sender::Number(number("6281000077")),
        alias: None,
        push_name: String::new(),
        at: std::time::UNIX_EPOCH,
        from_me: false,
        quoted: None,
        kind: InboundKind::Text("halo".to_owned()),
    };
    store
        .keep_inbound(
            BOT_ID,
            vec![NewInboundRow::new(inbound, Vec::new())],
            START + 60,
        )
        .await
        .unwrap();
    let evidence = store.evidence(BOT_ID).await.unwrap();
    assert_eq!(evidence.last_inbound, Some(START + 60));
}
