//! Simulates a disk that is full or broken for a while, or a process killed during a disk
//! operation. A small library, loaded into the gateway before libc, injects the faults.
//!
//! Only operations below one folder fail, and only while the fault file exists. A separate file
//! system would need rights that a container does not give.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wa_sim::Sim;

use crate::gateway::{Gateway, Server};

/// The kind of disk fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Every write fails with `ENOSPC`.
    Full,
    /// Every write and every sync fails with `EIO`.
    Broken,
    /// Kills the process at the n-th write to the database file, counted from 1. Only a checkpoint
    /// writes to the database file itself.
    EndAtWrite(u32),
    /// Kills the process at the n-th sync of the database file.
    EndAtSync(u32),
}

/// A compiled preload library and the file that selects the fault.
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Compiles the library.
    ///
    /// # Panics
    /// Without a C compiler.
    #[must_use]
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        compile("disk/shim.c", &folder.path().join("shim.so"));
        Self { folder }
    }

    /// Returns the environment variables for a process whose operations below `data` should be able
    /// to fail.
    #[must_use]
    pub fn environment(&self, data: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.folder.path().join("shim.so").into()),
            ("DISK_FAULT_FILE", self.switch().into()),
            ("DISK_FAULT_DIR", data.into()),
        ]
    }

    /// Starts a gateway with its data on this disk.
    pub async fn gateway(&self, sim: &Sim) -> Gateway {
        let server = Server::of(sim, &sim.wss_url());
        let mut gateway = Gateway::prepare(&server, "", Vec::new());
        gateway.add_environment(self.environment(&gateway.folder().join("data")));
        gateway.run().await;
        gateway
    }

    /// Injects this fault until [`Self::mend`].
    pub fn fail(&self, how: DiskFault) {
        let word = match how {
            DiskFault::Full => "ENOSPC".to_owned(),
            DiskFault::Broken => "EIO".to_owned(),
            DiskFault::EndAtWrite(nth) => format!("write {nth}"),
            DiskFault::EndAtSync(nth) => format!("sync {nth}"),
        };
        std::fs::write(self.switch(), word).expect("the switch is written");
    }

    /// Ends the fault.
    pub fn mend(&self) {
        std::fs::remove_file(self.switch()).expect("the switch is there");
    }

    fn switch(&self) -> PathBuf {
        self.folder.path().join("fault")
    }
}

/// Compiles C source to a library that can be loaded into a process before libc.
///
/// # Panics
/// Without a C compiler.
pub(crate) fn compile(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(source);
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(compiled.expect("a C compiler").success());
}
