//! Subscriptions of a test, and access to the stored events.

use serde_json::Value;
use sqlx::{Connection, Row};
use url::Url;
use waviro_store::{EventKind, Kinds, NewSubscription, SubscriptionRow};

use crate::engine::TestEngine;

/// Subscribes to everything except the link's states, because the first state comes with the start
/// of the bot. Returns the id.
pub async fn subscribe(gateway: &TestEngine, url: &Url) -> i64 {
    let kinds = EventKind::ALL.map(EventKind::word);
    let kinds: Vec<_> = kinds
        .into_iter()
        .filter(|kind| *kind != "bot.state")
        .collect();
    subscribe_to(gateway, url, &kinds).await
}

/// Subscribes to these kinds and returns the id.
pub async fn subscribe_to(gateway: &TestEngine, url: &Url, kinds: &[&str]) -> i64 {
    let new = NewSubscription {
        url: url.clone(),
        kinds: Kinds::of(kinds.iter().copied()).unwrap(),
        enabled: true,
        timeout_s: None,
    };
    let store = &gateway.engine.store;
    let added = store.add_subscription(gateway.bot.id(), new, gateway.clock.now());
    added.await.unwrap().unwrap().id
}

pub async fn subscription(gateway: &TestEngine, id: i64) -> SubscriptionRow {
    let row = gateway
        .engine
        .store
        .subscription(gateway.bot.id(), id)
        .await;
    row.unwrap().unwrap()
}

/// Returns the stored events whose type begins with `kind`, in order and without signatures.
pub async fn received(gateway: &TestEngine, kind: &str) -> Vec<Value> {
    let rows = gateway
        .engine
        .store
        .events_after(0, None, 1000)
        .await
        .unwrap();
    let rows = rows.into_iter().filter(|row| row.kind.starts_with(kind));
    rows.map(|row| {
        let mut event = serde_json::from_str(&row.body).unwrap();
        without_signature(&mut event);
        event
    })
    .collect()
}

/// Replaces the signature of the link, because each installation has another secret.
pub fn without_signature(event: &mut Value) {
    if let Some(Value::String(url)) = event.pointer_mut("/data/media/url") {
        let (kept, signature) = url.split_once("&signature=").unwrap();
        assert_eq!(signature.len(), 64);
        *url = format!("{kept}&signature=…");
    }
}

/// Returns the outcome of every delivery, oldest first; empty for an unfinished delivery.
pub async fn every_delivery(gateway: &TestEngine) -> Vec<String> {
    let mut connection = sqlx::AnyConnection::connect(&gateway.url()).await.unwrap();
    let rows = sqlx::query("SELECT COALESCE(fate, '') FROM deliveries ORDER BY id")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
