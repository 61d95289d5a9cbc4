//! The answers of the API.

use reqwest::StatusCode;
use serde_json::json;

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
    // The owner's phone receives a copy of the message sent by the companion device.
    let copy = shown(&shop.owner, &answer.id()).await;
    assert!(copy.from_me);
}

#[tokio::test(flavor = "multi_thread")]
async fn getqr_shows_the_linked_account() {
    let shop = Shop::open().await;
    let answer = shop.bot.call("/api/getqr/", json!({})).await;
    assert_eq!(
        answer.body["message"],
        json!({"isAuthenticated": true, "number": OWNER, "name": "Toko", "qrcode": ""})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_number_is_refused_and_nothing_is_sent() {
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
async fn a_text_to_a_known_number_needs_no_lookup_at_whatsapp() {
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
    // Counts only the queries for contacts, devices and keys. The client's own periodic queries may
    // run in the meantime.
    let lookup = |kind: &str| kind.starts_with("usync") || kind.starts_with("encrypt/get");
    after.retain(|kind, count| before.get(kind) != Some(count) && lookup(kind));
    assert_eq!(after, std::collections::BTreeMap::new());
}

/// Awaits all calls concurrently.
async fn futures_join<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures::future::join_all(calls).await
}
