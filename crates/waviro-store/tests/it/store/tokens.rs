//! Tokens of the administration API.

use waviro_store::{AddBot, AddToken, Store, TokenRole, TokenRow};
use waviro_testing::samples::START;

pub async fn keep_their_contract(store: &Store) {
    a_token_is_found_by_its_hash_until_it_is_revoked_or_expires(store).await;
    when_a_token_was_used_is_written_once_a_minute(store).await;
    a_bots_tokens_die_with_it(store).await;
    tokens_are_listed_by_id_dead_ones_included(store).await;
}

async fn add(store: &Store, name: &str, role: TokenRole, expires_at: Option<i64>) -> TokenRow {
    let hash = format!("hash of {name}");
    let added = store.add_token(name, &hash, role, START, expires_at);
    match added.await.unwrap() {
        AddToken::Added(row) => row,
        other => panic!("{name}: {other:?}"),
    }
}

async fn lives(store: &Store, name: &str, now: i64) -> bool {
    let found = store
        .use_token(&format!("hash of {name}"), now)
        .await
        .unwrap();
    found.is_some()
}

async fn a_token_is_found_by_its_hash_until_it_is_revoked_or_expires(store: &Store) {
    let one = add(store, "satu", TokenRole::Admin, None).await;
    let brief = add(store, "sebentar", TokenRole::Admin, Some(START + 1000)).await;
    assert_ne!(one.id, brief.id);
    let again = store.add_token("satu", "another hash", TokenRole::Admin, START, None);
    assert_eq!(again.await.unwrap(), AddToken::NameTaken);
    assert!(!lives(store, "dua", START).await);
    assert!(lives(store, "satu", START).await && lives(store, "sebentar", START + 999).await);
    assert!(!lives(store, "sebentar", START + 1000).await);
    assert_eq!(store.token_named("satu").await.unwrap(), Some(one.id));
    assert!(store.revoke_token(one.id, START + 5).await.unwrap());
    assert!(!store.revoke_token(one.id, START + 6).await.unwrap());
    assert!(!lives(store, "satu", START + 5).await);
    let dead = store.token(one.id).await.unwrap().unwrap();
    assert_eq!(dead.revoked_at, Some(START + 5));
    assert_eq!(store.token_named("satu").await.unwrap(), None);
    // The name is free again, but the id is not reused.
    let fresh = store.add_token("satu", "a fresh hash", TokenRole::Admin, START, None);
    assert!(matches!(fresh.await.unwrap(), AddToken::Added(row) if row.id > brief.id));
}

async fn when_a_token_was_used_is_written_once_a_minute(store: &Store) {
    let token = add(store, "rajin", TokenRole::Admin, None).await;
    let used = async || store.token(token.id).await.unwrap().unwrap().last_used_at;
    assert_eq!(used().await, None);
    assert!(lives(store, "rajin", START).await);
    let commits = store.commits();
    for later in [1, 1000, 59_999] {
        assert!(lives(store, "rajin", START + later).await);
    }
    assert_eq!((used().await, store.commits()), (Some(START), commits));
    assert!(lives(store, "rajin", START + 60_000).await);
    assert_eq!(used().await, Some(START + 60_000));
}

async fn a_bots_tokens_die_with_it(store: &Store) {
    let AddBot::Added(bot_id) = store.add_bot("sementara", "s0", None, START).await.unwrap() else {
        panic!("the name is free");
    };
    let token = add(store, "penjaga", TokenRole::Bot(bot_id), None).await;
    assert_eq!(
        store.token(token.id).await.unwrap().unwrap().role,
        TokenRole::Bot(bot_id)
    );
    assert!(lives(store, "penjaga", START).await);
    store.remove_bot(bot_id, START + 7).await.unwrap();
    assert!(!lives(store, "penjaga", START).await);
    let late = store.add_token("terlambat", "t", TokenRole::Bot(bot_id), START, None);
    assert_eq!(late.await.unwrap(), AddToken::NoSuchBot);
}

async fn tokens_are_listed_by_id_dead_ones_included(store: &Store) {
    let all = store.tokens(0, 1000).await.unwrap();
    assert!(all.is_sorted_by_key(|token| token.id));
    assert!(all.iter().any(|token| token.revoked_at.is_some()));
    let page = store.tokens(all[0].id, 2).await.unwrap();
    assert_eq!(page, all[1..3]);
}
