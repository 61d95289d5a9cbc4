//! Inbound messages and receipts during a failure of the database. The gateway does not acknowledge
//! them to WhatsApp, and commits them as soon as the database works again.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{AnyConnection, Connection, Executor};
use waviro_link::ReceiptLevel;

use crate::engine::{Rig, until};
use crate::events::rig::{subscribe_to, told};
use crate::webhooks::rig::{Hooks, inbound};

const BUDI: &str = "6281300000001";

/// Another process locks the database for longer than the busy timeout.
#[tokio::test]
async fn what_came_while_the_database_could_not_be_written_is_committed_as_soon_as_it_can() {
    let rig = Rig::online().await;
    let hooks = Hooks::start().await;
    subscribe_to(&rig, &hooks.url("hook"), &["message.received"]).await;
    let mut sent = Vec::new();
    for n in 0..20 {
        let id = rig.accept(BUDI, &format!("teks {n}")).await.unwrap().id;
        until(|| rig.ack_of(&id), |ack| *ack == 1).await;
        sent.push(id);
    }
    let mut other = AnyConnection::connect(&rig.url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let link = rig.link();
    let first = link.inbound(vec![inbound("A1", BUDI, "satu")]);
    let receipts = join_all(sent.iter().map(|id| link.receipt(id, ReceiptLevel::Read)));
    let (first, receipts) = tokio::join!(first, receipts);
    assert!(first.is_err() && receipts.iter().all(Result::is_err));
    // WhatsApp redelivers the message on a new connection in the meantime.
    let again = link.inbound(vec![inbound("A1", BUDI, "satu")]).await;
    assert!(again.is_err());
    assert_eq!(told(&rig, "").await.len(), 0);
    other.execute("ROLLBACK").await.unwrap();
    for id in &sent {
        let look = || async {
            rig.pass(Duration::from_secs(1));
            rig.ack_of(id).await
        };
        until(look, |ack| *ack == 3).await;
    }
    let look = || async {
        rig.pass(Duration::from_secs(1));
        told(&rig, "message.received").await
    };
    assert_eq!(until(look, |events| !events.is_empty()).await.len(), 1);
    hooks.wait_for(1).await;
    // A later redelivery is a duplicate.
    link.inbound(vec![inbound("A1", BUDI, "satu")])
        .await
        .unwrap();
    assert_eq!(told(&rig, "message.received").await.len(), 1);
}
