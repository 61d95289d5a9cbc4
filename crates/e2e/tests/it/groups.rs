//! The groups of a bot, as WhatsApp tells of them.

use e2e::eventually;
use serde_json::{Value, json};

use crate::{CUSTOMER, OWNER, Shop, shown};

async fn list(shop: &Shop) -> Vec<Value> {
    let answer = shop.bot.call("/api/groups", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["message"].as_array().unwrap().clone()
}

/// Waits until the names of the listed groups are these.
async fn until_named(shop: &Shop, names: &[&str]) {
    eventually("the groups to be these", async || {
        let list = list(shop).await;
        let listed: Vec<_> = list
            .iter()
            .map(|group| group["groupname"].as_str().unwrap())
            .collect();
        if listed == names {
            Ok(())
        } else {
            Err(format!("{listed:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_renamed_left_and_joined_again_without_a_restart() {
    let shop = Shop::open().await;
    until_named(&shop, &[]).await;
    let group = shop.sim.create_group("Pelanggan", CUSTOMER, &[OWNER]).await;
    until_named(&shop, &["Pelanggan"]).await;
    shop.sim
        .rename_group(group.id(), "Pelanggan setia 👪")
        .await
        .unwrap();
    until_named(&shop, &["Pelanggan setia 👪"]).await;

    shop.sim.remove_members(group.id(), &[OWNER]).await.unwrap();
    until_named(&shop, &[]).await;
    let to_group = json!({"groupid": group.id(), "pesan": "masih di sini?"});
    let refused = shop.bot.call("/api/sendwatogroup", to_group.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (400, "invalid_group")
    );

    shop.sim.add_members(group.id(), &[OWNER]).await.unwrap();
    until_named(&shop, &["Pelanggan setia 👪"]).await;
    let answer = shop.bot.call("/api/sendwatogroup", to_group).await;
    assert_eq!(shown(&shop.customer, &answer.id()).await.chat, group.id());

    shop.owner.leave_group(group.id()).await.unwrap();
    until_named(&shop, &[]).await;
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
