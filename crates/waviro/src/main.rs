//! `waviro`: the command line's door.

use std::process::ExitCode;

fn main() -> ExitCode {
    waviro::cli::run()
}
