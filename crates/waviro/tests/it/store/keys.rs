//! A bot's keys and its name.

use waviro::store::{AddBot, PreviousKey, Renaming, Store};

use crate::engine::START;

pub async fn keep_their_contract(store: &Store) {
    let AddBot::Added(slot) = store.add_bot("kunci", "k0", START).await.unwrap() else {
        panic!("the name is free");
    };
    a_replaced_key_is_kept_for_its_time_alone(store, slot).await;
    a_name_is_changed_and_stays_unique(store, slot).await;
}

async fn a_replaced_key_is_kept_for_its_time_alone(store: &Store, slot: i32) {
    let keys = async || {
        let row = store.bot(slot).await.unwrap().unwrap();
        (row.key_sha256, row.key_created_at, row.previous_key)
    };
    assert_eq!(keys().await, ("k0".to_owned(), Some(START), None));
    let until = START + 1000;
    let previous = |sha256: &str| {
        let sha256 = sha256.to_owned();
        Some(PreviousKey { sha256, until })
    };
    assert!(
        store
            .set_bot_key(slot, "k1", START + 1, Some(until))
            .await
            .unwrap()
    );
    assert_eq!(
        keys().await,
        ("k1".to_owned(), Some(START + 1), previous("k0"))
    );
    // The one before the one before is forgotten.
    assert!(
        store
            .set_bot_key(slot, "k2", START + 2, Some(until))
            .await
            .unwrap()
    );
    assert_eq!(
        keys().await,
        ("k2".to_owned(), Some(START + 2), previous("k1"))
    );
    store.drop_previous_key(slot).await.unwrap();
    assert_eq!(keys().await.2, None);
    assert!(
        store
            .set_bot_key(slot, "k3", START + 3, Some(until))
            .await
            .unwrap()
    );
    assert!(
        store
            .set_bot_key(slot, "k4", START + 4, None)
            .await
            .unwrap()
    );
    assert_eq!(keys().await, ("k4".to_owned(), Some(START + 4), None));
}

async fn a_name_is_changed_and_stays_unique(store: &Store, slot: i32) {
    store.add_bot("lain", "l0", START).await.unwrap();
    let rename = async |slot: i32, name: &str| store.rename_bot(slot, name).await.unwrap();
    assert_eq!(rename(slot, "lain").await, Renaming::NameTaken);
    for alike in ["la\u{200b}in", "ｌａｉｎ", "lain\u{fe0f}"] {
        assert_eq!(rename(slot, alike).await, Renaming::NameTaken, "{alike:?}");
        let added = store.add_bot(alike, "l1", START).await.unwrap();
        assert_eq!(added, AddBot::NameTaken, "{alike:?}");
    }
    assert_eq!(rename(slot, "kunci").await, Renaming::Done);
    assert_eq!(rename(slot, "baru").await, Renaming::Done);
    assert_eq!(store.bot(slot).await.unwrap().unwrap().name, "baru");
    assert_eq!(rename(9999, "siapa").await, Renaming::Unknown);
    assert!(store.remove_bot(slot, START).await.unwrap());
    assert_eq!(rename(slot, "siapa").await, Renaming::Unknown);
    assert!(store.bot(slot).await.unwrap().is_none());
    assert!(!store.set_bot_key(slot, "k9", START, None).await.unwrap());
}
