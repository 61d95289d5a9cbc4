//! The gateway for the torture rig: the same as `waviro`, and it can be told to end at a moment or to have a bug.

use std::process::ExitCode;

fn main() -> ExitCode {
    waviro::cli::run()
}
