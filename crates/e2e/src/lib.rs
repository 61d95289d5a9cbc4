//! The tools of the end-to-end tests: the gateway as a child process, a WhatsApp simulator,
//! scripted HTTP receivers, and a proxy that breaks the link between gateway and simulator.
//!
//! The tools must not read the gateway's internal state. The tests drive the gateway over its HTTP
//! API and its command line, and judge the results on the virtual phones and in the recorded calls
//! of the receivers.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a rig fails by panicking, wherever it cannot go on"
)]

pub mod clock;
pub mod disk;
pub mod durable;
pub mod files;
pub mod gateway;
pub mod hooks;
pub mod oracle;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod torture;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The time limit of one wait in a test. The limit is generous because machines are shared; a
/// passing test never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Calls `look` until the result is `Ok`.
///
/// # Panics
/// After [`PATIENCE`]; the message contains `what` and the last error.
pub async fn eventually<T, S: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, S>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            #[expect(clippy::panic, reason = "this is how a test fails")]
            Err(seen) if Instant::now() > end => {
                panic!("waited {PATIENCE:?} for {what}; last seen: {seen:#?}")
            }
            Err(_) => pause_before_poll().await,
        }
    }
}

/// Waits 5 ms between two polls.
async fn pause_before_poll() {
    let nothing = std::future::pending::<()>();
    let _ = timeout(Duration::from_millis(5), nothing).await;
}

/// Builds the binary of `waviro` or `wa-sim` in the profile of the running program. The build
/// leaves the test crates out, so the binary has no feature enabled by a test crate.
///
/// # Panics
/// If the build fails.
#[must_use]
pub fn package_binary(package: &str) -> PathBuf {
    built(&[], package)
}

/// Builds the torture binary beside the released gateway binary. The torture tests can end this
/// gateway at a moment or switch a bug on.
///
/// # Panics
/// If the build fails.
#[must_use]
pub fn torture_binary() -> PathBuf {
    let with = ["--features", "waviro/planted-bugs", "--bin"];
    built(&[&with[..], &["waviro-torture"]].concat(), "waviro-torture")
}

fn built(with: &[&str], name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a path to this program");
    // The path is target/<profile>/deps/test or target/<profile>/examples/load.
    let profile = here
        .parent()
        .and_then(Path::parent)
        .expect("a target folder");
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cargo");
    let mut cargo = std::process::Command::new(cargo);
    // One call builds both packages, so both share every dependency. Two calls would build each
    // dependency twice with different features.
    cargo.args([
        "build", "--quiet", "--locked", "-p", "waviro", "-p", "wa-sim",
    ]);
    cargo.args(with);
    // Removes the variables that the outer cargo sets for the test's own package. Build scripts of
    // dependencies (ring) watch these names. A new value would rebuild ring and all dependent
    // crates, which takes minutes.
    for (name, _) in std::env::vars_os() {
        let of_this_test =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_this_test) {
            cargo.env_remove(name);
        }
    }
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(
        built.expect("cargo runs").success(),
        "{name} does not build"
    );
    profile.join(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's task ends with the test"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
