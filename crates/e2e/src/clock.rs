//! A machine whose clock is set: a small library that is loaded into the gateway before libc and shifts what it is told of the time
//! of day. What passes (the monotonic clocks) stays as it is, as when somebody sets a real clock.

use std::ffi::OsString;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::compile;

/// The library, and the file that holds the shift.
pub struct MachineClock {
    folder: tempfile::TempDir,
}

impl MachineClock {
    /// Compiles the library. The clock is right.
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

    /// What a process needs in its environment to go by this clock.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.folder.path().join("shim.so").into()),
            ("CLOCK_SHIFT_FILE", self.file().into()),
        ]
    }

    /// From now on it is so many seconds ahead of the right time; behind, where negative.
    pub fn shift(&self, seconds: i64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.file());
        // In place: the process has it mapped.
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.expect("the shift is written");
    }

    /// From now on it says this many seconds since 1970, and goes on from there.
    pub fn set(&self, to: i64) {
        self.shift(to - right());
    }

    /// What it says now, in seconds since 1970.
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
