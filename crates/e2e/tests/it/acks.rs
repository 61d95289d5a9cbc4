//! Callbacks to `notifyurl`.

use std::time::Duration;

use e2e::eventually;
use e2e::receiver::Receiver;
use reqwest::StatusCode;
use wa_sim::Receipts;

use crate::{CUSTOMER, Shop, shown, shows_exactly};

#[tokio::test(flavor = "multi_thread")]
async fn sent_delivered_and_read_are_posted_in_order() {
    let shop = Shop::open().await;
    let receiver = Receiver::start().await;
    let id = shop
        .bot
        .accepted(CUSTOMER, "halo", Some(receiver.url()))
        .await;
    receiver.wait_acks(&id, &[1, 2, 3]).await;
    assert_eq!(receiver.chunked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_holds_if_receipts_overtake_the_servers_ack() {
    let shop = Shop::open().await;
    let receiver = Receiver::start().await;
    shop.sim.faults().set_ack_delay(Duration::from_millis(700));
    let mut ids = Vec::new();
    for n in 0..5 {
        let text = format!("halo {n}");
        ids.push(
            shop.bot
                .accepted(CUSTOMER, &text, Some(receiver.url()))
                .await,
        );
    }
    for id in &ids {
        receiver.wait_acks(id, &[1, 2, 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_is_called_back_when_the_customer_reads() {
    let shop = Shop::open().await;
    let receiver = Receiver::start().await;
    shop.customer.set_receipts(Receipts::Delivered);
    let id = shop
        .bot
        .accepted(CUSTOMER, "halo", Some(receiver.url()))
        .await;
    receiver.wait_acks(&id, &[1, 2]).await;
    shop.customer.read(crate::OWNER).await;
    receiver.wait_acks(&id, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_ends_with_minus_one_and_nothing_after() {
    let shop = Shop::open().await;
    let receiver = Receiver::start().await;
    let first = shop
        .bot
        .accepted(CUSTOMER, "pembuka", Some(receiver.url()))
        .await;
    receiver.wait_acks(&first, &[1, 2, 3]).await;
    shop.sim.faults().nack_next(1, 463);
    let id = shop
        .bot
        .accepted(CUSTOMER, "ditolak", Some(receiver.url()))
        .await;
    receiver.wait_acks(&id, &[-1]).await;
    // A failed message does not count for the duplicate rule.
    let again = shop
        .bot
        .accepted(CUSTOMER, "ditolak", Some(receiver.url()))
        .await;
    receiver.wait_acks(&again, &[1, 2, 3]).await;
    assert_eq!(receiver.acks(&id), [-1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_down_gets_every_callback_in_order() {
    let mut shop = Shop::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let id = shop
        .bot
        .accepted(CUSTOMER, "halo", Some(receiver.url()))
        .await;
    shown(&shop.customer, &id).await;
    eventually("a first call to be refused", async || {
        match receiver.refused() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    // A restart loses no callback.
    shop.gateway.kill().await;
    receiver.answer_with(None);
    shop.gateway.run().await;
    receiver.wait_acks(&id, &[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_from_the_time_when_the_gateway_was_down_are_called_back() {
    let mut shop = Shop::open().await;
    let receiver = Receiver::start().await;
    shop.customer.set_online(false);
    let id = shop
        .bot
        .accepted(CUSTOMER, "halo", Some(receiver.url()))
        .await;
    receiver.wait_acks(&id, &[1]).await;
    shop.gateway.kill().await;
    shop.customer.set_online(true);
    shown(&shop.customer, &id).await;
    shop.gateway.run().await;
    eventually("the remaining callbacks", async || {
        match receiver.acks(&id) {
            acks if acks.last() == Some(&3) => Ok(()),
            acks => Err(acks),
        }
    })
    .await;
    // Callbacks are delivered at least once. After a kill, a callback is repeated if the gateway
    // had posted but not yet recorded the callback.
    let mut acks = receiver.acks(&id);
    assert!(acks.len() <= 4, "more repeats than kills: {acks:?}");
    acks.dedup();
    assert_eq!(acks, [1, 2, 3]);
}

/// The client library stores the LID of a number in the background, so a kill can lose the LID. The
/// receipts of a one-to-one chat name only the LID.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_count_if_a_kill_lost_the_pair_of_number_and_lid() {
    let mut shop = Shop::open().await;
    let receiver = Receiver::start().await;
    shop.customer.set_online(false);
    let id = shop
        .bot
        .accepted(CUSTOMER, "halo", Some(receiver.url()))
        .await;
    receiver.wait_acks(&id, &[1]).await;
    shop.gateway.kill().await;
    assert!(forget_lids(&shop).await > 0, "no LID was stored");
    shop.customer.set_online(true);
    shown(&shop.customer, &id).await;
    shop.gateway.run().await;
    eventually("the rest of the acks", async || match receiver.acks(&id) {
        acks if acks.last() == Some(&3) => Ok(()),
        acks => Err(acks),
    })
    .await;
}

/// Removes the pairs of number and LID from the file of the bot's device; returns their number.
async fn forget_lids(shop: &Shop) -> u64 {
    use sqlx::{ConnectOptions, Connection};
    let mut removed = 0;
    for entry in std::fs::read_dir(shop.gateway.folder().join("data/links")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "db") {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let mut device = options.connect().await.unwrap();
            let done = sqlx::query("DELETE FROM lid_pn_mapping").execute(&mut device);
            removed += done.await.unwrap().rows_affected();
            device.close().await.unwrap();
        }
    }
    removed
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_receipts_in_one_login_are_called_back_and_block_nothing() {
    let mut shop = Shop::open().await;
    let receiver = Receiver::start().await;
    // The customer's phone is back after a long time, while the gateway is down. All receipts of
    // that time wait for the gateway's login.
    shop.customer.set_online(false);
    let texts = (0..1000).map(|n| format!("hari {n}")).collect::<Vec<_>>();
    let mut ids = Vec::new();
    for some in texts.chunks(50) {
        let calls = some
            .iter()
            .map(|text| shop.bot.accepted(CUSTOMER, text, Some(receiver.url())));
        ids.extend(futures::future::join_all(calls).await);
    }
    for id in &ids {
        receiver.wait_acks(id, &[1]).await;
    }
    shop.gateway.stop().await;
    shop.customer.set_online(true);
    shows_exactly(&shop.customer, &ids).await;
    shop.gateway.run().await;
    for id in &ids {
        receiver.wait_acks(id, &[1, 2, 3]).await;
    }
    let last = shop.bot.accepted(CUSTOMER, "masih hidup", None).await;
    shown(&shop.customer, &last).await;
}

/// Each stage of a message arrives at least once, and no lower stage follows a higher stage.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_every_stage_still_arrives_and_none_goes_back() {
    /// The limit of unfinished callbacks to one endpoint at a kill: requests without an answer, and
    /// answers without a commit.
    const UNDER_WAY: usize = 72;
    const KILLS: usize = 4;
    let mut shop = Shop::open().await;
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for round in 0..KILLS {
        for n in 0..25 {
            let text = format!("putaran {round} pesan {n}");
            let notify = Some(receiver.url());
            ids.push(shop.bot.accepted(CUSTOMER, &text, notify).await);
        }
        // At the kill, some callbacks are delivered and some are not.
        let called_back_id = &ids[round * 25 + round * 5];
        eventually("a callback of this round", async || {
            receiver.acks(called_back_id).first().copied().ok_or(())
        })
        .await;
        shop.gateway.kill().await;
        shop.gateway.run().await;
    }
    let mut repeats = 0;
    for id in &ids {
        let stages = eventually("stage 3", async || {
            let acks = receiver.acks(id);
            if acks.last() == Some(&3) {
                Ok(acks)
            } else {
                Err(acks)
            }
        })
        .await;
        assert!(stages.is_sorted(), "{id}: {stages:?}");
        let mut once = stages.clone();
        once.dedup();
        assert!(
            once == [1, 2, 3] || once == [0, 1, 2, 3],
            "{id}: {stages:?}"
        );
        repeats += stages.len() - once.len();
    }
    assert!(repeats <= KILLS * UNDER_WAY, "{repeats}");
    shows_exactly(&shop.customer, &ids).await;
}
