//! Long backlogs of waiting deliveries: counting, redirecting, ending and waking, with a few rows
//! per transaction.

use url::Url;
use waviro_store::{
    AddRule, AttemptFailure, Due, EndpointFailure, Hook, NewInboundRow, NewRule, ReplyOutcome,
    RuleChange, Store, endpoint_of,
};
use waviro_testing::samples::START;
use waviro_testing::samples::picture;

use super::attempt;

/// A bot id that no other test uses.
const BOT_ID: i32 = 78;

/// More rows than two transactions take.
const MANY: usize = 450;

pub async fn keeps_its_contract(store: &Store) {
    a_long_backlog_follows_its_rule_and_ends_with_it(store).await;
    a_long_backlog_is_woken_when_its_endpoint_works(store).await;
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn rule(store: &Store, keyword: &str, to: &Url) -> i64 {
    let new = NewRule {
        keyword: keyword.to_owned(),
        folded: keyword.to_owned(),
        url: to.clone(),
        enabled: true,
        in_groups: false,
        timeout_s: None,
    };
    match store.add_rule(BOT_ID, new, START).await.unwrap() {
        AddRule::Done(rule) => rule.id,
        other => panic!("{other:?}"),
    }
}

/// Creates webhooks that wait for a rule, with none in memory.
async fn backlog(store: &Store, name: &str, source: i64, to: &Url) -> Vec<Due> {
    let rows = (0..MANY).map(|n| {
        let message = picture(&format!("{name}{n}"));
        let hook = Hook {
            bot_id: BOT_ID,
            subject: format!("{name}{n}"),
            chat: Some(message.chat.clone()),
            source,
            webhook_id: format!("{name}{n}"),
            url: to.clone(),
            body: "{}".to_owned(),
            line: None,
        };
        NewInboundRow::new(message, vec![hook])
    });
    let kept = store
        .keep_inbound(BOT_ID, rows.collect(), START)
        .await
        .unwrap();
    assert_eq!(kept.due.len(), MANY);
    kept.due
}

async fn release(store: &Store, due: &[Due]) {
    let ids = due.iter().map(|due| due.id).collect();
    store.release(ids, START).await.unwrap();
}

async fn a_long_backlog_follows_its_rule_and_ends_with_it(store: &Store) {
    let (old, new) = (url("http://old.example/a"), url("https://new.example/b"));
    let id = rule(store, "follow", &old).await;
    let due = backlog(store, "W", id, &old).await;
    let open = || {
        let waiting = store.waiting();
        (
            waiting.open_in(&endpoint_of(&old)),
            waiting.open_in(&endpoint_of(&new)),
        )
    };
    assert_eq!(open(), (450, 0));
    let change = RuleChange {
        url: Some(new.clone()),
        ..RuleChange::default()
    };
    store.change_rule(BOT_ID, id, change, START).await.unwrap();
    assert_eq!(open(), (0, 450));
    // Deliveries in memory also go to the new URL.
    let hook = store.webhook(due[7].id).await.unwrap().unwrap();
    assert_eq!(hook.url, new);
    assert!(
        store
            .claim(&endpoint_of(&old), BOT_ID, 10, START)
            .await
            .unwrap()
            .is_empty()
    );
    release(store, &due[1..]).await;
    assert!(store.delete_rule(BOT_ID, id, START).await.unwrap());
    // One delivery is in memory and will be cancelled before its next attempt.
    assert_eq!(open(), (0, 1));
    let hook = store.webhook(due[0].id).await.unwrap().unwrap();
    assert!(hook.cancelled);
    let outcome = waviro_store::DeliveryOutcome::Cancelled;
    store
        .end(&due[0], outcome, None, None, START)
        .await
        .unwrap();
    assert_eq!(open(), (0, 0));
    let last = store.delivery(BOT_ID, due[449].id).await.unwrap().unwrap();
    assert_eq!(last.outcome, Some(outcome));
    let note = last.note.unwrap();
    assert_eq!(note.text, "the rule was deleted");
    assert_eq!(note.outcome, ReplyOutcome::Cancelled);
}

async fn a_long_backlog_is_woken_when_its_endpoint_works(store: &Store) {
    let to = url("http://woken.example/a");
    let (id, endpoint) = (rule(store, "wake", &to).await, endpoint_of(&to));
    let due = backlog(store, "V", id, &to).await;
    for (n, due) in due.iter().enumerate() {
        let failed = attempt(Some(AttemptFailure::status(500)));
        // For one delivery the endpoint itself asked for a pause.
        let put_off = store.put_off(due, failed, START + 60_000, n == 3);
        put_off.await.unwrap();
    }
    let failure = EndpointFailure {
        endpoint: endpoint.clone(),
        failing_since: START,
        last_error: AttemptFailure::status(500),
        off_at: None,
    };
    store.endpoint_fails(failure.clone()).await.unwrap();
    let endpoint_failures = store.waiting_for().await.unwrap();
    assert!(
        endpoint_failures.contains(&(failure, 450)),
        "{endpoint_failures:?}"
    );
    let now = START + 10;
    assert_eq!(
        store.endpoint_works(&endpoint, true, now).await.unwrap(),
        449
    );
    let claimed = store.claim(&endpoint, BOT_ID, 1_000, now).await.unwrap();
    assert_eq!(claimed.len(), 449);
    assert!(claimed.iter().all(|due| due.attempts == 0));
    assert!(store.delete_rule(BOT_ID, id, now).await.unwrap());
    release(store, &claimed).await;
    for due in claimed {
        let outcome = waviro_store::DeliveryOutcome::Cancelled;
        store.end(&due, outcome, None, None, now).await.unwrap();
    }
    assert_eq!(store.waiting().open_in(&endpoint), 0);
}
