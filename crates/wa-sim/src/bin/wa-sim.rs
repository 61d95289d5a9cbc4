//! The simulator as a program: `wa-sim --listen 127.0.0.1:4000 --data DIR --seed N`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person, told on the terminal"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wa_sim::Sim;

/// A WhatsApp server with virtual phones, for tests. It speaks to no one else.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The address to listen on, for WhatsApp clients and for the control API.
    #[arg(long, default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// Where the state is kept; without it everything is forgotten at the end.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The seed of all keys and ids; random if not given. Data that is there already keeps its seed.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "wa_sim=info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    let mut builder = Sim::builder().listen(args.listen);
    if let Some(data) = args.data {
        builder = builder.data_dir(data);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    let sim = match builder.start().await {
        Ok(sim) => sim,
        Err(error) => {
            eprintln!("wa-sim: {error}");
            return ExitCode::FAILURE;
        }
    };
    let http = sim.http_url();
    println!("wa-sim is ready (seed {})", sim.seed());
    println!("  WhatsApp clients connect to  {}", sim.ws_url());
    println!("  and pin the key of           {http}/control/key");
    println!("  its phones are to be seen at {http}/");
    println!("Add a phone there and scan a client's QR code with it, or from a program:");
    println!(
        "  curl {http}/control/phones --json '{{\"number\":\"6281234567890\",\"name\":\"Ani\"}}'"
    );
    println!("  curl {http}/control/phones/6281234567890/scan --json '{{\"qr\":\"…\"}}'");
    println!("Ctrl-C stops it.");
    end_of_work().await;
    sim.stop().await;
    ExitCode::SUCCESS
}

/// Ctrl-C or SIGTERM.
async fn end_of_work() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
