//! Tasks and delays of a link, beside those of the library.

use std::time::{Duration, SystemTime};

use tracing::Instrument as _;

#[expect(
    clippy::disallowed_methods,
    reason = "whatsapp-rust uses the real clock; a link waits for the network and never for a test clock"
)]
pub(super) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Returns the time. WhatsApp's durations and the end of a ban become times here only.
#[expect(
    clippy::disallowed_methods,
    reason = "a link never runs on a test clock; the gateway compares the times with its own clock"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// Spawns a task beside the library's own tasks. Like the library's tasks, the task ends with its
/// resource: a socket, a commit, or the device.
#[expect(
    clippy::disallowed_methods,
    reason = "whatsapp-rust also spawns tasks without a tracker; Link::close waits for the client"
)]
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task.in_current_span());
}
