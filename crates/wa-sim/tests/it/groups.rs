//! Groups in both addressing modes, for accounts with and without LID migration.

use serde_json::{Value, json};
use wacore::stanza::groups::{GroupNotificationAction, GroupParticipantInfo};
use whatsapp_rust::prelude::Event;
use whatsapp_rust::types::presence::ReceiptType;

use wa_sim::{Addressing, GroupSpec, PhoneSpec, Sim, SimEvent};

use crate::client::{DEADLINE, TestClient, plain_http};

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

/// Waits for a change of the group that `wanted` accepts.
async fn change<T>(
    client: &TestClient,
    what: &str,
    wanted: impl Fn(&GroupNotificationAction) -> Option<T>,
) -> T {
    let change = client.event(what, |event| match event {
        Event::GroupUpdate(update) => wanted(&update.action),
        _ => None,
    });
    change.await
}

/// Returns the subject and the number of members of each group listed by the client.
async fn listed(client: &TestClient) -> Vec<(String, usize)> {
    let groups = client.client.groups().get_participating().await;
    let groups = groups.expect("answered");
    groups
        .values()
        .map(|group| (group.subject.clone(), group.participants.len()))
        .collect()
}

#[tokio::test]
async fn members_are_told_of_a_new_name_and_of_who_comes_and_goes() {
    for addressing in [Addressing::Lid, Addressing::Pn] {
        let sim = Sim::start().await.expect("starts");
        let (shop, cici) = (sim.phone(SHOP).await, sim.phone(CICI).await);
        let (client, _) = TestClient::paired(&sim, &shop).await;
        let spec = GroupSpec::new("Team", BUDI).members([SHOP]);
        let group = sim.add_group(spec.addressing(addressing)).await;
        let jid = format!("{}@g.us", group.id());
        client.send(&jid, "two of us", "BEFORE").await;
        assert_eq!(client.ack("BEFORE").await, None);
        assert_eq!(listed(&client).await, [("Team".to_owned(), 2)]);

        sim.rename_group(&jid, "Crew").await.expect("renamed");
        let name = change(&client, "the new name", |action| match action {
            GroupNotificationAction::Subject { subject, .. } => Some(subject.clone()),
            _ => None,
        });
        assert_eq!(name.await, "Crew");
        assert_eq!(listed(&client).await, [("Crew".to_owned(), 2)]);

        let added = sim.add_members(&jid, &[CICI, BUDI]).await;
        assert_eq!(added, Ok(vec![CICI.to_owned()]));
        let names = |users: &[GroupParticipantInfo]| {
            let users = users.iter().map(|user| user.jid.user.to_string());
            users.collect::<Vec<_>>()
        };
        let expected = if addressing == Addressing::Lid {
            cici.lid().to_owned()
        } else {
            CICI.to_owned()
        };
        let came = change(&client, "who came", |action| match action {
            GroupNotificationAction::Add { participants, .. } => Some(names(participants)),
            _ => None,
        });
        assert_eq!(came.await, std::slice::from_ref(&expected));
        assert_eq!(listed(&client).await, [("Crew".to_owned(), 3)]);
        client.send(&jid, "three of us", "THREE").await;
        let shown = cici.wait_for(DEADLINE, |message| message.id == "THREE");
        assert_eq!(shown.await.expect("arrives").text, "three of us");

        cici.leave_group(&jid).await.expect("leaves");
        let left = change(&client, "who left", |action| match action {
            GroupNotificationAction::Remove { participants, .. } => Some(names(participants)),
            _ => None,
        });
        assert_eq!(left.await, [expected]);
        assert_eq!(listed(&client).await, [("Crew".to_owned(), 2)]);
        client.send(&jid, "two again", "AFTER").await;
        assert_eq!(client.ack("AFTER").await, None);
        assert!(cici.inbox().await.iter().all(|shown| shown.id != "AFTER"));
        assert!(cici.leave_group(&jid).await.is_err(), "no member any more");
    }
}

