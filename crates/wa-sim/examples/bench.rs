//! Measures the messages per second of a simulator. Simple clients, linked by QR code, each send
//! messages to their own phone.
//!
//! `cargo run --release -p wa-sim --example bench -- [CLIENTS] [SECONDS]`. The clients and the
//! simulator share the process, so the result is a lower bound for the simulator alone.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a program for a person, which ends when it has measured"
)]

#[path = "../tests/it/client.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use wa_sim::{Sim, SimEvent};

use client::TestClient;

/// The number of messages that a client sends without waiting for the acks.
const IN_FLIGHT: u64 = 64;

#[tokio::main]
async fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let clients = args.next().unwrap_or(4);
    let seconds = Duration::from_secs(args.next().unwrap_or(10));
    let sim = Sim::start().await.expect("a free port");
    println!("linking {clients} clients …");
    let started = Instant::now();
    let mut linked = Vec::new();
    for n in 0..clients {
        let shop = sim.phone(&format!("6281{n:08}")).await;
        sim.phone(&format!("6282{n:08}")).await;
        linked.push(Arc::new(TestClient::paired(&sim, &shop).await.0));
    }
    println!("linked in {:?}", started.elapsed());

    let acked = Arc::new(AtomicU64::new(0));
    let shown = Arc::new(AtomicU64::new(0));
    let mut events = sim.events();
    let (count_acks, count_shown) = (Arc::clone(&acked), Arc::clone(&shown));
    let counter = tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(SimEvent::Acked { .. }) => count_acks.fetch_add(1, Ordering::Relaxed),
                Ok(SimEvent::PhoneMessage { .. }) => count_shown.fetch_add(1, Ordering::Relaxed),
                Ok(_) => 0,
                Err(error) => {
                    println!("the counter fell behind: {error}");
                    0
                }
            };
        }
    });
    let started = Instant::now();
    let senders = linked.iter().enumerate().map(|(n, client)| {
        let client = Arc::clone(client);
        tokio::spawn(async move {
            let to = format!("6282{n:08}@s.whatsapp.net");
            let mut sent = 0_u64;
            while started.elapsed() < seconds {
                client
                    .send(&to, "how fast is this", &format!("B{n}-{sent}"))
                    .await;
                sent += 1;
                if sent.is_multiple_of(IN_FLIGHT) {
                    client.ack(&format!("B{n}-{}", sent - 1)).await;
                    client.forget();
                }
            }
            sent
        })
    });
    let sent: u64 = futures::future::join_all(senders)
        .await
        .into_iter()
        .map(|sent| sent.expect("ran"))
        .sum();
    let took = started.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    counter.abort();
    let acked = acked.load(Ordering::Relaxed);
    let shown = shown.load(Ordering::Relaxed);
    println!(
        "{sent} sent, {acked} acked, {shown} shown (each by the recipient's and the sender's phone) in {took:?}"
    );
    let per_second = u128::from(sent) * 1_000 / took.as_millis().max(1);
    println!("{per_second} messages/s");
    sim.stop().await;
}
