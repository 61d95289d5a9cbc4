//! A simulator with a data directory continues with the saved state after a restart.

use std::net::SocketAddr;

use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{PhoneSpec, Receipts, Sim};

use crate::client::{DEADLINE, TestClient};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const TO_BUDI: &str = "6282222222222@s.whatsapp.net";

async fn start(dir: &tempfile::TempDir, addr: SocketAddr) -> Sim {
    Sim::builder()
        .listen(addr)
        .data_dir(dir.path())
        .start()
        .await
        .expect("starts")
}

#[tokio::test]
async fn sessions_inboxes_groups_and_queues_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = start(&dir, "127.0.0.1:0".parse().expect("an address")).await;
    let addr = sim.addr();
    let key = sim.server_key();
    let shop = sim
        .add_phone(PhoneSpec::new(SHOP, "Shop").lid_migrated(false))
        .await;
    let budi = sim.phone(BUDI).await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let (client, device) = TestClient::paired(&sim, &shop).await;
    client.send(TO_BUDI, "before", "B-1").await;
    client
        .send(&format!("{}@g.us", group.id()), "group before", "B-2")
        .await;
    budi.wait_for(DEADLINE, |message| message.id == "B-2")
        .await
        .expect("arrives");
    budi.send_text(SHOP, "seen").await.expect("sent");
    client.text("seen").await;
    budi.set_receipts(Receipts::Delivered);
    let backend = client.shutdown().await;
    budi.send_text(SHOP, "while away").await.expect("sent");
    let group_text = budi
        .send_text_to_group(group.id(), "group while away")
        .await
        .expect("sent");
    let inbox = budi.inbox().await;
    let lid = budi.lid().to_owned();
    sim.stop().await;

    let sim = start(&dir, addr).await;
    assert_eq!(sim.server_key(), key);
    let budi = sim.find_phone(BUDI).expect("kept");
    assert_eq!((budi.lid(), budi.inbox().await), (lid.as_str(), inbox));
    assert!(!sim.find_phone(SHOP).expect("kept").is_lid_migrated());
    assert_eq!(
        sim.devices()
            .await
            .iter()
            .map(|device| device.id.clone())
            .collect::<Vec<_>>(),
        [device.id]
    );
    let client = TestClient::resume(&sim.ws_url(), key, backend).await;
    client.connected().await;
    client.text("while away").await;
    assert_eq!(client.text("group while away").await.id, group_text);
    client.send(TO_BUDI, "after", "B-3").await;
    budi.wait_for(DEADLINE, |message| message.id == "B-3")
        .await
        .expect("arrives");
    client.receipt("B-3", ReceiptType::Delivered).await;
    client
        .send(&format!("{}@g.us", group.id()), "group after", "B-4")
        .await;
    budi.wait_for(DEADLINE, |message| message.id == "B-4")
        .await
        .expect("arrives");
    budi.send_text(SHOP, "hello again").await.expect("sent");
    client.text("hello again").await;
    // An id from before the restart is still known.
    client.send(TO_BUDI, "before", "B-1").await;
    client.send(TO_BUDI, "last", "B-5").await;
    budi.wait_for(DEADLINE, |message| message.id == "B-5")
        .await
        .expect("arrives");
    assert_eq!(
        budi.inbox()
            .await
            .iter()
            .filter(|message| message.id == "B-1")
            .count(),
        1
    );
    assert_eq!(budi.read(SHOP).await, 2);
    sim.stop().await;
}

#[tokio::test]
async fn a_client_comes_back_by_itself_when_the_simulator_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = start(&dir, "127.0.0.1:0".parse().expect("an address")).await;
    let addr = sim.addr();
    let shop = sim.phone(SHOP).await;
    sim.phone(BUDI).await;
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let seen = client.seen();
    sim.stop().await;
    let sim = start(&dir, addr).await;
    client
        .event_after(seen, "Connected again", |event| {
            matches!(event, whatsapp_rust::prelude::Event::Connected(_)).then_some(())
        })
        .await;
    client.send(TO_BUDI, "back", "BACK").await;
    sim.phone(BUDI)
        .await
        .wait_for(DEADLINE, |message| message.id == "BACK")
        .await
        .expect("arrives");
    sim.stop().await;
}

#[tokio::test]
async fn a_phone_that_is_off_is_still_off_after_a_restart_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = start(&dir, "127.0.0.1:0".parse().expect("an address")).await;
    let addr = sim.addr();
    let shop = sim.phone(SHOP).await;
    let budi = sim.phone(BUDI).await;
    let (client, _) = TestClient::paired(&sim, &shop).await;
    budi.set_online(false);
    client.send(TO_BUDI, "encrypted", "O-1").await;
    client.ack("O-1").await;
    let plain = shop.send_text(BUDI, "from the phone").await.expect("sent");
    sim.stop().await;
    let sim = start(&dir, addr).await;
    let budi = sim.find_phone(BUDI).expect("kept");
    assert!(budi.inbox().await.is_empty());
    budi.set_online(true);
    let ids: Vec<_> = budi
        .inbox()
        .await
        .into_iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(ids, ["O-1".to_owned(), plain]);
    client.receipt("O-1", ReceiptType::Read).await;
    sim.stop().await;
}

#[tokio::test]
async fn a_broken_data_directory_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("server.json"), "{").expect("written");
    let error = Sim::builder()
        .data_dir(dir.path())
        .start()
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("server.json"), "{error}");
}