#[tokio::test]
async fn who_is_removed_is_told_and_is_a_stranger_until_added_again() {
    for addressing in [Addressing::Lid, Addressing::Pn] {
        let sim = Sim::start().await.expect("starts");
        let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
        let (client, _) = TestClient::paired(&sim, &shop).await;
        let spec = GroupSpec::new("Team", BUDI).members([SHOP, CICI]);
        let group = sim.add_group(spec.addressing(addressing)).await;
        let jid = format!("{}@g.us", group.id());
        let sent = budi.send_text_to_group(&jid, "welcome").await;
        sent.expect("sent");
        client.text("welcome").await;

        let removed = sim.remove_members(&jid, &[SHOP]).await;
        assert_eq!(removed, Ok(vec![SHOP.to_owned()]));
        change(&client, "the removal", |action| {
            matches!(action, GroupNotificationAction::Remove { .. }).then_some(())
        })
        .await;
        assert_eq!(listed(&client).await, []);
        let group_jid: whatsapp_rust::Jid = jid.parse().expect("a JID");
        let asked = client.client.groups().get_metadata(&group_jid).await;
        let refusal = format!("{:?}", asked.expect_err("a stranger"));
        assert!(refusal.contains("403"), "{refusal}");
        let unknown: whatsapp_rust::Jid = "120363000000000000@g.us".parse().expect("a JID");
        let asked = client.client.groups().get_metadata(&unknown).await;
        let refusal = format!("{:?}", asked.expect_err("there is none"));
        assert!(refusal.contains("404"), "{refusal}");

        let seen = client.seen();
        sim.add_members(&jid, &[SHOP]).await.expect("added");
        let created = client.event_after(seen, "the group", |event| match event {
            Event::GroupUpdate(update) => {
                matches!(update.action, GroupNotificationAction::Create { .. }).then_some(())
            }
            _ => None,
        });
        created.await;
        assert_eq!(listed(&client).await, [("Team".to_owned(), 3)]);
        // The sender keys changed when the client left. The client gets the new keys, so no retry
        // is necessary.
        let mut events = sim.events();
        let sent = budi.send_text_to_group(&jid, "welcome back").await;
        sent.expect("sent");
        client.text("welcome back").await;
        while let Ok(event) = events.try_recv() {
            assert!(
                !matches!(&event, SimEvent::Receipt { kind, .. } if kind == "retry"),
                "{event:?}"
            );
        }
        client.send(&jid, "thank you", "BACK").await;
        let shown = budi.wait_for(DEADLINE, |message| message.id == "BACK");
        shown.await.expect("arrives");
    }
}

#[tokio::test]
async fn a_client_renames_a_group() {
    let sim = Sim::start().await.expect("starts");
    let (shop, budi) = (sim.phone(SHOP).await, sim.phone(BUDI).await);
    let (client, _) = TestClient::paired(&sim, &shop).await;
    let (other, _) = TestClient::paired(&sim, &budi).await;
    let group = sim.create_group("Team", SHOP, &[BUDI]).await;
    let jid: whatsapp_rust::Jid = format!("{}@g.us", group.id()).parse().expect("a JID");
    let name = whatsapp_rust::GroupSubject::new("Crew").expect("short");
    let renamed = client.client.groups().set_subject(jid, name).await;
    renamed.expect("accepted");
    assert_eq!(group.name(), "Crew");
    let name = change(&other, "the new name", |action| match action {
        GroupNotificationAction::Subject { subject, .. } => Some(subject.clone()),
        _ => None,
    });
    assert_eq!(name.await, "Crew");
}

#[tokio::test]
async fn groups_are_changed_over_the_control_api() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = Sim::builder().data_dir(dir.path()).start().await;
    let sim = sim.expect("starts");
    let group = sim.create_group("Team", BUDI, &[]).await;
    let base = format!("{}/control/groups", sim.http_url());
    let ask = async |request: reqwest::RequestBuilder, body: Value| {
        let answer = request.json(&body).send().await.expect("answered");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON"))
    };
    let http = plain_http();
    let (id, long) = (group.id(), "n".repeat(101));
    for (path, name, status) in [
        (id, "Crew", 200),
        (id, "", 400),
        (id, long.as_str(), 400),
        ("120363", "Crew", 404),
    ] {
        let request = http.patch(format!("{base}/{path}"));
        let (got, answer) = ask(request, json!({ "name": name })).await;
        assert_eq!(got, status, "{name}: {answer}");
    }
    let members = format!("{base}/{id}/members");
    let (_, answer) = ask(http.post(&members), json!({ "add": [SHOP, CICI] })).await;
    assert_eq!(answer["members"], json!([SHOP, BUDI, CICI]));
    let (_, answer) = ask(
        http.post(&members),
        json!({ "remove": [SHOP], "leave": [CICI] }),
    )
    .await;
    assert_eq!(
        (&answer["members"], &answer["name"]),
        (&json!([BUDI]), &json!("Crew"))
    );
    for (body, status) in [
        (json!({ "leave": [CICI] }), 409),
        (json!({ "leave": ["6289999999999"] }), 404),
        (json!({ "add": ["1"] }), 400),
        (json!({ "kick": [BUDI] }), 400),
    ] {
        let (got, answer) = ask(http.post(&members), body.clone()).await;
        assert_eq!(got, status, "{body}: {answer}");
    }
    let id = id.to_owned();
    sim.stop().await;
    let sim = Sim::builder().data_dir(dir.path()).start().await;
    let kept = sim.expect("starts").find_group(&id).expect("kept");
    assert_eq!(kept.name(), "Crew");
}
