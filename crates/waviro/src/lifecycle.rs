//! When the process ends: the first signal asks for a graceful stop, the second ends it at once.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a process that was ended in the middle, as shells have it for SIGINT.
const ENDED: i32 = 130;

/// Cancels `stop` at the first SIGTERM, SIGINT or SIGHUP. At the second the process ends where it stands, which loses nothing
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
    /// `None` where whoever started the process wants it to outlive its terminal.
    hangup: Option<tokio::signal::unix::Signal>,
    /// A file that reaches `ulimit -f` is a failed write, as on a full disk. Unhandled, this signal ends the process.
    _file_size: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if hangup_is_ignored() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
            _file_size: signal(too_large)?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = hung_up(self.hangup.as_mut()) => "SIGHUP",
        }
    }
}

#[cfg(unix)]
async fn hung_up(hangup: Option<&mut tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// `nohup` starts a process with SIGHUP ignored, so that it outlives the terminal. Linux tells it in `/proc` (proc(5): `SigIgn`, a
/// mask in hexadecimal); elsewhere the signal is handled.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 != 0)
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
