//! Inbound messages and receipts during a failure of the database. The gateway does not acknowledge
//! them to WhatsApp, and commits them as soon as the database works again.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{AnyConnection, Connection, Executor};
use waviro_link::ReceiptLevel;
use waviro_testing::engine::{TestEngine, until};
use waviro_testing::hooks::Hooks;
use waviro_testing::samples::inbound;
use waviro_testing::subscriptions::{received, subscribe_to};

const BUDI: &str = "6281300000001";

/// Another process locks the database for longer than the busy timeout.
#[tokio::test]
async fn what_came_while_the_database_could_not_be_written_is_committed_as_soon_as_it_can() {
    let gateway = TestEngine::online().await;
    let hooks = Hooks::start().await;
    subscribe_to(&gateway, &hooks.url("hook"), &["message.received"]).await;
    let mut sent = Vec::new();
    for n in 0..20 {
        let id = gateway.accept(BUDI, &format!("teks {n}")).await.unwrap().id;
        until(|| gateway.ack_of(&id), |ack| *ack == 1).await;
        sent.push(id);
    }
    let mut other = AnyConnection::connect(&gateway.url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let link = gateway.link();
    let first = link.inbound(vec![inbound("A1", BUDI, "satu")]);
    let receipts = join_all(sent.iter().map(|id| link.receipt(id, ReceiptLevel::Read)));
    let (first, receipts) = tokio::join!(first, receipts);
    assert!(first.is_err() && receipts.iter().all(Result::is_err));
    // WhatsApp redelivers the message on a new connection in the meantime.
    let again = link.inbound(vec![inbound("A1", BUDI, "satu")]).await;
    assert!(again.is_err());
    assert_eq!(received(&gateway, "").await.len(), 0);
    other.execute("ROLLBACK").await.unwrap();
    for id in &sent {
        let look = || async {
            gateway.pass(Duration::from_secs(1));
            gateway.ack_of(id).await
        };
        until(look, |ack| *ack == 3).await;
    }
    let look = || async {
        gateway.pass(Duration::from_secs(1));
        received(&gateway, "message.received").await
    };
    assert_eq!(until(look, |events| !events.is_empty()).await.len(), 1);
    hooks.wait_for(1).await;
    // A later redelivery is a duplicate.
    link.inbound(vec![inbound("A1", BUDI, "satu")])
        .await
        .unwrap();
    assert_eq!(received(&gateway, "message.received").await.len(), 1);
}
