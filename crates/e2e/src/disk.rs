//! A disk that is full or broken for a while, or at which the gateway ends: a small library that is loaded into it before libc.
//!
//! Only what is below one folder fails, and only while a file says so. A file system of its own would need rights that a container does
//! not give.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wa_sim::Sim;

use crate::gateway::{Gateway, Server};

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing can be written.
    Full,
    /// Neither writes nor syncs succeed.
    Broken,
    /// The process is killed at this write to the database's own file, counted from 1: within a checkpoint, which alone writes there.
    EndAtWrite(u32),
    /// The same at a sync of it.
    EndAtSync(u32),
}

/// The library, and the file that says what fails.
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

    /// What a process needs in its environment so that its writes below `data` can be made to fail.
    #[must_use]
    pub fn environment(&self, data: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.folder.path().join("shim.so").into()),
            ("DISK_FAULT_FILE", self.switch().into()),
            ("DISK_FAULT_DIR", data.into()),
        ]
    }

    /// A gateway on this disk, which runs.
    pub async fn gateway(&self, sim: &Sim) -> Gateway {
        let server = Server::of(sim, &sim.wss_url());
        let mut gateway = Gateway::prepare(&server, "", Vec::new());
        gateway.add_environment(self.environment(&gateway.folder().join("data")));
        gateway.run().await;
        gateway
    }

    /// From now on it fails so.
    pub fn fail(&self, how: Trouble) {
        let word = match how {
            Trouble::Full => "ENOSPC".to_owned(),
            Trouble::Broken => "EIO".to_owned(),
            Trouble::EndAtWrite(nth) => format!("write {nth}"),
            Trouble::EndAtSync(nth) => format!("sync {nth}"),
        };
        std::fs::write(self.switch(), word).expect("the switch is written");
    }

    /// It works again.
    pub fn mend(&self) {
        std::fs::remove_file(self.switch()).expect("the switch is there");
    }

    fn switch(&self) -> PathBuf {
        self.folder.path().join("fault")
    }
}

/// Makes a library that is loaded into a process before libc.
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
