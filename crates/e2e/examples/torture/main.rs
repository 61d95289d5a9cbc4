//! Tries to break what is promised, and says what broke.
//!
//! `cargo run --release -p e2e --example torture -- --seed 7 --kills 100` kills the gateway a hundred times under load of every kind.
//! `--faults all` (or a list, such as `kill,cut,endpoint`) does other things too, `--minutes M` ends it, `--rate N` sets the load,
//! `--ungreeted` has faults come before the groups' first messages, `--no-dedupe` lets the simulated server pass repeats on, `--log FILE` keeps everything that was seen.
//! `--moments all` (or a list, such as `after accept,spool safe`) ends the gateway at each named moment first. `--bug no-cap` plants one
//! of `waviro-fault`'s bugs, which must be found. `--seed N` again repeats a plan; `--replay N` repeats it until it fails, five times at
//! most, because the machine's part in it is another each time. Without a violation the exit status is 0.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    clippy::expect_used,
    reason = "an example reports and fails on the terminal"
)]

use std::process::ExitCode;
use std::time::Duration;

use e2e::torture::{Fault, Plan, all_faults, run};

#[tokio::main]
async fn main() -> ExitCode {
    let kinds = match argument("--faults").as_deref() {
        None => vec![Fault::Kill],
        Some("all") => all_faults(),
        Some(list) => list
            .split(',')
            .map(|word| word.parse().unwrap_or_else(|why| panic!("{why}")))
            .collect(),
    };
    let plan = Plan {
        seed: number("--replay", number("--seed", 1)),
        faults: usize::try_from(number("--kills", 30)).expect("a number of faults"),
        kinds,
        within: Duration::from_secs(60 * number("--minutes", 30)),
        rate: u32::try_from(number("--rate", 200)).expect("requests a second"),
        dedupe: !std::env::args().any(|argument| argument == "--no-dedupe"),
        greeted: !std::env::args().any(|argument| argument == "--ungreeted"),
        moments: match argument("--moments").as_deref() {
            None => Vec::new(),
            Some("all") => waviro_fault::moments().collect(),
            Some(list) => list.split(',').map(ToOwned::to_owned).collect(),
        },
        bug: argument("--bug"),
        progress: true,
        ..Plan::default()
    };
    let tries = if argument("--replay").is_some() { 5 } else { 1 };
    let mut report = run(&plan).await;
    for _ in 1..tries {
        if !report.violations.is_empty() {
            break;
        }
        print!("{report}");
        report = run(&plan).await;
    }
    if let Some(file) = argument("--log") {
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
            } else {
                rest.push(word);
            }
        }
        println!("again: --replay {} {}", plan.seed, rest.join(" "));
    }
    ExitCode::from(u8::from(
        !report.violations.is_empty() || !report.missed.is_empty(),
    ))
}

/// What follows `--name`.
fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} takes a number"))
    })
}
