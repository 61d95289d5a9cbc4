//! Tries to break the gateway's promises and reports the violations.
//!
//! `cargo run --release -p e2e --example torture -- --seed 7 --kills 100` kills the gateway a
//! hundred times under load of every kind; `--help` lists the other options. Without a violation
//! the exit status is 0.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example reports and fails on the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use e2e::torture::{Fault, Plan, all_faults, run};

/// Tries to break the gateway's promises and reports the violations.
#[derive(Parser)]
struct Arguments {
    /// The seed of the plan: the actions and their times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Repeats the plan of this seed until a violation, at most five times, because timing differs
    /// between runs.
    #[arg(long)]
    replay: Option<u64>,
    /// The number of faults of any kind.
    #[arg(long, default_value_t = 30)]
    kills: usize,
    /// The kinds of faults: `all`, or a list such as `kill,cut,endpoint`.
    #[arg(long, default_value = "kill")]
    faults: Faults,
    /// The time limit in minutes, even if faults of the plan remain.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Requests per second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Ends the gateway at these moments first: `all`, or a list such as `after accept,spool safe`.
    #[arg(long)]
    moments: Option<Moments>,
    /// Switches on a bug, which must be found: one of the bugs of `waviro-fault`, such as `no-cap`.
    #[arg(long)]
    bug: Option<String>,
    /// Starts the faults before the first messages to the groups.
    #[arg(long)]
    ungreeted: bool,
    /// Lets the simulated server deliver messages with a repeated id.
    #[arg(long)]
    no_dedupe: bool,
    /// The file for the complete log of observations.
    #[arg(long)]
    log: Option<PathBuf>,
}

#[derive(Clone)]
struct Faults(Vec<Fault>);

impl FromStr for Faults {
    type Err = <Fault as FromStr>::Err;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list == "all" {
            return Ok(Self(all_faults()));
        }
        let kinds: Result<_, _> = list.split(',').map(str::parse).collect();
        kinds.map(Self)
    }
}

#[derive(Clone)]
struct Moments(Vec<String>);

impl FromStr for Moments {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let all: Vec<String> = waviro_fault::moments().collect();
        if list == "all" {
            return Ok(Self(all));
        }
        let named: Vec<String> = list.split(',').map(ToOwned::to_owned).collect();
        match named.iter().find(|name| !all.contains(name)) {
            Some(name) => Err(format!("there is no moment `{name}`")),
            None => Ok(Self(named)),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let asked = Arguments::parse();
    let plan = Plan {
        seed: asked.replay.unwrap_or(asked.seed),
        faults: asked.kills,
        kinds: asked.faults.0,
        within: Duration::from_secs(60 * asked.minutes),
        rate: asked.rate,
        dedupe: !asked.no_dedupe,
        greeted: !asked.ungreeted,
        moments: asked.moments.map_or_else(Vec::new, |moments| moments.0),
        bug: asked.bug,
        progress: true,
        ..Plan::default()
    };
    let tries = if asked.replay.is_some() { 5 } else { 1 };
    let mut report = run(&plan).await;
    for _ in 1..tries {
        if !report.violations.is_empty() {
            break;
        }
        print!("{report}");
        report = run(&plan).await;
    }
    if let Some(file) = asked.log {
        let lines: Vec<String> = report
            .log
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"))
            .collect();
        std::fs::write(file, lines.join("\n")).expect("the log is written");
    }
    print!("{report}");
    if !report.violations.is_empty() {
        let mut words = std::env::args().skip(1);
        let mut rest = Vec::new();
        while let Some(word) = words.next() {
            if word == "--seed" || word == "--replay" {
                words.next();
            } else if !word.starts_with("--seed=") && !word.starts_with("--replay=") {
                rest.push(word);
            }
        }
        println!("again: --replay {} {}", plan.seed, rest.join(" "));
    }
    ExitCode::from(u8::from(
        !report.violations.is_empty() || !report.missed.is_empty(),
    ))
}
