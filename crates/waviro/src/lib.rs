//! The binary: the command line, the start of all parts, the listener, the log and the end of the
//! process. ARCHITECTURE.md describes the crates below this one.

pub mod app;
pub mod cli;
pub mod health;
pub mod lifecycle;
pub mod listener;
pub mod memory;
pub mod telemetry;
