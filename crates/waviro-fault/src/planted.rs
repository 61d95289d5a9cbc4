//! Reads the moment and the bug from the environment. An unknown name must end the process, because
//! a test without the fault would find nothing.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "for the rig alone, and it must see at once that it asked for something that is not there"
)]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{BUGS, Bug, moments};

/// The moment at which to end, and the remaining number of arrivals.
struct End {
    name: String,
    left: AtomicU32,
}

static END: LazyLock<Option<End>> = LazyLock::new(|| {
    let setting = setting("TORTURE_END_AT")?;
    let (name, times) = setting.split_once('*').unwrap_or((&setting, "1"));
    assert!(moments().any(|moment| moment == name), "no moment: {name}");
    Some(End {
        name: name.to_owned(),
        left: AtomicU32::new(times.parse().expect("a number of times")),
    })
});

static BUG: LazyLock<Option<Bug>> = LazyLock::new(|| {
    let setting = setting("TORTURE_BUG")?;
    let known = BUGS.iter().find(|(word, _)| *word == setting);
    Some(known.unwrap_or_else(|| panic!("no bug: {setting}")).1)
});

#[expect(
    clippy::disallowed_methods,
    reason = "not for users, and so not in their configuration"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Ends the process at the configured moment.
#[expect(
    clippy::print_stderr,
    reason = "the rig reads which moment it was; nothing else is written any more"
)]
pub(crate) fn reached(side: &str, name: &str) {
    let Some(end) = &*END else {
        return;
    };
    let is_it = end.name.strip_prefix(side) == Some(name);
    if is_it && end.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        eprintln!("ended at: {}", end.name);
        std::process::abort();
    }
}

pub(crate) fn is_on(bug: Bug) -> bool {
    *BUG == Some(bug)
}

/// Long enough for the end of the process to come in between in some runs.
const LATE: Duration = Duration::from_millis(300);

#[expect(clippy::disallowed_methods, reason = "a bug need not be tidy")]
pub(crate) fn later(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(LATE).await;
        work.await;
    });
}
