//! The events of a bot over the real protocol: posted to a subscriber, read as a stream, and with
//! files.

use e2e::eventually;
use e2e::hooks::Hooks;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wa_sim::{MediaKind, Outgoing, OutgoingMedia};

use crate::{CUSTOMER, OWNER, Shop, shown};

/// Returns the posted events of a type.
fn posted(hooks: &Hooks, kind: &str) -> Vec<Value> {
    let calls = hooks.calls().into_iter().map(|call| call.json());
    calls.filter(|event| event["type"] == kind).collect()
}

/// Waits until `count` events of a type are posted.
async fn wait_for(hooks: &Hooks, kind: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} {kind}"), async || {
        let events = posted(hooks, kind);
        if events.len() >= count {
            Ok(events)
        } else {
            let types = hooks
                .calls()
                .into_iter()
                .map(|call| call.json()["type"].clone());
            Err(types.collect::<Vec<_>>())
        }
    })
    .await
}

async fn subscribe(shop: &Shop, hooks: &Hooks) {
    let admin = shop.gateway.admin().await;
    let everything = json!({"url": hooks.url(), "kinds": ["*"]});
    admin.post("/v1/bots/toko/subscriptions", everything).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_edits_deletions_and_reactions_of_a_customer_are_events_in_order() {
    let shop = Shop::open().await;
    let hooks = Hooks::start().await;
    subscribe(&shop, &hooks).await;
    let ani = &shop.customer;
    let first = ani.send_text(OWNER, "pesan dua").await.unwrap();
    let edit = Outgoing::Edit {
        of: first.clone(),
        text: "pesan tiga".to_owned(),
    };
    ani.send(OWNER, edit).await.unwrap();
    let reaction = Outgoing::Reaction {
        to: first.clone(),
        emoji: "👍".to_owned(),
    };
    ani.send(OWNER, reaction).await.unwrap();
    ani.send(OWNER, Outgoing::Revoke { of: first.clone() })
        .await
        .unwrap();
    wait_for(&hooks, "message.deleted", 1).await;
    let events: Vec<(Value, Value)> = hooks
        .calls()
        .into_iter()
        .map(|call| call.json())
        .filter(|event| event["type"].as_str().unwrap().starts_with("message."))
        .map(|event| (event["type"].clone(), event["data"].clone()))
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|(kind, _)| kind.as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message.received",
            "message.edited",
            "message.reaction",
            "message.deleted"
        ]
    );
    assert_eq!(events[0].1["text"], "pesan dua");
    assert_eq!(events[0].1["sender"]["number"], CUSTOMER);
    assert_eq!(events[1].1["text"], "pesan tiga");
    assert_eq!(events[2].1["emoji"], "👍");
    for (_, data) in &events[1..] {
        assert_eq!(data["of"], first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_picture_has_a_link_to_the_same_bytes_without_a_token() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    subscribe(&shop, &hooks).await;
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(300_000).collect();
    let picture = OutgoingMedia::new(MediaKind::Image, bytes.clone()).caption("struk");
    shop.customer.send(OWNER, picture).await.unwrap();
    let event = wait_for(&hooks, "message.received", 1).await.remove(0);
    let data = &event["data"];
    assert_eq!(
        (data["kind"].as_str(), data["text"].as_str()),
        (Some("image"), Some("struk"))
    );
    assert_eq!(data["media"]["size"], bytes.len());
    let link = data["media"]["url"].as_str().unwrap();
    let url = format!("{}{link}", shop.gateway.url());
    let http = e2e::gateway::http_client();
    // The link also works after a restart. The second request gets the stored file.
    shop.gateway.stop().await;
    shop.gateway.run().await;
    shop.bot.wait_linked().await;
    for _ in 0..2 {
        let body = eventually("the file", async || {
            let answer = http.get(&url).send().await.unwrap();
            let status = answer.status();
            let body = answer.bytes().await.unwrap();
            if status.is_success() {
                Ok(body)
            } else {
                Err((status, body))
            }
        })
        .await;
        assert_eq!(Sha256::digest(&body), Sha256::digest(&bytes));
    }
    let tampered = url.replace("signature=", "signature=A");
    assert_eq!(http.get(tampered).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_group_read_receipt_names_each_member_by_number() {
    let shop = Shop::open().await;
    let hooks = Hooks::start().await;
    let other = shop
        .sim
        .add_phone(wa_sim::PhoneSpec::new("6281300000002", "Budi"))
        .await;
    let group = shop
        .sim
        .create_group("Pelanggan", OWNER, &[CUSTOMER, other.number()])
        .await;
    subscribe(&shop, &hooks).await;
    let body = json!({"groupid": group.id(), "pesan": "halo semua"});
    let id = shop.bot.call("/api/sendwatogroup", body).await.id();
    shown(&other, &id).await;
    let mut readers = eventually("both to have read", async || {
        let acks = posted(&hooks, "message.ack");
        let of_members = acks.iter().filter(|event| event["data"]["ack"] == 3);
        let readers: Vec<String> = of_members
            .filter_map(|event| Some(event["data"]["member"]["number"].as_str()?.to_owned()))
            .collect();
        if readers.len() == 2 {
            Ok(readers)
        } else {
            Err(acks)
        }
    })
    .await;
    readers.sort();
    assert_eq!(readers, [CUSTOMER, "6281300000002"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_every_message_becomes_an_event() {
    let mut shop = Shop::open().await;
    let hooks = Hooks::start().await;
    subscribe(&shop, &hooks).await;
    for round in 0..3 {
        for n in 0..10 {
            let text = format!("{round}-{n}");
            shop.customer.send_text(OWNER, &text).await.unwrap();
        }
        wait_for(&hooks, "message.received", round * 10 + 4).await;
        shop.gateway.kill().await;
        shop.gateway.run().await;
    }
    let texts = eventually("an event for every message", async || {
        let events = posted(&hooks, "message.received");
        let texts: std::collections::BTreeSet<String> = events
            .iter()
            .map(|event| event["data"]["text"].as_str().unwrap().to_owned())
            .collect();
        if texts.len() == 30 {
            Ok(texts)
        } else {
            Err(texts)
        }
    })
    .await;
    assert!(texts.contains("2-9"));
    // An event may be posted twice, but only under the same id.
    let events = posted(&hooks, "message.received");
    let ids: std::collections::BTreeSet<_> =
        events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 30);
}
