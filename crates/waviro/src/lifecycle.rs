//! When the process ends: the first signal asks for a graceful stop, the second ends it at once.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a process that was ended in the middle, as shells have it for SIGINT.
const ENDED: i32 = 130;

/// Cancels `stop` at the first SIGTERM or SIGINT. At the second the process ends where it stands, which loses nothing
/// that was answered with 200.
///
/// # Errors
/// Where the system refuses the handlers.
pub fn stop_at_signals(
    stop: CancellationToken,
    tasks: &tokio_util::task::TaskTracker,
) -> std::io::Result<()> {
    let mut signals = Signals::new()?;
    // Not waited for: it outlives the stop, to hear the second signal.
    let _listening = tasks.spawn(async move {
        let first = signals.next().await;
        info!(signal = first, "stopping; a second signal ends at once");
        stop.cancel();
        let second = signals.next().await;
        warn!(signal = second, "ended in the middle of the stop");
        crate::telemetry::finish_log();
        std::process::exit(ENDED);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        // No handler: Ctrl-C then ends the process itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
