//! Texts and receipts between a linked client and phones.

use std::time::Duration;

use whatsapp_rust::Jid;
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{Phone, PhoneSpec, Receipts, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";

async fn shop_and_budi(lid_migrated: bool) -> (Sim, Phone, Phone, TestClient, String) {
    let sim = Sim::start().await.expect("starts");
    let shop = sim
        .add_phone(PhoneSpec::new(SHOP, "Shop").lid_migrated(lid_migrated))
        .await;
    let budi = sim
        .add_phone(PhoneSpec::new(BUDI, "Budi").lid_migrated(lid_migrated))
        .await;
    let (client, device) = TestClient::paired(&sim, &shop).await;
    (sim, shop, budi, client, device.id)
}

#[tokio::test]
async fn a_text_arrives_with_its_id_and_is_acked_delivered_and_read() {
    for lid_migrated in [true, false] {
        let (_sim, shop, budi, client, _) = shop_and_budi(lid_migrated).await;
        client
            .send(&format!("{BUDI}@s.whatsapp.net"), "hello", "MSG-1")
            .await;
        let shown = budi
            .wait_for(DEADLINE, |message| message.text == "hello")
            .await
            .expect("arrives");
        assert_eq!(
            (shown.id.as_str(), shown.chat.as_str(), shown.from.as_str()),
            ("MSG-1", SHOP, SHOP)
        );
        assert_eq!((shown.kind.as_str(), shown.from_me), ("text", false));
        assert_eq!(client.ack("MSG-1").await, None);
        let reader = client.receipt("MSG-1", ReceiptType::Delivered).await;
        assert_eq!(reader.ends_with("@lid"), lid_migrated, "{reader}");
        client.receipt("MSG-1", ReceiptType::Read).await;
        // The sender's own phone shows the message of its companion.
        let own = shop
            .wait_for(DEADLINE, |message| message.id == "MSG-1")
            .await
            .expect("shown");
        assert_eq!(
            (own.chat.as_str(), own.from.as_str(), own.from_me),
            (BUDI, SHOP, true)
        );
    }
}

#[tokio::test]
async fn a_phone_writes_to_the_client_under_the_names_of_both_worlds() {
    for lid_migrated in [true, false] {
        let (_sim, shop, budi, client, _) = shop_and_budi(lid_migrated).await;
        let id = budi.send_text(SHOP, "good day").await.expect("sent");
        let received = client.text("good day").await;
        assert_eq!(received.id, id);
        if lid_migrated {
            assert_eq!(received.sender, Jid::lid(budi.lid()));
            assert_eq!(received.sender_alt, Some(Jid::pn(BUDI)));
        } else {
            assert_eq!(received.sender, Jid::pn(BUDI));
            assert_eq!(received.sender_alt, None);
        }
        shop.wait_for(DEADLINE, |message| message.id == id && message.chat == BUDI)
            .await
            .expect("shown");
        // The companion shows a message of the own phone as sent by the account.
        let id = shop.send_text(BUDI, "and to you").await.expect("sent");
        let received = client.text("and to you").await;
        assert_eq!(
            (received.id, received.sender.user == received.chat.user),
            (id, false)
        );
    }
}

#[tokio::test]
async fn a_hundred_texts_each_way_arrive_in_order() {
    let (sim, _shop, budi, client, device) = shop_and_budi(true).await;
    for n in 0..100 {
        client
            .send(
                &format!("{BUDI}@s.whatsapp.net"),
                &format!("out {n}"),
                &format!("OUT-{n}"),
            )
            .await;
        budi.send_text(SHOP, &format!("in {n}"))
            .await
            .expect("sent");
    }
    budi.wait_for(DEADLINE, |message| message.text == "out 99")
        .await
        .expect("arrives");
    client.text("in 99").await;
    let out: Vec<_> = budi
        .inbox()
        .await
        .into_iter()
        .filter(|message| !message.from_me)
        .map(|m| m.text)
        .collect();
    assert_eq!(
        out,
        (0..100).map(|n| format!("out {n}")).collect::<Vec<_>>()
    );
    // The number of device lookups does not grow with the number of texts.
    let usync = sim
        .iq_counts(&device)
        .get("usync/get/usync")
        .copied()
        .unwrap_or_default();
    assert!(usync <= 4, "{usync} lookups, {:?}", sim.iq_counts(&device));
}

#[tokio::test]
async fn a_repeated_id_is_shown_once_whether_the_server_drops_it_or_not() {
    for dedupe in [false, true] {
        let (sim, _shop, budi, client, _) = shop_and_budi(true).await;
        sim.faults().set_dedupe(dedupe);
        let mut events = sim.events();
        for _ in 0..2 {
            client
                .send(&format!("{BUDI}@s.whatsapp.net"), "once", "SAME")
                .await;
        }
        let mut acks = 0;
        while acks < 2 {
            if let Ok(SimEvent::Acked {
                id, error: None, ..
            }) = next(&mut events).await
                && id == "SAME"
            {
                acks += 1;
            }
        }
        client
            .send(&format!("{BUDI}@s.whatsapp.net"), "after", "NEXT")
            .await;
        budi.wait_for(DEADLINE, |message| message.id == "NEXT")
            .await
            .expect("arrives");
        assert_eq!(
            budi.inbox()
                .await
                .iter()
                .filter(|message| message.id == "SAME")
                .count(),
            1
        );
        assert_eq!(budi.duplicates(), u64::from(!dedupe));
    }
}

#[tokio::test]
async fn a_phone_gives_the_receipts_it_is_told_to() {
    let (_sim, _shop, budi, client, _) = shop_and_budi(true).await;
    budi.set_receipts(Receipts::Delivered);
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "unread", "R-1")
        .await;
    client.receipt("R-1", ReceiptType::Delivered).await;
    assert_eq!(budi.read(SHOP).await, 1);
    client.receipt("R-1", ReceiptType::Read).await;
    assert_eq!(budi.read(SHOP).await, 0);

    budi.set_receipts(Receipts::None);
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "silent", "R-2")
        .await;
    client.ack("R-2").await;
    budi.wait_for(DEADLINE, |message| message.id == "R-2")
        .await
        .expect("arrives");
    budi.set_receipts(Receipts::Read);
    budi.set_receipt_delay(Duration::from_millis(50));
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "late", "R-3")
        .await;
    client.receipt("R-3", ReceiptType::Read).await;
    let gave = client.count(|event| {
        matches!(event, whatsapp_rust::prelude::Event::Receipt(receipt)
        if receipt.message_ids.contains(&"R-2".to_owned()))
    });
    assert_eq!(gave, 0);
}

