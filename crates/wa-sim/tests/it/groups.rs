//! Groups in both address modes and both worlds.

use whatsapp_rust::prelude::Event;
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{Addressing, GroupSpec, PhoneSpec, Sim};

use crate::client::{DEADLINE, TestClient};

const SHOP: &str = "6281111111111";
const BUDI: &str = "6282222222222";
const CICI: &str = "6283333333333";

#[tokio::test]
async fn group_texts_travel_both_ways_under_both_kinds_of_names() {
    for addressing in [Addressing::Lid, Addressing::Pn] {
        for lid_migrated in [true, false] {
            let sim = Sim::start().await.expect("starts");
            let shop = sim
                .add_phone(PhoneSpec::new(SHOP, "Shop").lid_migrated(lid_migrated))
                .await;
            let budi = sim
                .add_phone(PhoneSpec::new(BUDI, "Budi").lid_migrated(lid_migrated))
                .await;
            let cici = sim
                .add_phone(PhoneSpec::new(CICI, "Cici").lid_migrated(lid_migrated))
                .await;
            let (client, _) = TestClient::paired(&sim, &shop).await;
            let spec = GroupSpec::new("Team", SHOP)
                .members([BUDI, CICI])
                .addressing(addressing);
            let group = sim.add_group(spec).await;
            let jid = format!("{}@g.us", group.id());

            for round in ["one", "two"] {
                let id = format!("G-{round}");
                client.send(&jid, round, &id).await;
                for phone in [&budi, &cici, &shop] {
                    let shown = phone
                        .wait_for(DEADLINE, |message| message.id == id)
                        .await
                        .expect("arrives");
                    assert_eq!(
                        (
                            shown.chat.as_str(),
                            shown.from.as_str(),
                            shown.text.as_str()
                        ),
                        (group.id(), SHOP, round)
                    );
                    assert_eq!(shown.from_me, phone.number() == SHOP);
                }
                assert_eq!(client.ack(&id).await, None);
                let reader = client.receipt(&id, ReceiptType::Read).await;
                assert_eq!(
                    reader.ends_with("@lid"),
                    addressing == Addressing::Lid,
                    "{reader}"
                );
            }
            for round in ["three", "four"] {
                let id = cici
                    .send_text_to_group(group.id(), round)
                    .await
                    .expect("sent");
                let received = client.text(round).await;
                assert_eq!(
                    (received.id.as_str(), received.chat.to_string()),
                    (id.as_str(), jid.clone())
                );
                let names = [received.sender, received.sender_alt.expect("both names")]
                    .map(|name| name.user.to_string());
                assert!(
                    names.contains(&CICI.to_owned()) && names.contains(&cici.lid().to_owned()),
                    "{names:?}"
                );
                budi.wait_for(DEADLINE, |message| message.id == id && message.from == CICI)
                    .await
                    .expect("shown");
            }
        }
    }
}

#[tokio::test]
async fn the_client_lists_the_groups_its_account_is_in() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let group = sim.create_group("Team", BUDI, &[SHOP, CICI]).await;
    sim.create_group("Others", BUDI, &[CICI]).await;
    client
        .event("the news of the group", |event| {
            matches!(event, Event::GroupUpdate(_)).then_some(())
        })
        .await;
    let groups = client
        .client
        .groups()
        .get_participating()
        .await
        .expect("answered");
    let names: Vec<_> = groups.values().map(|group| group.subject.clone()).collect();
    assert_eq!(names, ["Team"]);
    let listed = groups.values().next().expect("one");
    assert_eq!(listed.participants.len(), 3);
    assert_eq!(listed.id.user, group.id());
}

#[tokio::test]
async fn who_is_not_in_a_group_cannot_write_to_it() {
    let sim = Sim::start().await.expect("starts");
    let shop = sim.phone(SHOP).await;
    let group = sim.create_group("Others", BUDI, &[CICI]).await;
    assert!(shop.send_text_to_group(group.id(), "hello").await.is_err());
    assert!(shop.send_text_to_group("1203630", "hello").await.is_err());
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let jid: whatsapp_rust::Jid = format!("{}@g.us", group.id()).parse().expect("a JID");
    let message = whatsapp_rust::prelude::wa::Message {
        conversation: Some("hi".to_owned()),
        ..Default::default()
    };
    let sent = client.client.send_message(jid, message).await;
    assert!(sent.is_err(), "a stranger wrote to a group");
}

#[tokio::test]
async fn a_companion_of_a_member_reads_what_a_companion_of_another_writes() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (first, _) = TestClient::paired(&sim, &shop).await;
    let (second, _) = TestClient::paired(&sim, &budi).await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let jid = format!("{}@g.us", group.id());
    first.send(&jid, "to all", "C-1").await;
    assert_eq!(second.text("to all").await.id, "C-1");
    second.send(&jid, "and back", "C-2").await;
    assert_eq!(first.text("and back").await.id, "C-2");
}
