//! Failures of the link to WhatsApp.

use std::time::Duration;

use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::proxy::{Mode, Proxy};
use e2e::receiver::Receiver;
use reqwest::StatusCode;
use serde_json::json;
use wa_sim::{Ban, Receipts, Sim};

use crate::{CUSTOMER, OWNER, Shop, shown, shows_exactly, timed};

async fn behind_a_proxy() -> (Shop, Proxy) {
    let sim = Sim::start().await.unwrap();
    let proxy = Proxy::start(sim.addr()).await;
    let shop = Shop::open_at(sim, &proxy.wss_url()).await;
    let first = shop.bot.accepted(CUSTOMER, "pembuka", None).await;
    shown(&shop.customer, &first).await;
    (shop, proxy)
}

/// Sends `count` messages and calls `fault` after each fifth.
async fn burst(shop: &Shop, count: usize, mut fault: impl FnMut(usize)) -> Vec<String> {
    let mut ids = vec![shop.customer.inbox().await[0].id.clone()];
    for n in 0..count {
        let text = format!("pesan {n}");
        ids.push(shop.bot.accepted(CUSTOMER, &text, None).await);
        if n % 5 == 4 {
            fault(n);
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_reset_in_a_burst_loses_and_doubles_nothing() {
    let (shop, proxy) = behind_a_proxy().await;
    let ids = burst(&shop, 60, |_| proxy.cut()).await;
    shows_exactly(&shop.customer, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stalls_and_is_then_killed_loses_and_doubles_nothing() {
    let (shop, proxy) = behind_a_proxy().await;
    let ids = burst(&shop, 20, |n| {
        if n == 4 {
            proxy.set(Mode::Stall);
        }
    })
    .await;
    proxy.cut();
    proxy.set(Mode::Pass);
    shows_exactly(&shop.customer, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forwards_duplicates_shows_the_phone_nothing_twice() {
    let (shop, proxy) = behind_a_proxy().await;
    // A receipt would confirm the message like the lost ack.
    shop.customer.set_receipts(Receipts::None);
    shop.sim.faults().set_dedupe(false);
    shop.sim.faults().drop_acks(10);
    let ids = burst(&shop, 20, |_| {}).await;
    proxy.cut();
    shows_exactly(&shop.customer, &ids).await;
    eventually("the unacked to be sent again", async || {
        match shop.customer.duplicates() {
            0 => Err("no repeat yet"),
            _ => Ok(()),
        }
    })
    .await;
    shows_exactly(&shop.customer, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_outages_a_short_cut_heals_within_two_seconds() {
    let (shop, proxy) = behind_a_proxy().await;
    for n in 0..3 {
        let before = proxy.refused();
        proxy.set(Mode::Refuse);
        // Several failed connection attempts make the backoff grow.
        eventually("dials that fail", async || match proxy.refused() - before {
            3.. => Ok(()),
            few => Err(few),
        })
        .await;
        let id = shop
            .bot
            .accepted(CUSTOMER, &format!("terputus {n}"), None)
            .await;
        proxy.set(Mode::Pass);
        shown(&shop.customer, &id).await;
    }

    proxy.cut();
    let id = shop.bot.accepted(CUSTOMER, "setelah putus", None).await;
    let (_, took) = timed(shown(&shop.customer, &id)).await;
    assert!(took < Duration::from_secs(2), "back after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_restarted_with_its_state_finds_its_devices_again() {
    let folder = tempfile::tempdir().unwrap();
    let sim = Sim::builder()
        .data_dir(folder.path())
        .start()
        .await
        .unwrap();
    let addr = sim.addr();
    let url = sim.wss_url();
    let shop = Shop::open_at(sim.clone(), &url).await;
    let first = shop.bot.accepted(CUSTOMER, "sebelum", None).await;
    shown(&shop.customer, &first).await;
    sim.stop().await;

    let during = shop.bot.accepted(CUSTOMER, "selama", None).await;
    let sim = Sim::builder()
        .listen(addr)
        .data_dir(folder.path())
        .start()
        .await
        .unwrap();
    let customer = sim.phone(CUSTOMER).await;
    shown(&customer, &during).await;
    shows_exactly(&customer, &[first, during]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_with_a_full_queue_ends_each_message_once_and_sends_none_later() {
    let (shop, proxy) = behind_a_proxy().await;
    let receiver = Receiver::start().await;
    proxy.set(Mode::Refuse);
    let mut ids = Vec::new();
    for n in 0..10 {
        let text = format!("antre {n}");
        ids.push(
            shop.bot
                .accepted(CUSTOMER, &text, Some(receiver.url()))
                .await,
        );
    }
    shop.owner.logout_devices().await;
    proxy.set(Mode::Pass);
    // On a very slow machine the messages may have waited ten seconds before; then the callback
    // with ack 0 comes first.
    let ended = |id: &str| match receiver.acks(id)[..] {
        [-1] | [0, -1] => Ok(()),
        ref other => Err(other.to_vec()),
    };
    for id in &ids {
        eventually("the message's end", async || ended(id)).await;
    }
    let refused = shop.bot.sendwa(CUSTOMER, "sesudah", None).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.code(), "not_connected");

    shop.bot.link(&shop.owner).await;
    let id = shop.bot.accepted(CUSTOMER, "terhubung lagi", None).await;
    shown(&shop.customer, &id).await;
    for old in &ids {
        assert_eq!(ended(old), Ok(()));
        assert!(
            !shop
                .customer
                .inbox()
                .await
                .iter()
                .any(|message| message.id == *old)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bots_logout_leaves_the_other_bots_alone() {
    let shop = Shop::open().await;
    let other_owner = shop.sim.phone("6281200000002").await;
    let other = shop.gateway.linked_bot("cabang", &other_owner).await;
    shop.owner.logout_devices().await;
    eventually("the first bot to know", async || {
        let answer = shop.bot.sendwa(CUSTOMER, "halo", None).await;
        if answer.code() == "not_connected" {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
    let id = other.accepted(CUSTOMER, "dari cabang", None).await;
    shown(&shop.customer, &id).await;
    let state = other.call("/api/getqr", json!({})).await;
    assert_eq!(state.body["message"]["isAuthenticated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_that_was_lifted_early_ends_when_an_operator_tries_again() {
    const TOMORROW: u32 = 86_400;
    let (shop, proxy) = behind_a_proxy().await;
    let admin = shop.gateway.admin().await;
    let ban = Ban {
        code: 101,
        expire_s: TOMORROW.into(),
    };
    shop.sim.faults().ban(OWNER, ban);
    proxy.cut();
    eventually("the bot to be banned", async || {
        let bot = admin.get("/v1/bots/toko").await;
        (bot["state"] == "banned").then_some(()).ok_or(bot)
    })
    .await;
    let relink = admin.try_call("POST", "/v1/bots/toko/relink", Some(json!({})));
    let (status, refused) = relink.await.unwrap();
    assert_eq!(status, 409, "{refused}");

    shop.sim.faults().unban(OWNER);
    let answer = admin.post("/v1/bots/toko/relink", json!({})).await;
    assert_eq!(
        (&answer["state"], &answer["linked"]),
        (&json!("online"), &json!(true))
    );
    let id = shop.bot.accepted(CUSTOMER, "kembali", None).await;
    shown(&shop.customer, &id).await;
}

/// The server redelivers messages that the library has already decrypted, so the library finds
/// their message keys used.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_message_is_one_debug_line_and_no_warning() {
    const TEXTS: usize = 3;
    let sim = Sim::start().await.unwrap();
    let proxy = Proxy::start(sim.addr()).await;
    let owner = sim.phone(OWNER).await;
    let customer = sim.phone(CUSTOMER).await;
    let mut gateway = Gateway::start_with(&sim, &proxy.wss_url(), "log.level = \"debug\"").await;
    let bot = gateway.linked_bot("toko", &owner).await;
    let id = bot.accepted(CUSTOMER, "pembuka", None).await;
    shown(&customer, &id).await;
    let counted = async |gateway: &Gateway, name: &str| -> usize {
        let page = gateway.metrics().await;
        let line = page.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    };
    proxy.set(Mode::Mute);
    for n in 0..TEXTS {
        customer
            .send_text(OWNER, &format!("tanya {n}"))
            .await
            .unwrap();
    }
    eventually("the texts to be kept", async || {
        let kept = counted(&gateway, "waviro_inbound_total").await;
        (kept == TEXTS).then_some(()).ok_or(kept)
    })
    .await;
    // The acks inside the proxy are lost with its connections.
    proxy.set(Mode::Refuse);
    gateway.stop().await;
    let before = gateway.log().len();
    proxy.set(Mode::Pass);
    gateway.run().await;
    eventually("redeliveries to be counted", async || {
        let again = counted(&gateway, "waviro_link_redelivered_total").await;
        (again == TEXTS).then_some(()).ok_or(again)
    })
    .await;
    gateway.stop().await;
    let log = gateway.log().split_off(before);
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("redelivered message is already stored"))
        .collect();
    assert_eq!(lines.len(), TEXTS, "{log}");
    assert!(
        lines.iter().all(|line| line.contains("bot=\"toko\"")),
        "{lines:?}"
    );
    for line in log.lines() {
        assert!(
            !line.contains(" ERROR ") && !line.contains(" WARN "),
            "{line}"
        );
    }
}
