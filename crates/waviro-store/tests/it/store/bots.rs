//! The bots of the store.

use waviro_link::Identity;
use waviro_store::{AddBot, SetKey, Store};
use waviro_testing::samples::{START, number};

pub async fn live_and_die_by_name_and_slots_are_never_reused(store: &Store) {
    assert_eq!(
        store.add_bot("toko", "aa", None, START).await.unwrap(),
        AddBot::Added(1)
    );
    assert_eq!(
        store.add_bot("toko", "bb", None, START).await.unwrap(),
        AddBot::NameTaken
    );
    let set = async |bot_id, key: &str| store.set_bot_key(bot_id, key, START, None).await.unwrap();
    assert_eq!(set(1, "cc").await, SetKey::Done);
    assert_eq!(set(9, "dd").await, SetKey::Unknown);
    let identity = Identity {
        number: number("6281200000001"),
        name: "Toko".to_owned(),
    };
    store.bot_linked(1, &identity).await.unwrap();
    let bots = store.bots().await.unwrap();
    assert_eq!(
        (
            bots[0].key_sha256.as_str(),
            &bots[0].linked,
            bots[0].removed
        ),
        ("cc", &Some(identity), false)
    );
    assert!(store.remove_bot(1, START).await.unwrap());
    assert!(!store.remove_bot(1, START).await.unwrap());
    assert!(store.bots().await.unwrap()[0].removed);
    assert_eq!(
        store.add_bot("toko", "ee", None, START).await.unwrap(),
        AddBot::Added(2)
    );
    store.bot_forgotten(1, START).await.unwrap();
    assert_eq!(store.bots().await.unwrap().len(), 1);
    assert!(store.remove_bot(2, START).await.unwrap());
    store.bot_forgotten(2, START).await.unwrap();
    assert_eq!(
        store.add_bot("toko", "ff", None, START).await.unwrap(),
        AddBot::Added(3)
    );
}
