//! Inbound messages and known numbers.

use waviro_link::{Chat, Inbound, InboundKind, MessageId, Sender};
use waviro_store::{NewInboundRow, Store};
use waviro_testing::samples::{START, number};

pub async fn is_kept_once(store: &Store) {
    let inbound = |id: &str, sender: &str| Inbound {
        id: id.parse().unwrap(),
        chat: Chat::Person(number(sender)),
        sender: Sender::Number(number(sender)),
        alias: None,
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
                .map(|inbound| NewInboundRow::new(inbound, Vec::new()))
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
    // The same message again, and the same id from another sender, which is another message.
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

pub async fn edits_and_deletions_count_only_from_the_author_or_an_admin(store: &Store) {
    let group = Chat::Group("120363000000000001".parse().unwrap());
    let (ani, budi) = (number("6281000001"), number("6281000002"));
    let message = |id: &str, chat: &Chat, sender: Sender, kind: InboundKind| Inbound {
        id: id.parse().unwrap(),
        chat: chat.clone(),
        sender,
        alias: None,
        push_name: String::new(),
        at: std::time::UNIX_EPOCH,
        from_me: false,
        quoted: None,
        kind,
    };
    let text = || InboundKind::Text("halo".to_owned());
    let edit = |of: &str| InboundKind::Edited {
        of: of.parse().unwrap(),
        text: "lain".to_owned(),
    };
    let delete = |of: &str, by_admin| InboundKind::Deleted {
        of: of.parse().unwrap(),
        by_admin,
    };
    let keep = async |batch: Vec<Inbound>| {
        let rows = batch.into_iter();
        let rows = rows.map(|inbound| NewInboundRow::new(inbound, Vec::new()));
        store
            .keep_inbound(21, rows.collect(), START)
            .await
            .unwrap()
            .new
    };
    let person = |number: &waviro_link::Number| Sender::Number(number.clone());
    let hidden = || Sender::Hidden("77".to_owned());
    let chat = Chat::Person(ani.clone());
    let mut own = message("O", &chat, person(&number("6281999999")), text());
    own.from_me = true;
    let first = vec![
        message("A", &group, person(&ani), text()),
        message("H", &group, hidden(), text()),
        message("P", &chat, person(&ani), text()),
        own.clone(),
        // In the same batch as the message to edit.
        message("E0", &group, person(&budi), edit("A")),
    ];
    assert_eq!(keep(first).await, 4);
    for (id, chat, sender, alias, kind, counts) in [
        ("E1", &group, person(&budi), None, edit("A"), false),
        ("E2", &group, person(&ani), None, edit("A"), true),
        ("E3", &group, person(&budi), None, delete("A", false), false),
        ("E4", &group, person(&budi), None, delete("A", true), true),
        ("E5", &group, person(&ani), None, delete("A", false), true),
        // The author's number was unknown when the message arrived.
        ("E6", &group, person(&budi), Some(hidden()), edit("H"), true),
        ("E7", &group, person(&ani), None, edit("H"), false),
        ("E8", &chat, person(&ani), None, edit("P"), true),
        ("E9", &chat, person(&ani), None, edit("O"), false),
        ("E10", &chat, person(&ani), None, delete("O", false), false),
        // The store does not know the message, for example from before the linking of the bot.
        ("E11", &group, person(&budi), None, edit("Z"), true),
        // The same id in another chat belongs to another message.
        ("E12", &chat, person(&ani), None, edit("A"), true),
    ] {
        let mut claim = message(id, chat, sender, kind);
        claim.alias = alias;
        assert_eq!(keep(vec![claim]).await, usize::from(counts), "{id}");
    }
    for (of, counts) in [("O", true), ("P", false)] {
        let mut claim = own.clone();
        (claim.id, claim.kind) = (format!("own{of}").parse().unwrap(), edit(of));
        assert_eq!(keep(vec![claim]).await, usize::from(counts), "{of}");
    }
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
