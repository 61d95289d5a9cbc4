//! `waviro`: runs the command line.

use std::process::ExitCode;

#[cfg(feature = "planted-bugs")]
compile_error!("a build with planted bugs has only `waviro-torture`: --bin waviro-torture");

fn main() -> ExitCode {
    waviro::cli::run()
}
