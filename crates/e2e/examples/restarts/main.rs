//! Measures the duration of a restart:
//! `cargo run --release -p e2e --example restarts -- --bots 50 --times 20`.
//!
//! The program stops the gateway in order and starts it again. The output is the time to stop, the
//! time until HTTP answers, and the time until every bot is online.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example reports and fails on the terminal"
)]

use std::time::Duration;

use clap::Parser;
use e2e::gateway::{Admin, Gateway};
use tokio::time::Instant;
use wa_sim::{PhoneSpec, Sim};

/// The polling interval.
const LOOK: Duration = Duration::from_millis(10);

/// Measures the duration of a restart.
#[derive(Parser)]
struct Arguments {
    /// The number of linked bots.
    #[arg(long, default_value_t = 50)]
    bots: usize,
    /// The number of restarts.
    #[arg(long, default_value_t = 20)]
    times: usize,
}

#[tokio::main]
async fn main() {
    let Arguments { bots, times } = Arguments::parse();
    let sim = Sim::start().await.expect("a simulator");
    let mut gateway = Gateway::start(&sim, &sim.wss_url()).await;
    for n in 0..bots {
        let owner = PhoneSpec::new(format!("62812{n:08}"), format!("Toko {n}"));
        let owner = sim.add_phone(owner).await;
        gateway.linked_bot(&format!("toko{n}"), &owner).await;
    }
    let admin = gateway.admin().await;
    let (mut stops, mut answers, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        stops.push(gateway.stop().await);
        let began = Instant::now();
        gateway.start_process();
        until(async || is_up(&admin).await).await;
        answers.push(began.elapsed());
        until(async || online(&admin).await == bots).await;
        links.push(began.elapsed());
    }
    println!("{bots} bots, {times} restarts; median and longest, milliseconds");
    show("stopped after", &mut stops);
    show("HTTP after", &mut answers);
    show("every bot online after", &mut links);
}

async fn is_up(admin: &Admin) -> bool {
    admin
        .try_call("GET", "/v1/bots?limit=1", None)
        .await
        .is_ok()
}

async fn online(admin: &Admin) -> usize {
    let (mut count, mut path) = (0, "/v1/bots?limit=100".to_owned());
    while let Ok((200, page)) = admin.try_call("GET", &path, None).await {
        let bots = page["data"].as_array().cloned().unwrap_or_default();
        count += bots.iter().filter(|bot| bot["state"] == "online").count();
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/bots?limit=100&cursor={next}"),
            None => break,
        }
    }
    count
}

async fn until(what: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !what().await {
        assert!(Instant::now() < end, "waited a minute");
        let nothing = std::future::pending::<()>();
        let _ = tokio::time::timeout(LOOK, nothing).await;
    }
}

fn show(what: &str, spans: &mut [Duration]) {
    spans.sort_unstable();
    let middle = spans.get(spans.len() / 2).map_or(0, Duration::as_millis);
    let longest = spans.last().map_or(0, Duration::as_millis);
    println!("{what:24} {middle:>6} {longest:>6}");
}
