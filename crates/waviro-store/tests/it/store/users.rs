//! Users of the dashboard and their sessions.

use waviro_store::{AddBot, AddUser, ChangeUser, Store, UserChange, UserRole, UserRow};
use waviro_testing::samples::START;

pub async fn keep_their_contract(store: &Store) {
    only_one_user_is_the_first(store).await;
    a_session_is_somebodys_until_it_ends(store).await;
    a_new_password_and_a_removal_end_sessions_and_another_role_does_not(store).await;
    an_operator_has_living_bots_and_others_have_none(store).await;
    there_is_always_an_admin(store).await;
    users_are_listed_by_id_without_those_that_were_removed(store).await;
}

async fn add(store: &Store, name: &str, role: UserRole) -> UserRow {
    let added = store.add_user(name, "a hash", role, false, START).await;
    match added.unwrap() {
        AddUser::Added(user) => user,
        other => panic!("{name}: {other:?}"),
    }
}

async fn role(store: &Store, id: i64, role: UserRole) -> ChangeUser {
    let change = UserChange {
        role: Some(role),
        password: None,
    };
    store.change_user(id, change).await.unwrap()
}

async fn whose(store: &Store, session: &str, now: i64) -> Option<i64> {
    let user = store.session(session, now).await.unwrap();
    user.map(|user| user.id)
}

async fn only_one_user_is_the_first(store: &Store) {
    assert!(!store.has_users().await.unwrap());
    let first = async |name| {
        let added = store.add_user(name, "a hash", UserRole::Admin, true, START);
        added.await.unwrap()
    };
    let (one, other) = tokio::join!(first("pertama"), first("kedua"));
    let made = [&one, &other].map(|added| matches!(added, AddUser::Added(_)));
    assert_ne!(made[0], made[1], "{one:?} {other:?}");
    assert!([one, other].contains(&AddUser::NotFirst));
    assert!(store.has_users().await.unwrap());
}

async fn a_session_is_somebodys_until_it_ends(store: &Store) {
    let user = add(store, "ani", UserRole::Viewer).await;
    let known = store.password_of("ani").await.unwrap();
    assert_eq!(known, Some((user.id, "a hash".to_owned())));
    assert_eq!(store.password_of("Ani").await.unwrap(), None);
    for (session, until) in [("short", START + 10), ("long", START + 1000)] {
        let begun = store.begin_session(session, user.id, START, until);
        begun.await.unwrap();
    }
    assert_eq!(whose(store, "short", START + 9).await, Some(user.id));
    assert_eq!(whose(store, "short", START + 10).await, None);
    assert_eq!(whose(store, "unknown", START).await, None);
    // A new session removes expired sessions; valid sessions stay.
    let later = store.begin_session("later", user.id, START + 20, START + 1000);
    later.await.unwrap();
    assert_eq!(whose(store, "short", START).await, None);
    assert_eq!(whose(store, "long", START + 20).await, Some(user.id));
    store.end_session("long").await.unwrap();
    store.end_session("long").await.unwrap();
    assert_eq!(whose(store, "long", START + 20).await, None);
    assert_eq!(whose(store, "later", START + 20).await, Some(user.id));
}

async fn a_new_password_and_a_removal_end_sessions_and_another_role_does_not(store: &Store) {
    let (one, other) = (
        add(store, "budi", UserRole::Viewer).await,
        add(store, "citra", UserRole::Viewer).await,
    );
    for (session, user) in [("s1", one.id), ("s2", one.id), ("s3", other.id)] {
        let begun = store.begin_session(session, user, START, START + 1000);
        begun.await.unwrap();
    }
    let changed = role(store, one.id, UserRole::Operator(Vec::new())).await;
    assert_eq!(changed, ChangeUser::Changed);
    let user = store.session("s1", START).await.unwrap().unwrap();
    assert_eq!(user.role, UserRole::Operator(Vec::new()));
    let change = UserChange {
        password: Some("another hash".to_owned()),
        role: None,
    };
    let changed = store.change_user(one.id, change).await.unwrap();
    assert_eq!(changed, ChangeUser::Changed);
    let known = store.password_of("budi").await.unwrap();
    assert_eq!(known, Some((one.id, "another hash".to_owned())));
    for session in ["s1", "s2"] {
        assert_eq!(whose(store, session, START).await, None, "{session}");
    }
    assert_eq!(whose(store, "s3", START).await, Some(other.id));
    let removed = store.remove_user(other.id, START + 5).await.unwrap();
    assert_eq!(removed, ChangeUser::Changed);
    assert_eq!(whose(store, "s3", START).await, None);
    for gone in [
        store.remove_user(other.id, START + 6).await.unwrap(),
        role(store, other.id, UserRole::Admin).await,
    ] {
        assert_eq!(gone, ChangeUser::NoSuchUser);
    }
    // The name is free again, but the id is not reused.
    assert!(add(store, "citra", UserRole::Viewer).await.id > other.id);
    let again = store.add_user("citra", "a hash", UserRole::Viewer, false, START);
    assert_eq!(again.await.unwrap(), AddUser::NameTaken);
}

