//! Measures the effect of bad endpoints on good endpoints, the cost of a backlog, and the time to
//! empty the backlog after a repair.
//!
//! `cargo run --release -p e2e --example outages -- --messages 3000 --rate 100 --backlog 10000`
//! runs the released gateway binary against a simulator and four endpoints on this machine, and
//! ends by itself. The ratios compare figures of the same run.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example reports and fails on the terminal"
)]

mod endpoints;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use e2e::gateway::{Bot, Gateway};
use e2e::process;
use endpoints::{Endpoint, Manner, pause};
use futures::StreamExt;
use tokio::time::Instant;
use wa_sim::{PhoneSpec, Sim};

/// The number of customers. The messages are spread over customers because a chat's messages are
/// sent one after the other.
const CUSTOMERS: usize = 40;

/// Concurrent sends.
const SIDE_BY_SIDE: usize = 32;

struct Run {
    bot: Bot,
    sent: std::sync::atomic::AtomicUsize,
}

/// Messages to one endpoint: the ids with the times of acceptance.
type Sent = Vec<(String, Instant)>;

/// Measures the effect of bad endpoints on good endpoints, the cost of a backlog, and the time to
/// empty the backlog after a repair.
#[derive(Parser)]
struct Arguments {
    /// The number of messages per phase.
    #[arg(long, default_value_t = 3000)]
    messages: usize,
    /// Messages per second for each endpoint.
    #[arg(long, default_value_t = 100)]
    rate: usize,
    /// The number of messages waiting for the failing endpoint.
    #[arg(long, default_value_t = 10_000)]
    backlog: usize,
}

#[tokio::main]
async fn main() {
    let Arguments {
        messages,
        rate,
        backlog,
    } = Arguments::parse();
    let sim = Sim::builder()
        .inbox_limit(100)
        .start()
        .await
        .expect("a simulator");
    let owner = sim.add_phone(PhoneSpec::new("6281200000001", "Toko")).await;
    for n in 0..CUSTOMERS {
        sim.add_phone(PhoneSpec::new(customer(n), "Pelanggan"))
            .await;
    }
    let gateway = Gateway::start(&sim, &sim.wss_url()).await;
    let pid = gateway.pid().expect("the gateway runs");
    let bot = gateway.linked_bot("toko", &owner).await;
    let run = Arc::new(Run {
        bot,
        sent: std::sync::atomic::AtomicUsize::new(0),
    });
    // The first message to a number includes a lookup, which the phases should not measure.
    run.send_many(CUSTOMERS, None).await;

    let healthy = Endpoint::start(Manner::Works).await;
    let alone = run.paced(messages, rate, &[&healthy.url]).await;
    let (alone_p50, alone_p99, alone_rate) = lags(&healthy, &alone[0]).await;
    println!(
        "healthy alone        lag of ack 1 p50 {alone_p50:.0} ms, p99 {alone_p99:.0} ms; {alone_rate:.0} callbacks/s"
    );

    let beside = Endpoint::start(Manner::Works).await;
    let slow = Endpoint::start(Manner::Slow).await;
    let hole = Endpoint::start(Manner::Hole).await;
    // Half of the messages go to the two bad endpoints.
    let urls = [&beside.url, &slow.url, &beside.url, &hole.url].map(String::as_str);
    let all = run.paced(messages * 2, rate * 2, &urls).await;
    let good: Sent = [all[0].clone(), all[2].clone()].concat();
    let (p50, p99, good_rate) = lags(&beside, &good).await;
    println!(
        "beside bad ones      lag of ack 1 p50 {p50:.0} ms, p99 {p99:.0} ms; {good_rate:.0} callbacks/s"
    );
    println!(
        "                     p99 {:.1}x of alone (mark 2, and at most 1000 ms); throughput {:.2}x (mark 0.9)",
        p99 / alone_p99.max(1.0),
        good_rate / alone_rate
    );
    println!(
        "the bad ones         slow: {} calls, at most {} at a time; black hole: {} calls, at most {} at a time",
        slow.calls(),
        slow.most_under_way(),
        hole.calls(),
        hole.most_under_way()
    );

    // Sends the same number of messages without a backlog first. The difference in memory is then
    // the cost of the backlog.
    let easy = Endpoint::start(Manner::Works).await;
    let sent = run.send_many(backlog, Some(&easy.url)).await;
    all_told(&easy, &sent).await;
    let before = settled_memory(pid).await;

    let down = Endpoint::start(Manner::Down).await;
    let began = Instant::now();
    let waiting = run.send_many(backlog, Some(&down.url)).await;
    println!(
        "backlog              {} messages accepted in {:.1} s for an endpoint that is down",
        waiting.len(),
        began.elapsed().as_secs_f64()
    );
    // Waits until WhatsApp has acked all messages, and each callback has failed once or waits in
    // the endpoint queue.
    calm(&down).await;
    let during = settled_memory(pid).await;
    println!(
        "                     memory {before:.1} MiB after as many that nobody waited for, {during:.1} MiB with it: {:.1} MiB more (mark 20)",
        during - before
    );
    let failed = down.calls();
    down.repair();
    let began = Instant::now();
    // The attempt for this new message discovers that the endpoint works again.
    run.send_many(1, Some(&down.url)).await;
    all_told(&down, &waiting).await;
    println!(
        "drained              {} in {:.1} s (mark 60 s) at most {} at a time (cap 8); {failed} calls had failed, {} came twice",
        waiting.len(),
        began.elapsed().as_secs_f64(),
        down.most_under_way(),
        down.repeats() + healthy.repeats() + beside.repeats(),
    );
}

