//! How fast and how small: the gateway under load, and the bare client beside it in the same run, because machines are
//! shared and only a ratio says something.
//!
//! `cargo run --release -p e2e --example load -- --bots 200 --seconds 20`
//!
//! Three processes: the simulator, the gateway (the binary that users run), and this one, which is the load and, at the
//! end, the bare client. Everything stays on loopback. The figures are explained in docs/performance.md.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a measuring tool for people: it prints, stops where something fails, and its numbers are small"
)]

mod bare;
mod disk;
mod group;
mod measure;
mod rows;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use e2e::files::Files;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use measure::{Process, Spread, disk_probe};
use stage::Stage;
use tokio::time::Instant;

/// Files at once in the last phase, and how large they are.
const FILES: usize = 50;
const LARGEST: usize = 16 * 1024 * 1024;

/// Answers a second in the latency phase: busy for a shop, far from the limit.
const STEADY: u64 = 200;

/// How fast and how small: the gateway under load, and the bare client beside it.
#[derive(Parser)]
struct Arguments {
    /// How many bots are linked, at least two.
    #[arg(long, default_value_t = 50)]
    bots: usize,
    /// How long a phase takes, at least two.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Measures an empty database and one with so many rows in place of all else.
    #[arg(long)]
    rows: Option<u64>,
}

#[tokio::main]
async fn main() {
    let Arguments {
        bots,
        seconds,
        rows,
    } = Arguments::parse();
    let (bots, span) = (bots.max(2), Duration::from_secs(seconds.max(2)));
    match rows {
        Some(rows) => rows::run(bots, rows, span).await,
        None => run(bots, span).await,
    }
}

async fn run(bots: usize, span: Duration) {
    println!("{bots} bots, {span:?} a phase; simulator, gateway and load on this machine\n");
    let mut stage = Stage::set(bots).await;
    let gateway = Process(stage.gateway_pid());

    let half = bots / 2;
    stage.link(half).await;
    let at_half = gateway.settled_memory().await;
    stage.link(bots).await;
    let at_full = gateway.settled_memory().await;
    let further = (at_full - at_half) / (bots - half) as f64;
    println!(
        "linked idle bots     {at_full:.1} MiB at {bots}; {further:.2} MiB a further bot (mark 0.6)"
    );

    stage.acquaint().await;
    let stage = Arc::new(stage);

    let calm = disk_probe(stage.folder(), 300);
    let probing = tokio::task::spawn_blocking({
        let (folder, span) = (stage.folder().to_owned(), span);
        move || measure::disk_probe_during(&folder, span)
    });
    let (steady, nothing) = steady(&stage, span).await;
    let busy = probing.await.unwrap();
    println!("fdatasync            idle {calm}; during the next phase {busy}");
    let ratio = steady.at(0.99) / busy.at(0.99);
    println!("answer at {STEADY}/s      {steady}; p99 is {ratio:.1}x fdatasync's (mark 3)");
    println!("/livez beside it     {nothing}");
    stage.drained().await;

    let one = closed_loop(&stage, 1, span / 2).await;
    stage.drained().await;
    println!(
        "1 client             {:.0} accepted/s, {}",
        one.rate, one.spread
    );

    let (cpu, acked, began) = (gateway.cpu(), stage.acked().await, Instant::now());
    let many = closed_loop(&stage, 64, span).await;
    stage.drained().await;
    let took = began.elapsed().as_secs_f64();
    let acked = (stage.acked().await - acked) as f64;
    let cpu = (gateway.cpu() - cpu) / acked;
    let acked_rate = acked / took;
    println!(
        "64 clients           {:.0} accepted/s ({:.1}x one client's, mark 10), {}",
        many.rate,
        many.rate / one.rate,
        many.spread
    );
    println!("acked                {acked_rate:.0}/s until the queue was empty (mark 1500)");
    println!(
        "gateway              {:.0} µs CPU an acked message",
        cpu * 1e6
    );
    println!("gateway after load   {:.1} MiB", gateway.memory());

    stage.slow_disk(true);
    let slow_one = closed_loop(&stage, 1, span / 2).await;
    let slow_many = closed_loop(&stage, 64, span / 2).await;
    stage.slow_disk(false);
    println!("\nwith syncs that take 4 ms longer:");
    println!(
        "1 client             {:.0} accepted/s, {}",
        slow_one.rate, slow_one.spread
    );
    println!(
        "64 clients           {:.0} accepted/s ({:.1}x one client's, mark 10), {}",
        slow_many.rate,
        slow_many.rate / slow_one.rate,
        slow_many.spread
    );
    stage.drained().await;

    files(&stage, gateway, "documents", document()).await;
    files(&stage, gateway, "photos", photo()).await;

    group::run(&stage, gateway, Process(stage.simulator_pid())).await;

    let bare = bare::run(&stage, bots, span).await;
    println!("\nthe bare client in the same run, same store and durability, no gateway:");
    println!(
        "linked idle clients  {:.2} MiB a further client",
        bare.memory
    );
    println!(
        "acked                {:.0}/s, {:.0} µs CPU an acked message",
        bare.rate,
        bare.cpu * 1e6
    );
    println!("\nratios, gateway to bare client:");
    println!("memory a further bot {:.2}x", further / bare.memory);
    println!("acked messages/s     {:.2}x", acked_rate / bare.rate);
    println!("CPU a message        {:.2}x", cpu / bare.cpu);
}

