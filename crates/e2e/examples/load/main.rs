//! Measures speed and size of the gateway under load, with the bare client library in the same run.
//! Machines are shared, so only the ratio of the two is meaningful.
//!
//! `cargo run --release -p e2e --example load -- --bots 200 --seconds 20`
//!
//! The run has three processes: the simulator, the released gateway binary, and this program, which
//! creates the load and finally runs the bare client. All traffic stays on loopback.
//! docs/performance.md explains the figures.
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

/// The number of concurrent files in the last phase, and the size of the largest file.
const FILES: usize = 50;
const LARGEST: usize = 16 * 1024 * 1024;

/// Answers per second in the latency phase: busy for a shop, but far below the limit.
const STEADY: u64 = 200;

/// Measures speed and size of the gateway under load, compared with the bare client library.
#[derive(Parser)]
struct Arguments {
    /// The number of linked bots, at least two.
    #[arg(long, default_value_t = 50)]
    bots: usize,
    /// The duration of a phase in seconds, at least two.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Measures only an empty database and a database with this many rows.
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
    let (steady, nothing) = steady(&stage, STEADY, span).await;
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

/// The result of a phase of requests.
struct Phase {
    rate: f64,
    spread: Spread,
}

/// Sends requests at fixed times without waiting for the previous answer. A slow answer therefore
/// does not reduce the load, and the waiting time of the following requests counts. Between two
/// sends, a request without database access measures the share of the machine and HTTP.
async fn steady(stage: &Arc<Stage>, rate: u64, span: Duration) -> (Spread, Spread) {
    let period = Duration::from_secs(1) / rate as u32;
    let total = span.as_secs() * rate;
    let stage = Arc::clone(stage);
    let runtime = tokio::runtime::Handle::current();
    // Runs on its own thread: the runtime's timer has a resolution of one millisecond, which is as
    // large as the measured times.
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

/// Returns the time from `due` to the end of the call.
async fn timed(call: impl Future<Output = ()>, due: std::time::Instant) -> Duration {
    call.await;
    due.elapsed()
}

/// A document without a thumbnail.
fn document() -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    file.resize(LARGEST, 7);
    file
}

/// Twelve megapixels of noise, the worst case for a photo: the thumbnail needs every pixel.
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

/// Sends many files of the largest size at once. The gateway must stream the files and not hold
/// them in memory.
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

/// Runs `clients` that each send the next request after the previous answer.
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

/// Returns consecutive numbers.
#[derive(Default)]
struct Turn(AtomicUsize);

impl Turn {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