impl Run {
    /// Sends one message and returns its id after acceptance.
    async fn send(&self, notify: Option<&str>) -> (String, Instant) {
        let n = self.sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let to = customer(n % CUSTOMERS);
        let id = self.bot.accepted(&to, &format!("pesan {n}"), notify).await;
        (id, Instant::now())
    }

    /// Sends as fast as the gateway accepts.
    async fn send_many(self: &Arc<Self>, count: usize, notify: Option<&str>) -> Sent {
        futures::stream::iter(0..count)
            .map(|_| self.send(notify))
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await
    }

    /// Sends at a constant rate, with the URLs in turn. Returns the messages per URL.
    async fn paced(self: &Arc<Self>, count: usize, rate: usize, urls: &[&str]) -> Vec<Sent> {
        let began = Instant::now();
        let gap = Duration::from_secs(1) / u32::try_from(rate).expect("a small rate");
        let calls = futures::stream::iter(0..count).map(|n| async move {
            let due = began + gap * u32::try_from(n).expect("a small count");
            pause(due.saturating_duration_since(Instant::now())).await;
            (n % urls.len(), self.send(Some(urls[n % urls.len()])).await)
        });
        let mut sent = vec![Vec::new(); urls.len()];
        let mut done = calls.buffered(rate.max(SIDE_BY_SIDE));
        while let Some((to, message)) = done.next().await {
            sent[to].push(message);
        }
        sent
    }
}

/// Returns the time from the accepting answer to the callback of ack 1 (p50 and p99 in
/// milliseconds), and the callbacks per second.
async fn lags(endpoint: &Endpoint, sent: &Sent) -> (f64, f64, f64) {
    let latest = Instant::now() + Duration::from_mins(2);
    let mut lags = Vec::with_capacity(sent.len());
    let mut last = sent[0].1;
    for (id, accepted) in sent {
        let arrived = loop {
            if let Some(arrived) = endpoint.arrival(id, 1) {
                break arrived;
            }
            assert!(Instant::now() < latest, "a callback of ack 1 never came");
            pause(Duration::from_millis(5)).await;
        };
        last = last.max(arrived);
        lags.push(arrived.saturating_duration_since(*accepted).as_secs_f64() * 1000.0);
    }
    lags.sort_by(f64::total_cmp);
    let at = |share: usize| lags[(lags.len() - 1) * share / 100];
    let span = last.saturating_duration_since(sent[0].1).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let rate = sent.len() as f64 / span.max(0.001);
    (at(50), at(99), rate)
}

/// Waits until the endpoint has received ack 1 of all messages.
async fn all_told(endpoint: &Endpoint, sent: &Sent) {
    let began = Instant::now();
    while sent.iter().any(|(id, _)| endpoint.arrival(id, 1).is_none()) {
        assert!(
            began.elapsed() < Duration::from_mins(5),
            "{} arrived",
            endpoint.arrivals()
        );
        pause(Duration::from_millis(50)).await;
    }
}

/// Waits until an endpoint receives fewer than 20 calls in two seconds.
async fn calm(endpoint: &Endpoint) {
    let mut before = endpoint.calls();
    for _ in 0..60 {
        pause(Duration::from_secs(2)).await;
        let now = endpoint.calls();
        if now - before < 20 {
            return;
        }
        before = now;
    }
}

/// Returns the gateway's resident memory in MiB, the lowest of five measurements.
async fn settled_memory(pid: u32) -> f64 {
    let mut lowest = f64::MAX;
    for _ in 0..5 {
        pause(Duration::from_millis(500)).await;
        lowest = lowest.min(process::memory(pid));
    }
    lowest
}

fn customer(n: usize) -> String {
    format!("62813{n:08}")
}
