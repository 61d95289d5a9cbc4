//! An answer 200 leaves only after the message is on the disk. The tests check the order of the
//! system calls.

use e2e::durable::{Answered, too_early};
use e2e::eventually;
use e2e::files::Files;
use e2e::gateway::{Gateway, Server};
use futures::future::join_all;
use serde_json::json;
use wa_sim::{PhoneSpec, Sim};

use crate::{CUSTOMER, OWNER};

/// Sends single texts, concurrent texts with a shared commit, a text with an `Idempotency-Key`, and
/// a file. Returns the messages that were answered too early.
async fn accepted_under_trace(bug: Option<&str>) -> Vec<String> {
    let sim = Sim::start().await.unwrap();
    let owner = sim.add_phone(PhoneSpec::new(OWNER, "Toko")).await;
    sim.add_phone(PhoneSpec::new(CUSTOMER, "Ani")).await;
    let server = Server::of(&sim, &sim.wss_url());
    let mut gateway = match bug {
        None => Gateway::prepare(&server, "", Vec::new()),
        Some(_) => Gateway::of_torture(&server, "", Vec::new()),
    };
    gateway.set_env("TORTURE_BUG", bug);
    let trace = gateway.folder().join("trace");
    gateway.trace_into(trace.clone());
    gateway.run().await;
    let bot = gateway.linked_bot("toko", &owner).await;
    let host = vec![("nota.pdf", "application/pdf", "%PDF-1.4 nota".into())];
    let files = Files::start(host).await;
    let mut answered = Vec::new();
    let mut keep = |id: String, file: bool| answered.push(Answered { id, file });
    for n in 0..5 {
        keep(
            bot.accepted(CUSTOMER, &format!("satu {n}"), None).await,
            false,
        );
    }
    let texts: Vec<String> = (0..15).map(|n| format!("serentak {n}")).collect();
    let together = texts.iter().map(|text| bot.accepted(CUSTOMER, text, None));
    for id in join_all(together).await {
        keep(id, false);
    }
    let admin = gateway.admin().await;
    let text = json!({"to": CUSTOMER, "text": "dengan kunci"});
    let once = admin
        .try_call("POST", "/v1/bots/toko/messages", Some(text))
        .await
        .unwrap();
    assert_eq!(once.0, 202, "{once:?}");
    keep(once.1["id"].as_str().unwrap().to_owned(), false);
    let file = json!({"nohp": CUSTOMER, "mediaurl": files.url("nota.pdf")});
    let file = bot.call("/api/sendmedia", file).await;
    keep(file.id(), true);
    gateway.stop().await;
    let read = eventually("the whole trace", async || {
        let trace = std::fs::read(&trace).unwrap();
        let trace = String::from_utf8_lossy(&trace).into_owned();
        let all = answered.iter().all(|it| trace.contains(&it.id));
        if all { Ok(trace) } else { Err(trace.len()) }
    });
    too_early(&read.await, &answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_message_is_synced() {
    assert_eq!(accepted_under_trace(None).await, [""; 0]);
}

/// The same check for a gateway with the bug `no-sync`.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_sync_is_detected() {
    let found = accepted_under_trace(Some("no-sync")).await;
    assert!(found.len() >= 20, "{found:?}");
    assert!(found.iter().all(|it| it.contains("synced")), "{found:?}");
}
