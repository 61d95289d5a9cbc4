//! The groups of a bot, as reported by WhatsApp.

use std::sync::Arc;
use std::time::Duration;

use e2e::eventually;
use e2e::proxy::{Mode, Proxy};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::time::timeout;
use wa_sim::{Addressing, Group, GroupSpec, PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER, Shop, shown};

const NEIGHBOUR: &str = "6281300000002";

async fn list(shop: &Shop) -> Vec<Value> {
    let answer = shop.bot.call("/api/groups", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["message"].as_array().unwrap().clone()
}

/// Waits until the group list has exactly these names.
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

/// Returns sender and text of each stored message of a group.
async fn kept(shop: &Shop, group: &str) -> Vec<(String, String)> {
    let file = shop.gateway.folder().join("data/waviro.db");
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut database: SqliteConnection = options.connect().await.unwrap();
    let rows = sqlx::query_as("SELECT sender, body FROM inbound WHERE chat = ? ORDER BY at, id")
        .bind(format!("{group}@g.us"))
        .fetch_all(&mut database)
        .await;
    database.close().await.unwrap();
    rows.unwrap()
}

/// Older groups address their members by number, new groups by LID.
#[tokio::test(flavor = "multi_thread")]
async fn groups_that_address_by_number_and_by_lid_are_listed_and_messages_pass_both_ways() {
    let shop = Shop::open().await;
    let neighbour = shop.sim.add_phone(PhoneSpec::new(NEIGHBOUR, "Budi")).await;
    for (name, addressing) in [("Nomor", Addressing::Pn), ("Lid", Addressing::Lid)] {
        let spec = GroupSpec::new(name, OWNER)
            .members([CUSTOMER, NEIGHBOUR])
            .addressing(addressing);
        let group = shop.sim.add_group(spec).await;
        eventually("the group in the list", async || {
            let list = list(&shop).await;
            let listed = |one: &Value| one["groupid"] == group.id() && one["groupname"] == name;
            if list.iter().any(listed) {
                Ok(())
            } else {
                Err(list)
            }
        })
        .await;

        let mut sent = Vec::new();
        for text in ["halo semua", "masih buka"] {
            let body = json!({"groupid": group.id(), "pesan": text});
            let answer = shop.bot.call("/api/sendwatogroup", body).await;
            assert_eq!(answer.status, 200, "{name} {answer:?}");
            sent.push(answer.id());
            for phone in [&shop.customer, &neighbour] {
                let message = shown(phone, &answer.id()).await;
                assert_eq!(
                    (message.text.as_str(), message.chat.as_str()),
                    (text, group.id())
                );
                assert_eq!(message.from, OWNER, "{name}");
            }
            // Meanwhile the members write. The gateway must know the number of the sender with both
            // kinds of addressing.
            let question = format!("{text}?");
            for phone in [&shop.customer, &neighbour] {
                phone
                    .send_text_to_group(group.id(), &question)
                    .await
                    .unwrap();
            }
            let mut expected = [CUSTOMER, NEIGHBOUR]
                .map(|number| (format!("{number}@c.us"), question.clone()))
                .to_vec();
            expected.sort();
            eventually(
                "the messages of the members, with their numbers",
                async || {
                    let mut rows = kept(&shop, group.id()).await;
                    rows.retain(|(_, body)| *body == question);
                    rows.sort();
                    if rows == expected { Ok(()) } else { Err(rows) }
                },
            )
            .await;
        }
        for phone in [&shop.customer, &neighbour] {
            let mut ids: Vec<_> = phone.inbox().await.into_iter().map(|one| one.id).collect();
            ids.retain(|id| sent.contains(id));
            assert_eq!(ids, sent, "{name}: each once, in order");
        }
    }
}

/// More messages than the members of a group may request again at once; see docs/reliability.md.
const LOST: usize = 25;

/// Prepares a bot whose sender key for a group has just changed, because a member left, and whose
/// connection forwards nothing.
async fn with_a_new_key_and_no_wire() -> (Shop, Proxy, Arc<Group>) {
    let sim = Sim::start().await.unwrap();
    let proxy = Proxy::start(sim.addr()).await;
    let shop = Shop::open_at(sim, &proxy.wss_url()).await;
    let members = [CUSTOMER, NEIGHBOUR, "6281300000003"];
    for number in &members[1..] {
        shop.sim.add_phone(PhoneSpec::new(*number, "Anggota")).await;
    }
    let group = shop.sim.create_group("Pelanggan", OWNER, &members).await;
    until_named(&shop, &["Pelanggan"]).await;
    let first = written(&shop, &group, "satu").await;
    for number in members {
        let member = shop.sim.find_phone(number).unwrap();
        shown(&member, &first).await;
    }
    let leaver = shop.sim.find_phone(members[2]).unwrap();
    leaver.leave_group(group.id()).await.unwrap();
    // This message follows the leave notification, so the bot has processed both.
    shop.customer.send_text(OWNER, "dia keluar").await.unwrap();
    let rows = async || {
        let texts = inbound(&shop).await;
        if texts > 0 { Ok(()) } else { Err(texts) }
    };
    eventually("the messages to reach the bot", rows).await;
    proxy.set(Mode::Stall);
    (shop, proxy, group)
}

async fn written(shop: &Shop, group: &Group, text: &str) -> String {
    let message = json!({"groupid": group.id(), "pesan": text});
    let answer = shop.bot.call("/api/sendwatogroup", message).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.id()
}

/// Returns the number of stored inbound messages.
async fn inbound(shop: &Shop) -> i64 {
    let file = shop.gateway.folder().join("data/waviro.db");
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM inbound")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

/// Waits until the two remaining members show all messages.
async fn everybody_reads(shop: &Shop, ids: &[String]) {
    for number in [CUSTOMER, NEIGHBOUR] {
        let member = shop.sim.find_phone(number).unwrap();
        for id in ids {
            shown(&member, id).await;
        }
    }
}

/// Writes to the group until the link has sent every message into the silent connection.
async fn lose(shop: &Shop, group: &Group) -> Vec<String> {
    for number in [CUSTOMER, NEIGHBOUR] {
        let member = shop.sim.find_phone(number).unwrap();
        member.set_ask_again(Duration::ZERO);
    }
    let mut ids = Vec::new();
    for n in 0..LOST {
        ids.push(written(shop, group, &format!("hilang {n}")).await);
    }
    // The link reports nothing that a test can wait for; one second is enough.
    let nothing = std::future::pending::<()>();
    timeout(Duration::from_secs(1), nothing).await.unwrap_err();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_new_key_that_was_lost_with_its_connection_goes_out_again() {
    let (shop, proxy, group) = with_a_new_key_and_no_wire().await;
    let ids = lose(&shop, &group).await;
    proxy.cut();
    proxy.set(Mode::Pass);
    everybody_reads(&shop, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_new_key_that_was_lost_with_its_process_goes_out_again() {
    let (mut shop, proxy, group) = with_a_new_key_and_no_wire().await;
    let ids = lose(&shop, &group).await;
    shop.gateway.kill().await;
    proxy.cut();
    proxy.set(Mode::Pass);
    shop.gateway.run().await;
    everybody_reads(&shop, &ids).await;
}
