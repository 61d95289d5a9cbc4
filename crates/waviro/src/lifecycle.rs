//! The end of the process: the first signal requests a graceful stop, the second signal ends the
//! process at once.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a process ended during the stop, as shells report SIGINT.
const ENDED: i32 = 130;

/// Cancels `stop` at the first SIGTERM, SIGINT or SIGHUP. The second signal ends the process at
/// once, without the loss of messages answered with 200.
///
/// # Errors
/// An error of the system when installing the handlers.
pub fn stop_at_signals(
    stop: CancellationToken,
    tasks: &tokio_util::task::TaskTracker,
) -> std::io::Result<()> {
    let mut signals = Signals::new()?;
    // The stop does not wait for this task, because the task has to receive the second signal.
    let _listening = tasks.spawn(async move {
        let first = signals.next().await;
        info!(
            signal = first,
            "stopping; a second signal ends the process at once"
        );
        stop.cancel();
        let second = signals.next().await;
        warn!(
            signal = second,
            "second signal; process ended before the stop was complete"
        );
        crate::telemetry::finish_log();
        std::process::exit(ENDED);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// `None` if SIGHUP is ignored, because the process should outlive its terminal.
    hangup: Option<tokio::signal::unix::Signal>,
    /// A write beyond `ulimit -f` should fail like a write to a full disk. Without a handler this
    /// signal ends the process.
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

/// Returns true if the process ignores SIGHUP, as after a start with `nohup`. Linux reports ignored
/// signals in `/proc` (proc(5): `SigIgn`, a hexadecimal mask); on other systems SIGHUP is handled.
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
        // Without a handler Ctrl-C ends the process directly.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
