//! The simulator as a program: `wa-sim --listen 127.0.0.1:4000 --data DIR --seed N`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wa_sim::Sim;

/// A WhatsApp server with virtual phones, for tests. It contacts no other server.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The address to listen on, for WhatsApp clients and for the control API.
    #[arg(long, default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// The directory for the state; without it, the state is lost at the end.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A further host name for TLS clients; can be repeated.
    #[arg(long)]
    name: Vec<String>,
    /// The seed of all keys and ids; random if not given. An existing data directory keeps its
    /// seed.
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
        // A failed write is otherwise reported by `eprintln!`, which panics if stderr cannot be
        // written.
        .log_internal_errors(false)
        .init();
    let args = Args::parse();
    let mut builder = Sim::builder().listen(args.listen);
    if let Some(data) = args.data {
        builder = builder.data_dir(data);
    }
    for name in args.name {
        builder = builder.name(name);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    let sim = match builder.start().await {
        Ok(sim) => sim,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wa-sim: {error}");
            return ExitCode::FAILURE;
        }
    };
    let http = sim.http_url();
    let guide = format!(
        "wa-sim is ready (seed {})
  WhatsApp clients connect to  {}
  or over TLS to               {}
  with the certificate of      {http}/control/ca.pem
  and with the pinned key of   {http}/control/key
  see the phones at            {http}/
Add a phone there and scan a client's QR code with it, or from a program:
  curl {http}/control/phones --json '{{\"number\":\"6281234567890\",\"name\":\"Ani\"}}'
  curl {http}/control/phones/6281234567890/scan --json '{{\"qr\":\"…\"}}'
Ctrl-C stops it.
",
        sim.seed(),
        sim.ws_url(),
        sim.wss_url()
    );
    // A closed pipe is not an error: the simulator can run without a reader of stdout.
    let _ = std::io::stdout().write_all(guide.as_bytes());
    end_of_work().await;
    sim.stop().await;
    ExitCode::SUCCESS
}

/// Waits for Ctrl-C or SIGTERM.
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
