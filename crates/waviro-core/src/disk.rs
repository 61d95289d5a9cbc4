//! The free space on the disk of the data folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

/// The minimum free disk space for taking files; cheap to clone. The space below the minimum is
/// reserved for the database, because without the database the gateway accepts nothing at all.
#[derive(Debug, Clone)]
pub struct Floor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    bytes: u64,
    reached: AtomicBool,
}

impl Floor {
    /// Creates the limit for the disk of `folder`, in MiB; 0 disables the limit.
    #[must_use]
    pub fn new(folder: PathBuf, mib: u64) -> Self {
        Self(Arc::new(Inner {
            folder,
            bytes: mib.saturating_mul(1024 * 1024),
            reached: AtomicBool::new(false),
        }))
    }

    /// Returns `true` if less space is free. If the free space cannot be read, the disk counts as
    /// empty.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let free = free(&self.0.folder).unwrap_or(u64::MAX);
        let reached = free < self.0.bytes;
        if self.0.reached.swap(reached, Ordering::Relaxed) != reached {
            let free_mib = free / (1024 * 1024);
            if reached {
                warn!(
                    free_mib,
                    "disk almost full; files are refused until limits.free_disk_mib are free"
                );
            } else {
                info!(
                    free_mib,
                    "disk has enough free space again; files are accepted"
                );
            }
        }
        reached
    }
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_reached_below_its_size_and_never_at_zero() {
        let folder = tempfile::tempdir().unwrap();
        let floor = |mib| Floor::new(folder.path().to_owned(), mib);
        assert!(!floor(0).is_reached());
        assert!(floor(u64::MAX).is_reached());
        assert!(!Floor::new(folder.path().join("none"), 1).is_reached());
    }
}