#[tokio::test]
async fn a_phone_that_is_off_gets_its_messages_when_it_is_on() {
    let (_sim, _shop, budi, client, _) = shop_and_budi(true).await;
    budi.set_online(false);
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "first", "OFF-1")
        .await;
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "second", "OFF-2")
        .await;
    client.ack("OFF-2").await;
    assert!(budi.inbox().await.is_empty());
    budi.set_online(true);
    client.receipt("OFF-2", ReceiptType::Read).await;
    let texts: Vec<_> = budi
        .inbox()
        .await
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts, ["first", "second"]);
}

#[tokio::test]
async fn what_is_sent_to_an_absent_client_waits_until_it_takes_it() {
    let (sim, _shop, budi, client, device) = shop_and_budi(true).await;
    budi.send_text(SHOP, "before").await.expect("sent");
    client.text("before").await;
    let backend = client.shutdown().await;
    budi.send_text(SHOP, "while away").await.expect("sent");
    budi.send_text(SHOP, "still away").await.expect("sent");
    assert!(sim.waiting(&device) >= 2);
    let mut events = sim.events();
    let client = TestClient::resume(&sim.ws_url(), sim.server_key(), backend).await;
    client.connected().await;
    let received = client.text("still away").await;
    client.text("while away").await;
    while !matches!(next(&mut events).await, Ok(SimEvent::Taken { id, .. }) if id == received.id) {}
    assert_eq!(client.count(is_text("before")), 0);
}