async fn an_operator_has_living_bots_and_others_have_none(store: &Store) {
    let mut bot_ids = Vec::new();
    for name in ["bot satu", "bot dua"] {
        let added = store
            .add_bot(name, &format!("key of {name}"), None, START)
            .await;
        let AddBot::Added(bot_id) = added.unwrap() else {
            panic!("{name}");
        };
        bot_ids.push(bot_id);
    }
    let both = UserRole::Operator(bot_ids.clone());
    let user = add(store, "dewi", both.clone()).await;
    assert_eq!(store.user(user.id).await.unwrap().unwrap().role, both);
    store
        .begin_session("dewi", user.id, START, START + 1000)
        .await
        .unwrap();
    let known = store.session("dewi", START).await.unwrap().unwrap();
    assert_eq!(known.role, both);
    let one = UserRole::Operator(vec![bot_ids[1]]);
    assert_eq!(role(store, user.id, one.clone()).await, ChangeUser::Changed);
    assert_eq!(store.user(user.id).await.unwrap().unwrap().role, one);
    store.remove_bot(bot_ids[0], START).await.unwrap();
    for nobodys in [vec![bot_ids[0]], vec![bot_ids[1], 999_999]] {
        let nobodys = UserRole::Operator(nobodys);
        let refused = role(store, user.id, nobodys.clone()).await;
        assert_eq!(refused, ChangeUser::NoSuchBot);
        let refused = store.add_user("eka", "a hash", nobodys, false, START);
        assert_eq!(refused.await.unwrap(), AddUser::NoSuchBot);
    }
    // The refused changes have no effect.
    assert_eq!(store.user(user.id).await.unwrap().unwrap().role, one);
    assert_eq!(store.password_of("eka").await.unwrap(), None);
    let done = role(store, user.id, UserRole::Viewer).await;
    assert_eq!(done, ChangeUser::Changed);
    let done = role(store, user.id, UserRole::Operator(Vec::new())).await;
    assert_eq!(done, ChangeUser::Changed);
    let known = store.user(user.id).await.unwrap().unwrap().role;
    assert_eq!(
        known,
        UserRole::Operator(Vec::new()),
        "what was is forgotten"
    );
}

async fn there_is_always_an_admin(store: &Store) {
    let admins = store.users(0, 1000).await.unwrap();
    let admins: Vec<_> = admins
        .iter()
        .filter(|user| user.role == UserRole::Admin)
        .collect();
    let [first] = admins.as_slice() else {
        panic!("{admins:?}");
    };
    for refused in [
        store.remove_user(first.id, START).await.unwrap(),
        role(store, first.id, UserRole::Viewer).await,
    ] {
        assert_eq!(refused, ChangeUser::LastAdmin);
    }
    assert_eq!(
        role(store, first.id, UserRole::Admin).await,
        ChangeUser::Changed
    );
    let second = add(store, "fajar", UserRole::Admin).await;
    let (one, other) = tokio::join!(
        store.remove_user(first.id, START),
        store.remove_user(second.id, START)
    );
    let ends = [one.unwrap(), other.unwrap()];
    assert!(
        ends.contains(&ChangeUser::Changed) && ends.contains(&ChangeUser::LastAdmin),
        "{ends:?}"
    );
}

async fn users_are_listed_by_id_without_those_that_were_removed(store: &Store) {
    let all = store.users(0, 1000).await.unwrap();
    assert!(all.len() > 3 && all.is_sorted_by_key(|user| user.id));
    assert!(all.iter().filter(|user| user.name == "citra").count() == 1);
    let page = store.users(all[0].id, 2).await.unwrap();
    assert_eq!(page, all[1..3]);
    assert_eq!(store.user(all[1].id).await.unwrap().as_ref(), Some(&all[1]));
    assert_eq!(store.user(999_999).await.unwrap(), None);
}