/// What a phase of requests came to.
struct Phase {
    rate: f64,
    spread: Spread,
}

/// Requests at fixed times, whether or not the last was answered: a slow answer does not slow the load down, so that the
/// wait of those behind it counts. Between any two sends goes a request that touches no database: what the machine and HTTP
/// take by themselves.
async fn steady(stage: &Arc<Stage>, span: Duration) -> (Spread, Spread) {
    let period = Duration::from_secs(1) / STEADY as u32;
    let total = span.as_secs() * STEADY;
    let stage = Arc::clone(stage);
    let runtime = tokio::runtime::Handle::current();
    // On a thread of its own: the runtime's timer is good to a millisecond only, which is what is measured.
    let pace = move || {
        let began = std::time::Instant::now();
        let (mut sends, mut others) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
        for n in 0..total {
            let due = began + period * n as u32;
            wait_until(due);
            let this = Arc::clone(&stage);
            let send = async move { this.send_next().await };
            sends.spawn_on(timed(send, due), &runtime);
            let due = due + period / 2;
            wait_until(due);
            let this = Arc::clone(&stage);
            let other = async move { this.ask_nothing().await };
            others.spawn_on(timed(other, due), &runtime);
        }
        (sends, others)
    };
    let (sends, others) = tokio::task::spawn_blocking(pace).await.unwrap();
    let sends = Spread::of(sends.join_all().await);
    (sends, Spread::of(others.join_all().await))
}

fn wait_until(due: std::time::Instant) {
    std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
}

/// How long after `due` the call was through.
async fn timed(call: impl Future<Output = ()>, due: std::time::Instant) -> Duration {
    call.await;
    due.elapsed()
}

/// A document, of which nothing is shown.
fn document() -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    file.resize(LARGEST, 7);
    file
}

/// Twelve megapixels of noise, which no camera makes worse: the thumbnail needs them all.
fn photo() -> Vec<u8> {
    let mut seed = 7_u32;
    let noise = RgbImage::from_fn(4000, 3000, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [light, ..] = seed.to_be_bytes();
        Rgb([light, light, light / 2])
    });
    let mut file = Vec::new();
    noise
        .write_with_encoder(JpegEncoder::new_with_quality(&mut file, 80))
        .unwrap();
    assert!(file.len() < LARGEST, "{} bytes", file.len());
    file.resize(LARGEST, 7);
    file
}

/// Many of the largest files at once: they go through the gateway, not into its memory.
async fn files(stage: &Arc<Stage>, gateway: Process, what: &'static str, file: Vec<u8>) {
    let host = Files::start(vec![(what, "application/octet-stream", file.into())]).await;
    let (before, began) = (gateway.memory(), Instant::now());
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..FILES {
        let (stage, url) = (Arc::clone(stage), host.url(what));
        sends.spawn(async move { stage.send_file(&url).await });
    }
    let mut peak = before;
    let whole = async {
        sends.join_all().await;
        stage.drained().await;
    };
    tokio::pin!(whole);
    while tokio::time::timeout(Duration::from_millis(20), &mut whole)
        .await
        .is_err()
    {
        peak = peak.max(gateway.memory());
    }
    println!(
        "\n{FILES} {what} of 16 MiB at once: acked after {:.1} s, {:.0} MiB more memory at the peak (mark 150 in all)",
        began.elapsed().as_secs_f64(),
        peak - before
    );
}

/// `clients` that each send their next request when the last was answered.
async fn closed_loop(stage: &Arc<Stage>, clients: usize, span: Duration) -> Phase {
    let end = Instant::now() + span;
    let accepted = Arc::new(AtomicU64::new(0));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (stage, accepted) = (Arc::clone(stage), Arc::clone(&accepted));
        loops.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                stage.send_next().await;
                took.push(began.elapsed());
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            took
        });
    }
    let took = loops.join_all().await.concat();
    Phase {
        rate: accepted.load(Ordering::Relaxed) as f64 / span.as_secs_f64(),
        spread: Spread::of(took),
    }
}

/// Deals out numbers in turn.
#[derive(Default)]
struct Turn(AtomicUsize);

impl Turn {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
