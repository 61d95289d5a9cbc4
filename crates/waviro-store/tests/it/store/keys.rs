//! A bot's keys and name.

use waviro_store::{AddBot, PreviousKey, Renaming, SetKey, Store};
use waviro_testing::samples::START;

pub async fn keep_their_contract(store: &Store) {
    let AddBot::Added(bot_id) = store.add_bot("kunci", "k0", None, START).await.unwrap() else {
        panic!("the name is free");
    };
    a_replaced_key_is_kept_for_its_time_alone(store, bot_id).await;
    a_name_is_changed_and_stays_unique(store, bot_id).await;
    a_key_is_of_one_living_bot_alone(store).await;
}

async fn a_replaced_key_is_kept_for_its_time_alone(store: &Store, bot_id: i32) {
    let keys = async || {
        let row = store.bot(bot_id).await.unwrap().unwrap();
        (row.key_sha256, row.key_created_at, row.previous_key)
    };
    assert_eq!(keys().await, ("k0".to_owned(), Some(START), None));
    let until = START + 1000;
    let previous = |sha256: &str| {
        let sha256 = sha256.to_owned();
        Some(PreviousKey { sha256, until })
    };
    assert_eq!(
        store
            .set_bot_key(bot_id, "k1", START + 1, Some(until))
            .await
            .unwrap(),
        SetKey::Done
    );
    assert_eq!(
        keys().await,
        ("k1".to_owned(), Some(START + 1), previous("k0"))
    );
    // The store keeps only one previous key.
    assert_eq!(
        store
            .set_bot_key(bot_id, "k2", START + 2, Some(until))
            .await
            .unwrap(),
        SetKey::Done
    );
    assert_eq!(
        keys().await,
        ("k2".to_owned(), Some(START + 2), previous("k1"))
    );
    store.drop_previous_key(bot_id).await.unwrap();
    assert_eq!(keys().await.2, None);
    assert_eq!(
        store
            .set_bot_key(bot_id, "k3", START + 3, Some(until))
            .await
            .unwrap(),
        SetKey::Done
    );
    assert_eq!(
        store
            .set_bot_key(bot_id, "k4", START + 4, None)
            .await
            .unwrap(),
        SetKey::Done
    );
    assert_eq!(keys().await, ("k4".to_owned(), Some(START + 4), None));
}

async fn a_name_is_changed_and_stays_unique(store: &Store, bot_id: i32) {
    store.add_bot("lain", "l0", None, START).await.unwrap();
    let rename = async |bot_id: i32, name: &str| store.rename_bot(bot_id, name).await.unwrap();
    assert_eq!(rename(bot_id, "lain").await, Renaming::NameTaken);
    for alike in ["la\u{200b}in", "ｌａｉｎ", "lain\u{fe0f}"] {
        assert_eq!(
            rename(bot_id, alike).await,
            Renaming::NameTaken,
            "{alike:?}"
        );
        let added = store.add_bot(alike, "l1", None, START).await.unwrap();
        assert_eq!(added, AddBot::NameTaken, "{alike:?}");
    }
    assert_eq!(rename(bot_id, "kunci").await, Renaming::Done);
    assert_eq!(rename(bot_id, "baru").await, Renaming::Done);
    assert_eq!(store.bot(bot_id).await.unwrap().unwrap().name, "baru");
    assert_eq!(rename(9999, "siapa").await, Renaming::Unknown);
    assert!(store.remove_bot(bot_id, START).await.unwrap());
    assert_eq!(rename(bot_id, "siapa").await, Renaming::Unknown);
    assert!(store.bot(bot_id).await.unwrap().is_none());
    assert_eq!(
        store.set_bot_key(bot_id, "k9", START, None).await.unwrap(),
        SetKey::Unknown
    );
}

async fn a_key_is_of_one_living_bot_alone(store: &Store) {
    let add = async |name: &str, key: &str, now| store.add_bot(name, key, None, now).await.unwrap();
    let set = async |bot_id, key: &str, now, until| {
        store.set_bot_key(bot_id, key, now, until).await.unwrap()
    };
    let AddBot::Added(one) = add("satu kunci", "s1", START).await else {
        panic!("name and key are free");
    };
    let AddBot::Added(two) = add("dua kunci", "s2", START).await else {
        panic!("name and key are free");
    };
    assert_eq!(add("tiga kunci", "s1", START).await, AddBot::KeyTaken);
    assert_eq!(set(two, "s1", START, None).await, SetKey::Taken);
    // Setting a bot's current key again changes nothing.
    let before = store.bot(one).await.unwrap();
    assert_eq!(set(one, "s1", START + 5, None).await, SetKey::Done);
    assert_eq!(store.bot(one).await.unwrap(), before);
    // During its remaining time, a replaced key still belongs to its bot.
    assert_eq!(set(one, "s3", START, Some(START + 10)).await, SetKey::Done);
    assert_eq!(set(two, "s1", START + 9, None).await, SetKey::Taken);
    assert_eq!(set(one, "s1", START + 9, None).await, SetKey::Done);
    assert_eq!(
        set(one, "s3", START + 9, Some(START + 10)).await,
        SetKey::Done
    );
    assert_eq!(set(two, "s1", START + 10, None).await, SetKey::Done);
    // The key of a removed bot is free again.
    assert!(store.remove_bot(two, START + 10).await.unwrap());
    let AddBot::Added(again) = add("dua kunci", "s1", START + 10).await else {
        panic!("the key is free again");
    };
    // The SecretKey and the webhook key of a bot must differ.
    let sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    assert_eq!(set(again, sha256, START + 11, None).await, SetKey::Done);
    let alike = store.set_webhook_key(again, "secret".to_owned()).await;
    assert_eq!(alike.unwrap(), SetKey::KeysAlike);
    let other = store.set_webhook_key(one, "secret".to_owned()).await;
    assert_eq!(other.unwrap(), SetKey::Done);
    assert_eq!(set(again, "s4", START + 12, None).await, SetKey::Done);
    assert_eq!(set(one, sha256, START + 12, None).await, SetKey::KeysAlike);
    for bot_id in [one, again] {
        assert!(store.remove_bot(bot_id, START + 12).await.unwrap());
    }
}
