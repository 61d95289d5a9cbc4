//! A fetched file that does not belong to a message yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::waiting::{Waiting, name_of};

/// A file in the spool without a message. Each task that works on the file holds a clone, since the
/// task continues when its caller is gone. Dropping the last clone removes the file, unless the
/// file was claimed. The sweep keeps the file as long as a clone exists.
#[must_use]
#[derive(Debug, Clone)]
pub(in crate::outbox) struct Unclaimed(Arc<OnDisk>);

#[derive(Debug)]
struct OnDisk {
    path: PathBuf,
    waiting: Waiting,
    claimed: AtomicBool,
}

impl Unclaimed {
    pub(super) fn new(path: PathBuf, waiting: Waiting) -> Self {
        waiting.hold(&name_of(&path));
        Self(Arc::new(OnDisk {
            path,
            waiting,
            claimed: AtomicBool::new(false),
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Keeps the file, because a message may have the file from now on. Hold a clone until the
    /// message is written, so that the sweep keeps the file until then.
    pub(in crate::outbox) fn claim(&self) {
        self.0.claimed.store(true, Ordering::Relaxed);
    }

    /// Removes the file at once.
    pub(super) async fn discard(self) {
        let removed = tokio::fs::remove_file(self.path()).await;
        if removed.is_ok() {
            self.0.waiting.gone(&name_of(self.path()));
            self.claim();
        }
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.waiting.release(&name_of(&self.path));
        if self.claimed.load(Ordering::Relaxed) {
            return;
        }
        let (path, waiting) = (std::mem::take(&mut self.path), self.waiting.clone());
        let gone = move || {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "file without a message could not be removed");
            }
            // If the removal failed, the next sweep finds the file.
            waiting.gone(&name_of(&path));
        };
        // Removing a large file may block for a while.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(gone)),
            Err(_) => gone(),
        }
    }
}
