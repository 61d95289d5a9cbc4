//! The gateway for fault tests: like `waviro`, but can be told to exit at a named moment or to
//! contain a known bug.

use std::process::ExitCode;

fn main() -> ExitCode {
    waviro::cli::run()
}
