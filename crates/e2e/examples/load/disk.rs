//! Makes the gateway's disk slower on request. The benefit of shared syncs is visible only on a
//! disk with slow syncs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The library to preload, and the file whose presence makes syncs slow.
pub struct SlowDisk {
    folder: tempfile::TempDir,
}

impl SlowDisk {
    /// Builds the library with the C compiler, which the workspace needs anyway.
    pub fn build() -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/load/slow_sync.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(disk.library())
            .arg(source)
            .status()
            .unwrap();
        assert!(built.success(), "cc: {built}");
        disk
    }

    /// Returns the environment variables for the gateway.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library().into()),
            ("SLOW_SYNC", self.switch().into()),
        ]
    }

    pub fn slow(&self, yes: bool) {
        if yes {
            std::fs::write(self.switch(), []).unwrap();
        } else {
            std::fs::remove_file(self.switch()).unwrap();
        }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("slow_sync.so")
    }

    fn switch(&self) -> PathBuf {
        self.folder.path().join("slow")
    }
}
