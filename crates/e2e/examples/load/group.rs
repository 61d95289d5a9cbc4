//! Measures a large group. Each text causes two receipts from each member, and the bot's other work
//! must not wait for these receipts.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use crate::measure::Process;
use crate::stage::{Stage, customer, number_of};

/// WhatsApp's own limit is 1,024.
const MEMBERS: usize = 1_000;

/// Texts to the group.
const TEXTS: usize = 100;

/// Texts of customers to the same bot during the receipts.
const CUSTOMERS_TEXTS: u64 = 200;

/// Phones to create concurrently.
const AT_ONCE: usize = 16;

/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// Texts without receipts, which show the cost of the members' decryption.
const DECRYPTED: usize = 20;

/// A customer's text has to be kept within this time.
const MARK: Duration = Duration::from_secs(5);

/// The time limit of the phase.
const WITHIN: Duration = Duration::from_mins(5);

/// Runs the phase with the first bot.
pub async fn run(stage: &Arc<Stage>, gateway: Process, simulator: Process) {
    let members: Vec<String> = (0..MEMBERS - 1).map(|n| format!("62877{n:07}")).collect();
    stream::iter(&members)
        .for_each_concurrent(AT_ONCE, |number| stage.phone(number))
        .await;
    let group = json!({"name": "Pelanggan", "owner": number_of(0), "members": members});
    let group = stage.control("/control/groups", group).await;
    let group = group["groupid"].as_str().unwrap().to_owned();
    // The first text sends the bot's sender key to every member. The phase does not measure this.
    let of_one = 2 * (MEMBERS as u64 - 1);
    let all = Counts::of(stage).await.receipts + of_one;
    stage.to_group(&group, "pembuka").await;
    until(
        stage,
        |now| now.receipts >= all,
        "the first text's receipts",
    )
    .await;
    stage.drained().await;

    // Each member decrypts each text, which costs more than the receipts.
    set_receipts(stage, &members, "none").await;
    let before = settled_cpu(simulator).await;
    for n in 0..DECRYPTED {
        stage
            .to_group(&group, &format!("tanpa tanda terima {n}"))
            .await;
    }
    stage.drained().await;
    let a_text = (settled_cpu(simulator).await - before) / DECRYPTED as f64;
    set_receipts(stage, &members, "read").await;

    let before = Counts::of(stage).await;
    let (memory, cpu) = (gateway.memory(), (gateway.cpu(), simulator.cpu()));
    let began = Instant::now();
    let sending = async {
        for n in 0..TEXTS {
            stage.to_group(&group, &format!("pengumuman {n}")).await;
        }
        let acked = before.acked + TEXTS as u64;
        until(stage, |now| now.acked >= acked, "every server ack").await;
        began.elapsed()
    };
    let writing = async {
        let bot = number_of(0);
        for n in 0..CUSTOMERS_TEXTS {
            let text = json!({"to": bot, "text": format!("masih ada? {n}")});
            let path = format!("/control/phones/{}/send", customer(n as usize));
            stage.control(&path, text).await;
        }
        let written = Instant::now();
        let kept = before.inbound + CUSTOMERS_TEXTS;
        tokio::time::sleep(MARK).await;
        let in_time = Counts::of(stage).await.inbound - before.inbound;
        until(stage, |now| now.inbound >= kept, "every customer's text").await;
        (in_time, written.elapsed())
    };
    let receipts = of_one * TEXTS as u64;
    let hearing = async {
        let all = before.receipts + receipts;
        until(stage, |now| now.receipts >= all, "every receipt").await;
        began.elapsed()
    };
    let watching = peak(gateway);
    tokio::pin!(watching);
    let mut most = memory;
    let work = async { tokio::join!(sending, writing, hearing) };
    tokio::pin!(work);
    let (acked, (in_time, kept), heard) = loop {
        tokio::select! {
            done = &mut work => break done,
            seen = &mut watching => {
                most = most.max(seen);
                watching.set(peak(gateway));
            }
        }
    };
    let share = |cpu: f64| cpu * 1e6 / receipts as f64;
    println!(
        "group of {MEMBERS}        {TEXTS} texts: acked after {:.1} s, {receipts} receipts heard after {:.1} s",
        acked.as_secs_f64(),
        heard.as_secs_f64()
    );
    println!(
        "customers beside it  {in_time} of {CUSTOMERS_TEXTS} texts kept within {MARK:?} after the last was written, all within {:.1} s",
        kept.as_secs_f64()
    );
    println!(
        "a receipt            {:.1} µs CPU of the simulator (mark 20; {:.1} with the members' decryption), {:.1} of the gateway; memory {memory:.1} MiB, {most:.1} at most",
        share(simulator.cpu() - cpu.1 - a_text * TEXTS as f64),
        share(simulator.cpu() - cpu.1),
        share(gateway.cpu() - cpu.0),
    );
}

/// Sets which receipts the phones of the members send.
async fn set_receipts(stage: &Stage, members: &[String], receipts: &str) {
    for number in members {
        let path = format!("/control/phones/{number}");
        stage.change(&path, json!({"receipts": receipts})).await;
    }
}

/// Waits until the process is idle and returns its CPU time.
async fn settled_cpu(process: Process) -> f64 {
    let mut before = process.cpu();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = process.cpu();
        if now - before < 0.02 {
            return now;
        }
        before = now;
    }
}

/// Returns the gateway's memory after one polling interval.
async fn peak(gateway: Process) -> f64 {
    tokio::time::sleep(LOOK).await;
    gateway.memory()
}

/// Counters of the gateway.
struct Counts {
    acked: u64,
    inbound: u64,
    receipts: u64,
}

impl Counts {
    async fn of(stage: &Stage) -> Self {
        let page = stage.metrics().await;
        Self {
            acked: page.count("waviro_server_acks_total{verdict=\"accepted\"}"),
            inbound: page.count("waviro_inbound_total"),
            receipts: page.count("waviro_receipts_total"),
        }
    }
}

async fn until(stage: &Stage, wanted: impl Fn(&Counts) -> bool, what: &str) {
    let end = Instant::now() + WITHIN;
    while !wanted(&Counts::of(stage).await) {
        assert!(
            Instant::now() < end,
            "{what} did not come within {WITHIN:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}
