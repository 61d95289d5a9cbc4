//! Makes each panic visible: in the log, in the metrics, and in `/readyz`.
//!
//! tokio catches the panic of a task, so the process lives on without that task. A panic is therefore counted where the standard
//! library reports it, before anybody catches it. A task that the gateway cannot do without is [`vital`]: after its panic the
//! gateway is not ready any more, so that a supervisor restarts the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tracing::{debug, error};

use crate::clock::Clock;

/// A task that panicked rests so long before it starts again: what broke it may be the first thing that it does.
const PAUSE: Duration = Duration::from_secs(1);

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The vital tasks that panicked.
static ENDED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the standard report on stderr, which is not masked, and which waits where stderr is a pipe that nobody reads.
pub(super) fn watch() {
    std::panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let at = at.as_deref().unwrap_or("?");
    if EXPECTED.get() {
        debug!(at, "a panic that was expected");
        return;
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    let thread = std::thread::current();
    error!(
        at,
        cause = cause(panic),
        thread = thread.name().unwrap_or("?"),
        "panicked"
    );
    // The process may be about to abort, or to leave `main`.
    super::finish_log();
}

/// The message up to its first quotation mark: the standard library quotes the text that it works on, which may be a user's.
fn cause<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    let text = panic.payload_as_str().unwrap_or("?");
    let quoted = text.find(['"', '\'', '`']);
    text.get(..quoted.unwrap_or(text.len())).unwrap_or("?")
}

/// Panics since the start, without those of [`expected`].
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// The vital tasks that panicked.
#[must_use]
pub fn ended() -> Vec<&'static str> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs a task that the gateway cannot do without. Its panic ends it, and the gateway is not ready any more.
pub async fn vital(name: &'static str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        error!(
            task = name,
            "a task panicked that the gateway cannot do without; restart the gateway"
        );
        let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(name);
    }
}

/// Runs a task that can start anew from what is kept, and starts it again after each panic.
pub async fn restarted<F: Future<Output = ()>>(
    name: &'static str,
    clock: Clock,
    mut task: impl FnMut() -> F,
) {
    while AssertUnwindSafe(task()).catch_unwind().await.is_err() {
        error!(task = name, "a task panicked; it starts again");
        clock.sleep(PAUSE).await;
    }
}

/// Runs work over a stranger's data, whose panic is the fault of that data; `None` where it panicked.
pub fn expected<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = EXPECTED.replace(true);
    // What the work borrowed is dropped with it, so no half-changed state is seen again.
    let done = std::panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    done.ok()
}

/// Counts panics in a test, and keeps the standard report of those that fail tests.
#[cfg(test)]
pub(crate) fn watch_in_tests() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        standard(panic);
    }));
}
