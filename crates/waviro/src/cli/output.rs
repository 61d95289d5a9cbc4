//! Prints on stdout and stderr, also if nobody reads.

use std::io::Write;
use std::time::Duration;

/// The longest wait for a reader of stdout or stderr.
const SAID_WITHIN: Duration = Duration::from_secs(1);

/// Prints a line on stderr. The process ends afterwards, so a pipe without a reader must not block
/// the process.
pub(super) fn complain(error: &anyhow::Error) {
    let line = format!("waviro: {error:#}\n");
    let (done, finished) = std::sync::mpsc::sync_channel(1);
    let writing = std::thread::Builder::new().spawn(move || {
        // If stderr is closed, the error cannot be shown.
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = finished.recv_timeout(SAID_WITHIN);
    }
}

/// Prints a line on stdout. A closed pipe is no error.
pub(super) fn print_line(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints like [`print_line`], for a process that continues: if a full pipe has no reader, only the
/// text is lost.
pub(super) async fn announce(text: String) {
    let printing = tokio::task::spawn_blocking(move || print_line(text));
    let _ = tokio::time::timeout(SAID_WITHIN, printing).await;
}
