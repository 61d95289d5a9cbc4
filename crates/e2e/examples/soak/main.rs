//! Runs a gateway for hours:
//! `cargo run --release -p e2e --example soak -- --bots 50 --rate 20 --minutes 60`.
//!
//! The bots send messages to customers at the given rate. With every tenth message a customer asks
//! a question and gets a reply from a webhook. Every minute the program prints the gateway's
//! memory, the number of its file descriptors and the size of its write-ahead log. At the end the
//! program prints the growth, and checks that every message is on its phone once and that every
//! callback has arrived.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "an example reports and fails on the terminal, and its numbers are small"
)]

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use e2e::gateway::{Bot, Gateway};
use e2e::hooks::{Answer, Hooks};
use e2e::process;
use e2e::receiver::Receiver;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use wa_sim::{Phone, PhoneSpec, Sim};

/// A customer asks a question with every tenth message.
const ASKS: usize = 10;

/// The warm-up share of the run. Only growth after this part counts.
const WARM: f64 = 1.0 / 3.0;

/// The time limit for finishing all open work.
const SETTLED: Duration = Duration::from_mins(2);

/// The gateway's resources at one time.
struct Sample {
    hours: f64,
    memory: f64,
    descriptors: usize,
    log: f64,
}

struct Shop {
    bot: Bot,
    owner: String,
    customer: Phone,
    number: String,
}

/// Runs a gateway for hours and measures the growth of its resources.
#[derive(Parser)]
struct Arguments {
    /// The number of linked bots.
    #[arg(long, default_value_t = 50)]
    bots: usize,
    /// Messages per second, over all bots.
    #[arg(long, default_value_t = 20)]
    rate: usize,
    /// The duration in minutes. Growth is reported for runs of at least three minutes.
    #[arg(long, default_value_t = 60)]
    minutes: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {
        bots,
        rate,
        minutes,
    } = Arguments::parse();
    let sim = Sim::start().await.expect("a simulator");
    let gateway = Gateway::start(&sim, &sim.wss_url()).await;
    let (receiver, hooks) = (Receiver::start().await, Hooks::start().await);
    hooks.answer(Answer::Echo);
    let admin = gateway.admin().await;
    let mut shops = Vec::new();
    for n in 0..bots {
        let (owner, number) = (format!("62812{n:08}"), format!("62813{n:08}"));
        let phone = sim.add_phone(PhoneSpec::new(&*owner, "Toko")).await;
        let customer = sim.add_phone(PhoneSpec::new(&*number, "Pelanggan")).await;
        let bot = gateway.linked_bot(&format!("toko{n}"), &phone).await;
        let rule = json!({"keyword": "", "url": hooks.url()});
        admin.post(&format!("/v1/bots/toko{n}/rules"), rule).await;
        shops.push(Arc::new(Shop {
            bot,
            owner,
            customer,
            number,
        }));
    }
    println!("{bots} bots, {rate} messages a second, {minutes} minutes");
    println!("minute   memory MiB   descriptors   longest log MiB   accepted");

    let pid = gateway.pid().expect("a process");
    let began = Instant::now();
    let end = Duration::from_secs(60 * minutes as u64);
    let (mut samples, mut sends, mut accepted) = (Vec::new(), JoinSet::new(), Vec::new());
    let mut tick = interval(Duration::from_secs(1) / u32::try_from(rate).expect("a rate"));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut asked = 0;
    for n in 0.. {
        tick.tick().await;
        if began.elapsed() >= end {
            break;
        }
        let shop = Arc::clone(&shops[n % shops.len()]);
        if n % ASKS == 0 {
            asked += 1;
            let question = format!("tanya {n}");
            let sent = shop.customer.send_text(&shop.owner, &question).await;
            sent.expect("the customer's phone sends");
        }
        let url = receiver.url().to_owned();
        sends.spawn(async move {
            let text = format!("pesan {n}");
            shop.bot.accepted(&shop.number, &text, Some(&url)).await
        });
        while let Some(id) = sends.try_join_next() {
            accepted.push(id.expect("a message is accepted"));
        }
        if began.elapsed().as_secs() / 60 >= samples.len() as u64 {
            let sample = look(pid, gateway.folder(), began.elapsed());
            println!(
                "{:>6} {:>12.1} {:>13} {:>17.1} {:>10}",
                samples.len(),
                sample.memory,
                sample.descriptors,
                sample.log,
                accepted.len()
            );
            samples.push(sample);
        }
    }
    accepted.extend(sends.join_all().await);
    let whole = settle(&shops, &receiver, &accepted, asked).await;
    let last = look(pid, gateway.folder(), began.elapsed());
    report(&samples, &last);
    if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Waits until every message is on its phone once and every callback and reply has arrived; prints
/// what is missing.
async fn settle(shops: &[Arc<Shop>], receiver: &Receiver, ids: &[String], asked: usize) -> bool {
    let end = Instant::now() + SETTLED;
    loop {
        let (mut shown, mut answers) = (Vec::new(), 0);
        for shop in shops {
            for message in shop.customer.inbox().await {
                if message.text.starts_with("jawab") {
                    answers += 1;
                } else if !message.from_me {
                    shown.push(message.id);
                }
            }
        }
        let read = receiver.count(3);
        let once = shown.iter().collect::<HashSet<_>>().len();
        let all = [
            ("accepted", ids.len()),
            ("on phones", shown.len()),
            ("of them different", once),
            ("reported as read", read),
        ];
        let whole = all.iter().all(|(_, count)| *count == ids.len()) && answers == asked;
        if whole || Instant::now() > end {
            for (what, count) in all {
                println!("{what:20} {count}");
            }
            println!("{:20} {asked}\n{:20} {answers}", "asked", "answered");
            return whole;
        }
        let nothing = std::future::pending::<()>();
        let _ = tokio::time::timeout(Duration::from_secs(1), nothing).await;
    }
}

fn report(samples: &[Sample], last: &Sample) {
    let warm = samples.last().map_or(0.0, |sample| sample.hours) * WARM;
    let late: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.hours >= warm)
        .collect();
    let growth = slope(&late, |sample| sample.memory);
    let descriptors = slope(&late, |sample| sample.descriptors as f64);
    let log = samples.iter().map(|sample| sample.log).fold(0.0, f64::max);
    println!("memory grows         {growth:.2} MiB an hour after the first third (mark 1)");
    println!("descriptors grow     {descriptors:.1} an hour");
    println!("longest log          {log:.1} MiB (mark 64)");
    println!(
        "at the end           {:.1} MiB, {} descriptors",
        last.memory, last.descriptors
    );
}

/// Returns the growth of a value per hour, by least squares.
fn slope(samples: &[&Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(|it| of(it)).sum::<f64>() / count;
    let (hours, values) = (mean(&|it| it.hours), mean(&value));
    let (mut above, mut below) = (0.0, 0.0);
    for sample in samples {
        above += (sample.hours - hours) * (value(sample) - values);
        below += (sample.hours - hours).powi(2);
    }
    above / below
}

fn look(pid: u32, folder: &Path, at: Duration) -> Sample {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    Sample {
        hours: at.as_secs_f64() / 3600.0,
        memory: process::memory(pid),
        descriptors: descriptors.count(),
        log: longest_log(folder) as f64 / (1024.0 * 1024.0),
    }
}

/// Returns the size of the largest write-ahead log below the folder, in bytes.
fn longest_log(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                longest_log(&path)
            } else if path.to_string_lossy().ends_with("-wal") {
                entry.metadata().map_or(0, |about| about.len())
            } else {
                0
            }
        })
        .max()
        .unwrap_or(0)
}
