//! The rig of the end-to-end tests: the gateway as a child process, a simulator, a scripted receiver of callbacks, and a
//! proxy that breaks the link between the two.
//!
//! Nothing here looks into the gateway. It is driven over its HTTP API and its command line and judged by what virtual
//! phones show and what the receiver was told.
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

/// How long a test waits for a thing before it fails. Generous: machines are shared, and a pass never waits.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks `look` until it gives something.
///
/// # Panics
/// After [`PATIENCE`], with what was awaited and what was last seen.
pub async fn eventually<T, S: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, S>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            #[expect(clippy::panic, reason = "this is how a test fails")]
            Err(seen) if Instant::now() > end => {
                panic!("waited {PATIENCE:?} for {what}; last seen: {seen:#?}")
            }
            Err(_) => breathe().await,
        }
    }
}

/// Leaves the processor to others for a moment between two looks.
async fn breathe() {
    let nothing = std::future::pending::<()>();
    let _ = timeout(Duration::from_millis(5), nothing).await;
}

/// The binary of `waviro` or `wa-sim`, built without the test crates, so that nothing they switch on is in it; in the
/// profile that this program was built in.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn package_binary(package: &str) -> PathBuf {
    built(&[], package)
}

/// The gateway that the torture rig can end at a moment or give a bug, built beside the one that users run.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn torture_binary() -> PathBuf {
    let with = ["--features", "waviro/planted-bugs", "--bin"];
    built(&[&with[..], &["waviro-torture"]].concat(), "waviro-torture")
}

fn built(with: &[&str], name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a path to this program");
    // target/<profile>/deps/test or target/<profile>/examples/load
    let profile = here
        .parent()
        .and_then(Path::parent)
        .expect("a target folder");
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cargo");
    let mut cargo = std::process::Command::new(cargo);
    // Both in one call: chosen together they share every dependency, chosen apart each builds its own.
    cargo.args([
        "build", "--quiet", "--locked", "-p", "waviro", "-p", "wa-sim",
    ]);
    cargo.args(with);
    // What the cargo around this test says of the test's own package. Build scripts of dependencies (ring's) ask for these
    // names, and a value where there was none has them, and all that depends on them, built again: minutes.
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
