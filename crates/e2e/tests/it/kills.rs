//! Accepted messages survive the end of the gateway's process.

use e2e::eventually;
use e2e::proxy::{Mode, Proxy};
use e2e::receiver::Receiver;
use wa_sim::Sim;

use crate::{CUSTOMER, Shop, shown, shows_exactly};

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_and_the_wire_a_message_is_shown_once_under_its_id() {
    let sim = Sim::start().await.unwrap();
    let proxy = Proxy::start(sim.addr()).await;
    let mut shop = Shop::open_at(sim, &proxy.wss_url()).await;
    let receiver = Receiver::start().await;
    let first = shop.bot.accepted(CUSTOMER, "pembuka", None).await;
    shown(&shop.customer, &first).await;

    proxy.set(Mode::Stall);
    let mut ids = vec![first];
    for n in 0..10 {
        let text = format!("pesan {n}");
        ids.push(
            shop.bot
                .accepted(CUSTOMER, &text, Some(receiver.url()))
                .await,
        );
    }
    shop.gateway.kill().await;
    proxy.cut();
    proxy.set(Mode::Pass);
    shop.gateway.run().await;

    shows_exactly(&shop.customer, &ids).await;
    for id in &ids[1..] {
        receiver.wait_acks(id, &[1, 2, 3]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_burst_nothing_accepted_is_lost_or_doubled() {
    let mut shop = Shop::open().await;
    let first = shop.bot.accepted(CUSTOMER, "pembuka", None).await;
    shown(&shop.customer, &first).await;
    let mut ids = vec![first];
    for round in 0..3 {
        let calls = (0..40).map(|n| {
            let text = format!("putaran {round} pesan {n}");
            let bot = &shop.bot;
            async move {
                let body = serde_json::json!({"nohp": CUSTOMER, "pesan": text});
                bot.try_call("/api/sendwa", body).await
            }
        });
        let answers = futures::future::join_all(calls).await;
        for answer in answers.into_iter().map(Result::unwrap) {
            assert!(answer.status.is_success(), "{answer:?}");
            ids.push(answer.id());
        }
        shop.gateway.kill().await;
        shop.gateway.run().await;
    }
    shows_exactly(&shop.customer, &ids).await;
    // The gateway may resend a stanza if the ack was not yet stored; the phone shows each message
    // once.
    assert_eq!(shop.customer.inbox().await.len(), ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_the_moment_it_is_linked_a_bot_stays_linked() {
    for _ in 0..3 {
        let mut shop = Shop::open().await;
        shop.gateway.kill().await;
        shop.gateway.run().await;
        let id = shop.bot.accepted(CUSTOMER, "masih terhubung", None).await;
        shown(&shop.customer, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_quick_and_keeps_the_link() {
    let mut shop = Shop::open().await;
    let took = shop.gateway.stop().await;
    assert!(took.as_secs() < 6, "SIGTERM took {took:?}");
    shop.gateway.run().await;
    shop.bot.wait_linked().await;
    let id = shop.bot.accepted(CUSTOMER, "lagi", None).await;
    shown(&shop.customer, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_hold_no_text_no_number_and_no_key() {
    let mut shop = Shop::open().await;
    let id = shop.bot.accepted(CUSTOMER, "rahasia-dapur-42", None).await;
    shown(&shop.customer, &id).await;
    shop.customer
        .send_text(crate::OWNER, "balasan-rahasia-43")
        .await
        .unwrap();
    eventually("the gateway to log something", async || {
        let log = shop.gateway.log();
        if log.is_empty() { Err(log) } else { Ok(()) }
    })
    .await;
    shop.gateway.stop().await;
    let log = shop.gateway.log();
    for secret in [
        "rahasia-dapur-42",
        "balasan-rahasia-43",
        CUSTOMER,
        crate::OWNER,
        &shop.bot.key,
    ] {
        assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on() {
    let shop = Shop::open().await;
    let refused = shop.gateway.run_second().await;
    assert!(refused.contains("another gateway uses"), "{refused}");
    let id = shop.bot.accepted(CUSTOMER, "tetap jalan", None).await;
    shown(&shop.customer, &id).await;
}
