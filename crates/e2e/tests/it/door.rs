//! What the API answers.

use reqwest::StatusCode;
use serde_json::json;

use e2e::eventually;

use crate::{CUSTOMER, OWNER, Shop, received, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_sent_over_the_api_is_on_the_customers_phone_under_the_answers_id() {
    let shop = Shop::open().await;
    let answer = shop.bot.sendwa(CUSTOMER, "Test kirim text", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["success"], true);
    let sent = &answer.body["message"];
    assert_eq!(sent["status"], 0);
    assert_eq!(sent["type"], "text");
    assert_eq!(sent["from"], format!("{OWNER}@c.us"));
    assert_eq!(sent["to"], format!("{CUSTOMER}@c.us"));
    let message = shown(&shop.customer, &answer.id()).await;
    assert_eq!(message.text, "Test kirim text");
    assert_eq!(message.from, OWNER);
    // The owner's own phone sees what its companion sent.
    let copy = shown(&shop.owner, &answer.id()).await;
    assert!(copy.from_me);
}

#[tokio::test(flavor = "multi_thread")]
async fn getqr_says_who_is_linked() {
    let shop = Shop::open().await;
    let answer = shop.bot.call("/api/getqr/", json!({})).await;
    assert_eq!(
        answer.body["message"],
        json!({"isAuthenticated": true, "number": OWNER, "name": "Toko", "qrcode": ""})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_number_is_refused_and_nothing_goes_out() {
    let shop = Shop::open().await;
    let stranger = "6281399999999";
    let answer = shop.bot.sendwa(stranger, "halo", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "invalid_number");
    let known = shop
        .bot
        .call("/api/checknumber", json!({"nohp": CUSTOMER}))
        .await;
    assert_eq!(known.body, json!({"success": true, "message": true}));
    let unknown = shop
        .bot
        .call("/api/checknumber", json!({"nohp": stranger}))
        .await;
    assert_eq!(unknown.body, json!({"success": true, "message": false}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused() {
    let shop = Shop::open().await;
    let thief = shop.gateway.bot("not-the-key");
    let answer = thief.sendwa(CUSTOMER, "halo", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "invalid_secret_key");
    assert_eq!(received(&shop.customer).await, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_twice_running_is_refused_and_of_two_in_parallel_one_wins() {
    let shop = Shop::open().await;
    shop.bot.accepted(CUSTOMER, "promo", None).await;
    let again = shop.bot.sendwa(CUSTOMER, "promo", None).await;
    assert_eq!(again.code(), "duplicate_message", "{again:?}");
    shop.bot.accepted(CUSTOMER, "lain", None).await;
    shop.bot.accepted(CUSTOMER, "promo", None).await;

    let parallel = std::iter::repeat_with(|| shop.bot.sendwa(CUSTOMER, "serentak", None));
    let answers = futures_join(parallel.take(8)).await;
    let won = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.count(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_to_a_known_number_asks_whatsapp_nothing() {
    let shop = Shop::open().await;
    let first = shop.bot.accepted(CUSTOMER, "satu", None).await;
    shown(&shop.customer, &first).await;
    let device = shop.sim.devices().await.remove(0).id;
    let before = shop.sim.iq_counts(&device);
    let mut last = String::new();
    for n in 0..20 {
        last = shop
            .bot
            .accepted(CUSTOMER, &format!("pesan {n}"), None)
            .await;
    }
    shown(&shop.customer, &last).await;
    let mut after = shop.sim.iq_counts(&device);
    // Lookups of people, devices and keys; the client's own housekeeping may fall into the time between.
    let lookup = |kind: &str| kind.starts_with("usync") || kind.starts_with("encrypt/get");
    after.retain(|kind, count| before.get(kind) != Some(count) && lookup(kind));
    assert_eq!(after, std::collections::BTreeMap::new());
}

/// All of them at once.
async fn futures_join<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures::future::join_all(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_and_only_those_of_the_bot_are_sent_to() {
    let shop = Shop::open().await;
    let none = shop.bot.call("/api/groups", json!({})).await;
    assert_eq!(none.body["message"], json!([]));
    let group = shop
        .sim
        .create_group("Pelanggan 👪", OWNER, &[CUSTOMER])
        .await;
    let strangers = shop.sim.create_group("Lain", CUSTOMER, &[]).await;
    let list = eventually("the group in the list", async || {
        let answer = shop.bot.call("/api/groups", json!({})).await;
        let list = answer.body["message"].as_array().unwrap().clone();
        if list.is_empty() {
            Err(answer)
        } else {
            Ok(list)
        }
    })
    .await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["groupid"], group.id());
    assert_eq!(list[0]["groupname"], "Pelanggan 👪");
    let made = list[0]["grouplastchat"].as_i64().unwrap();
    let sent = json!({"groupid": group.id(), "pesan": "halo semua"});
    let answer = shop.bot.call("/api/sendwatogroup", sent).await;
    shown(&shop.customer, &answer.id()).await;
    let list = shop.bot.call("/api/groups", json!({})).await;
    let spoken = list.body["message"][0]["grouplastchat"].as_i64().unwrap();
    assert!(spoken >= made, "{spoken} after {made}");
    let refused = json!({"groupid": strangers.id(), "pesan": "halo"});
    let refused = shop.bot.call("/api/sendwatogroup", refused).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (400, "invalid_group")
    );
}
