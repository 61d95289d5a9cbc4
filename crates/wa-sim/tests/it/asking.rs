//! Retry receipts of phones for messages that cannot be decrypted.

use std::net::SocketAddr;
use std::time::Duration;

use wa_sim::{Phone, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const TO_BUDI: &str = "6282222222222@s.whatsapp.net";

/// The number of retry receipts that a phone sends for a message.
const ASKS: usize = 4;

/// Returns a client that sent a message to Budi's phone while the phone is off. The message waits
/// in the queue.
async fn waiting(sim: &Sim, ask_again: Duration) -> (TestClient, Phone) {
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    budi.set_ask_again(ask_again);
    let (client, _) = TestClient::paired(sim, &shop).await;
    budi.set_online(false);
    client.send(TO_BUDI, "hello", "A-1").await;
    client.ack("A-1").await;
    (client, budi)
}

/// Waits for a number of retry receipts from Budi.
async fn asked(events: &mut tokio::sync::broadcast::Receiver<SimEvent>, times: usize) {
    let mut seen = 0;
    let asks = async {
        while seen < times {
            let event = events.recv().await.expect("reports");
            seen += usize::from(is_ask(&event));
        }
    };
    let done = tokio::time::timeout(DEADLINE, asks).await.is_ok();
    assert!(done, "asked {seen} times, not {times}");
}

fn is_ask(event: &SimEvent) -> bool {
    matches!(event, SimEvent::Receipt { from, kind, .. } if from == BUDI && kind == "retry")
}

async fn shown(budi: &Phone) {
    budi.wait_for(DEADLINE, |message| message.id == "A-1")
        .await
        .expect("shown");
}

#[tokio::test]
async fn who_is_not_answered_asks_four_times_and_is_answered_late() {
    let sim = Sim::start().await.expect("starts");
    let (client, budi) = waiting(&sim, Duration::from_millis(50)).await;
    let backend = client.shutdown().await;
    let mut events = sim.events();
    sim.faults().fail_decrypts(1);
    budi.set_online(true);
    asked(&mut events, ASKS).await;
    // A client that reconnects gets the queued retry receipts.
    let _client = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    shown(&budi).await;
    while let Ok(event) = events.try_recv() {
        assert!(!is_ask(&event), "a fifth time");
    }
}

#[tokio::test]
async fn who_does_not_ask_again_asks_once() {
    let sim = Sim::start().await.expect("starts");
    let (client, budi) = waiting(&sim, Duration::ZERO).await;
    let mut events = sim.events();
    sim.faults().fail_decrypts(1);
    budi.set_online(true);
    shown(&budi).await;
    asked(&mut events, 1).await;
    while let Ok(event) = events.try_recv() {
        assert!(!is_ask(&event), "a second time");
    }
    drop(client);
}

#[tokio::test]
async fn a_message_that_was_asked_for_twice_is_spared() {
    let sim = Sim::start().await.expect("starts");
    let (_client, budi) = waiting(&sim, Duration::from_millis(50)).await;
    let mut events = sim.events();
    sim.faults().fail_decrypts(u32::MAX);
    budi.set_online(true);
    shown(&budi).await;
    let mut failed = 0;
    while let Ok(event) = events.try_recv() {
        failed +=
            usize::from(matches!(event, SimEvent::Undecryptable { phone, .. } if phone == BUDI));
    }
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn what_was_asked_for_is_asked_for_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = async |addr: SocketAddr| {
        let sim = Sim::builder().listen(addr).data_dir(dir.path());
        sim.start().await.expect("starts")
    };
    let sim = start("127.0.0.1:0".parse().expect("an address")).await;
    let (client, budi) = waiting(&sim, Duration::from_secs(1)).await;
    let backend = client.shutdown().await;
    sim.faults().fail_decrypts(1);
    budi.set_online(true);
    let (addr, key) = (sim.addr(), sim.server_key());
    sim.stop().await;

    let sim = start(addr).await;
    let mut events = sim.events();
    asked(&mut events, 1).await;
    let _client = TestClient::resume(&sim.ws_url(), key, backend).await;
    let budi = sim.find_phone(BUDI).expect("kept");
    shown(&budi).await;
}