#[tokio::test]
async fn a_number_without_a_phone_is_not_registered() {
    let (_sim, _shop, _budi, client, _) = shop_and_budi(true).await;
    let asked = [Jid::pn(BUDI), Jid::pn("6289999999999")];
    let known = client
        .client
        .contacts()
        .is_on_whatsapp(&asked)
        .await
        .expect("answered");
    let registered: Vec<_> = known
        .iter()
        .filter(|user| user.is_registered)
        .map(|user| user.jid.to_string())
        .collect();
    assert_eq!(registered, [format!("{BUDI}@s.whatsapp.net")]);
    assert_eq!(known.len(), 2);
}

#[tokio::test]
async fn two_companions_of_two_accounts_talk_and_see_their_own_copies() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    let budi = sim.phone(BUDI).await;
    let (first, _) = TestClient::paired(&sim, &shop).await;
    let (second, _) = TestClient::paired(&sim, &shop).await;
    let (other, _) = TestClient::paired(&sim, &budi).await;
    first
        .send(&format!("{BUDI}@s.whatsapp.net"), "to all of you", "ALL")
        .await;
    assert_eq!(other.text("to all of you").await.id, "ALL");
    budi.wait_for(DEADLINE, |message| message.id == "ALL")
        .await
        .expect("arrives");
    shop.wait_for(DEADLINE, |message| message.id == "ALL" && message.from_me)
        .await
        .expect("shown");
    // Another companion of the same account gets a copy of the sent message.
    second
        .event("the copy", |event| match event {
            whatsapp_rust::prelude::Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|inbound| inbound.info.id == "ALL")
                .map(|inbound| {
                    assert!(inbound.info.source.is_from_me);
                }),
            _ => None,
        })
        .await;
    first.receipt("ALL", ReceiptType::Read).await;
}

#[tokio::test]
async fn a_companion_that_is_linked_later_gets_messages_too() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (client, _) = TestClient::paired(&sim, &shop).await;
    client
        .send(
            &format!("{BUDI}@s.whatsapp.net"),
            "to the phone alone",
            "L-1",
        )
        .await;
    budi.wait_for(DEADLINE, |message| message.id == "L-1")
        .await
        .expect("arrives");
    let news = client.seen();
    let late = TestClient::start(&sim).await;
    let qr = late.qr().await;
    budi.scan(&qr).await.expect("linked");
    // The message is sent before the new companion has uploaded prekeys.
    let early = shop.send_text(BUDI, "welcome").await.expect("sent");
    assert_eq!(late.text("welcome").await.id, early);
    // The sender's client got a notification of the changed device list.
    client
        .event_after(news, "news of the new device", |event| {
            matches!(event, whatsapp_rust::prelude::Event::DeviceListUpdate(_)).then_some(())
        })
        .await;
    late.connected().await;
    client
        .send(&format!("{BUDI}@s.whatsapp.net"), "to all devices", "L-2")
        .await;
    assert_eq!(late.text("to all devices").await.id, "L-2");
}

#[tokio::test]
async fn a_client_that_unlinks_itself_is_gone() {
    let (sim, _shop, _budi, client, _) = shop_and_budi(true).await;
    let mut events = sim.events();
    client.client.logout().await;
    while !matches!(next(&mut events).await, Ok(SimEvent::LoggedOut { .. })) {}
    assert!(sim.devices().await.is_empty());
}

fn is_text(text: &'static str) -> impl Fn(&whatsapp_rust::prelude::Event) -> bool {
    move |event| match event {
        whatsapp_rust::prelude::Event::Messages(batch) => batch
            .messages
            .iter()
            .any(|inbound| inbound.message.conversation.as_deref() == Some(text)),
        _ => false,
    }
}

async fn next(
    events: &mut tokio::sync::broadcast::Receiver<SimEvent>,
) -> Result<SimEvent, tokio::sync::broadcast::error::RecvError> {
    tokio::time::timeout(DEADLINE, events.recv())
        .await
        .expect("the simulator reports something")
}
