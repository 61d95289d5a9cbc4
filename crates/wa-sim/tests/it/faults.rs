//! Tests of each fault.

use std::time::Duration;

use whatsapp_rust::prelude::Event;
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{Pattern, Phone, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const TO_BUDI: &str = "6282222222222@s.whatsapp.net";

async fn shop_and_budi() -> (Sim, Phone, Phone, TestClient, String) {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (client, device) = TestClient::paired(&sim, &shop).await;
    (sim, shop, budi, client, device.id)
}

#[tokio::test]
async fn a_held_back_ack_comes_after_the_receipts() {
    let (sim, _shop, _budi, client, _) = shop_and_budi().await;
    sim.faults().set_ack_delay(Duration::from_millis(100));
    client.send(TO_BUDI, "hello", "LATE").await;
    client.receipt("LATE", ReceiptType::Read).await;
    let is_ack = |event: &Event| matches!(event, Event::ServerAck(ack) if ack.id == "LATE");
    assert_eq!(client.count(is_ack), 0);
    assert_eq!(client.ack("LATE").await, None);
}

#[tokio::test]
async fn a_dropped_ack_is_never_sent_but_the_message_arrives() {
    let (sim, _shop, _budi, client, _) = shop_and_budi().await;
    sim.faults().drop_acks(1);
    client.send(TO_BUDI, "hello", "GONE").await;
    client.receipt("GONE", ReceiptType::Read).await;
    client.send(TO_BUDI, "again", "SEEN").await;
    client.ack("SEEN").await;
    assert_eq!(
        client.count(|event| matches!(event, Event::ServerAck(ack) if ack.id == "GONE")),
        0
    );
}

#[tokio::test]
async fn a_refused_message_carries_its_code_and_arrives_nowhere() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    sim.faults().nack_next(1, 479);
    client.send(TO_BUDI, "no", "NACK").await;
    assert_eq!(client.ack("NACK").await.as_deref(), Some("479"));
    client.send(TO_BUDI, "yes", "ACK").await;
    assert_eq!(client.ack("ACK").await, None);
    budi.wait_for(DEADLINE, |message| message.id == "ACK")
        .await
        .expect("arrives");
    assert!(
        budi.inbox()
            .await
            .iter()
            .all(|message| message.id != "NACK")
    );
}

#[tokio::test]
async fn what_was_refused_is_no_repeat_when_it_comes_again() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    sim.faults().set_dedupe(true);
    sim.faults().nack_next(1, 479);
    client.send(TO_BUDI, "again", "TWICE").await;
    assert_eq!(client.ack("TWICE").await.as_deref(), Some("479"));
    client.send(TO_BUDI, "again", "TWICE").await;
    budi.wait_for(DEADLINE, |message| message.id == "TWICE")
        .await
        .expect("arrives");
}

#[tokio::test]
async fn what_a_stalled_device_sends_is_lost() {
    let (sim, _shop, budi, client, device) = shop_and_budi().await;
    client.send(TO_BUDI, "before", "S-0").await;
    client.ack("S-0").await;
    sim.faults().stall(&device, true);
    client.send(TO_BUDI, "into the void", "S-1").await;
    // The client and the phone continue to send during the stall.
    budi.send_text(SHOP, "not forwarded").await.expect("sent");
    assert!(sim.drop_device(&device, wa_sim::Drop::Abrupt).await);
    sim.faults().stall(&device, false);
    client.text("not forwarded").await;
    client.send(TO_BUDI, "after", "S-2").await;
    budi.wait_for(DEADLINE, |message| message.id == "S-2")
        .await
        .expect("arrives");
    assert!(budi.inbox().await.iter().all(|message| message.id != "S-1"));
    assert_eq!(
        client.count(|event| matches!(event, Event::ServerAck(ack) if ack.id == "S-1")),
        0
    );
}

#[tokio::test]
async fn a_phone_that_cannot_decrypt_asks_again_and_shows_it_once() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    client.send(TO_BUDI, "warm", "D-0").await;
    client.receipt("D-0", ReceiptType::Read).await;
    // A resend after a retry receipt is not a repeat.
    sim.faults().set_dedupe(true);
    sim.faults().fail_decrypts(1);
    client.send(TO_BUDI, "say that again", "D-1").await;
    // The fault can also apply to the copy for the own phone. In both cases, both phones show the
    // message.
    budi.wait_for(DEADLINE, |message| message.id == "D-1")
        .await
        .expect("arrives");
    client.receipt("D-1", ReceiptType::Read).await;
    assert_eq!(budi.duplicates(), 0);
}

#[tokio::test]
async fn a_client_that_cannot_decrypt_asks_again_and_gets_it() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    budi.send_text(SHOP, "warm").await.expect("sent");
    client.text("warm").await;
    sim.faults().garble(1);
    let id = budi
        .send_text(SHOP, "garbled at first")
        .await
        .expect("sent");
    assert_eq!(client.text("garbled at first").await.id, id);
    // The session still works afterwards.
    budi.send_text(SHOP, "fine again").await.expect("sent");
    client.text("fine again").await;
}

#[tokio::test]
async fn a_garbled_group_text_is_asked_for_again() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    budi.send_text_to_group(group.id(), "warm")
        .await
        .expect("sent");
    client.text("warm").await;
    sim.faults().garble(1);
    let id = budi
        .send_text_to_group(group.id(), "garbled at first")
        .await
        .expect("sent");
    assert_eq!(client.text("garbled at first").await.id, id);
    budi.send_text_to_group(group.id(), "fine again")
        .await
        .expect("sent");
    client.text("fine again").await;
}

#[tokio::test]
async fn a_phone_that_cannot_read_a_group_text_asks_again() {
    let (sim, _shop, budi, client, _) = shop_and_budi().await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let jid = format!("{}@g.us", group.id());
    client.send(&jid, "warm", "GD-0").await;
    client.receipt("GD-0", ReceiptType::Read).await;
    sim.faults().set_dedupe(true);
    sim.faults().fail_decrypts(2);
    client.send(&jid, "say that again", "GD-1").await;
    budi.wait_for(DEADLINE, |message| message.id == "GD-1")
        .await
        .expect("arrives");
}

#[tokio::test]
async fn a_refused_ik_handshake_falls_back_under_a_certificate_the_client_does_not_trust() {
    let (sim, _shop, _budi, client, device) = shop_and_budi().await;
    sim.faults().set_refuse_ik(true);
    let mut events = sim.events();
    sim.drop_device(&device, wa_sim::Drop::Clean).await;
    // `XXfallback` sends the simulator's certificate chain, and the chain is not signed by
    // WhatsApp. The client must not accept the chain.
    tokio::time::timeout(DEADLINE, async {
        while client.client.is_connected() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the client is off");
    sim.faults().set_refuse_ik(false);
    loop {
        let event = tokio::time::timeout(DEADLINE, events.recv())
            .await
            .expect("comes back")
            .expect("reports");
        if let SimEvent::LoggedIn { handshake, .. } = event {
            assert_eq!(handshake, Pattern::Ik);
            break;
        }
    }
}
