//! Reports each panic in the log, in the metrics, and in `/readyz`.
//!
//! tokio catches the panic of a task, so the process continues without the task. A panic is
//! therefore counted when the standard library reports it, before any code catches it. A task that
//! the gateway needs is [`vital`]: after its panic the gateway is no longer ready, so that a
//! supervisor restarts the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tracing::{debug, error};

use crate::clock::Clock;

/// The pause before a panicked task restarts. Without a pause, a task with a panic in the first
/// step would restart in a busy loop.
const PAUSE: Duration = Duration::from_secs(1);

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The vital tasks that panicked.
static ENDED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the standard report on stderr, which is not masked and would block on a pipe without a
/// reader.
///
/// `finish_log` runs after each report, because the process may be about to abort or to leave
/// `main`.
pub fn watch(finish_log: fn()) {
    std::panic::set_hook(Box::new(move |panic| {
        if report(panic) {
            finish_log();
        }
    }));
}

/// Logs and counts a panic. Returns `false` for an expected panic. A hook that replaces [`watch`]
/// calls this function.
pub fn report(panic: &PanicHookInfo<'_>) -> bool {
    let at = panic.location().map(ToString::to_string);
    let at = at.as_deref().unwrap_or("?");
    if EXPECTED.get() {
        debug!(at, "expected panic");
        return false;
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    let thread = std::thread::current();
    error!(
        at,
        cause = cause(panic),
        thread = thread.name().unwrap_or("?"),
        "panicked"
    );
    true
}

/// Returns the message up to the first quotation mark: the standard library quotes the processed
/// text, which may come from a user.
fn cause<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    let text = panic.payload_as_str().unwrap_or("?");
    let quoted = text.find(['"', '\'', '`']);
    text.get(..quoted.unwrap_or(text.len())).unwrap_or("?")
}

/// Returns the number of panics since the start, without panics inside [`expected`].
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// Returns the vital tasks that panicked.
#[must_use]
pub fn ended() -> Vec<&'static str> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs a task that the gateway needs. After a panic the task stays ended, and the gateway is no
/// longer ready.
pub async fn vital(name: &'static str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        error!(task = name, "vital task panicked; restart the gateway");
        let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(name);
    }
}

/// Runs a task that can restart from stored state, and restarts the task after each panic.
pub async fn restarted<F: Future<Output = ()>>(
    name: &'static str,
    clock: Clock,
    mut task: impl FnMut() -> F,
) {
    while AssertUnwindSafe(task()).catch_unwind().await.is_err() {
        error!(task = name, "task panicked; restarting the task");
        clock.sleep(PAUSE).await;
    }
}

/// Runs work on foreign data and returns `None` after a panic: such a panic is caused by the data.
pub fn expected<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = EXPECTED.replace(true);
    // The borrowed data of the work is dropped with the work, so half-changed state stays
    // invisible.
    let done = std::panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    done.ok()
}
