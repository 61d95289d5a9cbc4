//! Simulates a machine whose clock is wrong. A small library, loaded into the gateway before libc,
//! shifts the time of day that the process reads. The monotonic clocks keep running normally, as on
//! a real machine after a change of its clock.

use std::ffi::OsString;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::compile;

/// A compiled preload library and the file with the shift in seconds.
pub struct MachineClock {
    folder: tempfile::TempDir,
}

impl MachineClock {
    /// Compiles the library; the shift is zero.
    ///
    /// # Panics
    /// Without a C compiler.
    #[must_use]
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        compile("clock/shim.c", &folder.path().join("shim.so"));
        let clock = Self { folder };
        std::fs::write(clock.file(), 0_i64.to_ne_bytes()).expect("the shift is written");
        clock
    }

    /// Returns the environment variables for a process that should use this clock.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.folder.path().join("shim.so").into()),
            ("CLOCK_SHIFT_FILE", self.file().into()),
        ]
    }

    /// Sets the clock this many seconds ahead of the real time; a negative number sets the clock
    /// back.
    pub fn shift(&self, seconds: i64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.file());
        // The write must be in place, because the process has mapped the file.
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.expect("the shift is written");
    }

    /// Sets the clock to `to` seconds since 1970; the clock runs on from there.
    pub fn set(&self, to: i64) {
        self.shift(to - right());
    }

    /// Returns the shifted time in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        let shift = std::fs::read(self.file()).expect("the shift");
        let shift = i64::from_ne_bytes(shift.try_into().expect("eight bytes"));
        right() + shift
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shift")
    }
}

fn right() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is right")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("some years")
}
