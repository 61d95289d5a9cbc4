//! What arrived, and which numbers are known.

use waviro::store::{InboundRow, Store};
use waviro_link::{Chat, Inbound, InboundKind, MessageId, Sender};

use crate::engine::{START, number};

pub async fn is_kept_once(store: &Store) {
    let inbound = |id: &str, sender: &str| Inbound {
        id: id.parse().unwrap(),
        chat: Chat::Person(number(sender)),
        sender: Sender::Number(number(sender)),
        push_name: "Budi".to_owned(),
        at: std::time::UNIX_EPOCH,
        from_me: false,
        quoted: None,
        kind: InboundKind::Text("halo".to_owned()),
    };
    let keep = |batch: Vec<Inbound>| {
        store.keep_inbound(
            19,
            batch
                .into_iter()
                .map(|inbound| InboundRow::new(inbound, Vec::new()))
                .collect(),
            START,
        )
    };
    assert_eq!(
        keep(vec![inbound("A", "6281000001"), inbound("B", "6281000001")])
            .await
            .unwrap()
            .new,
        2
    );
    // The same again, and the same id of another sender, which is another message.
    assert_eq!(
        keep(vec![inbound("A", "6281000001"), inbound("A", "6281000002")])
            .await
            .unwrap()
            .new,
        1
    );
    assert_eq!(store.inbound_count(19).await.unwrap(), 3);
    let asked: Vec<MessageId> = ["A", "C", "B"].map(|id| id.parse().unwrap()).into();
    let unknown = store.unknown_inbound(19, asked.clone()).await.unwrap();
    assert_eq!(unknown, [asked[1].clone()]);
    assert_eq!(store.unknown_inbound(20, asked).await.unwrap().len(), 3);
}

pub async fn numbers_are_remembered_and_forgotten(store: &Store) {
    let one = number("6281000001");
    assert_eq!(store.number(&one).await.unwrap(), None);
    store.remember_number(&one, false, 1).await.unwrap();
    store.remember_number(&one, true, 2).await.unwrap();
    assert_eq!(store.number(&one).await.unwrap(), Some((true, 2)));
    store.forget_number(&one).await.unwrap();
    assert_eq!(store.number(&one).await.unwrap(), None);
}
