//! `waviro`: runs the command line.

use std::process::ExitCode;

#[cfg(feature = "planted-bugs")]
compile_error!("with planted bugs there is `waviro-torture` alone: --bin waviro-torture");

fn main() -> ExitCode {
    waviro::cli::run()
}
