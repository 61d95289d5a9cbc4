//! A file that was fetched and is no message's yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::name_of;
use super::waiting::Waiting;

/// A file on the disk that no message has yet. Work on the file holds a clone of its own, since the work goes on when its caller
/// has gone. When the last clone is dropped, the file is removed, unless it was claimed. Until then the sweep leaves it.
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

    /// From here on a message may have the file: it stays. Kept until the message is written, this holds off the sweep.
    pub(in crate::outbox) fn claim(&self) {
        self.0.claimed.store(true, Ordering::Relaxed);
    }

    /// Removes it at once.
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
        self.waiting.let_go(&name_of(&self.path));
        if self.claimed.load(Ordering::Relaxed) {
            return;
        }
        let (path, waiting) = (std::mem::take(&mut self.path), self.waiting.clone());
        let gone = move || {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a file that no message has is not removed yet");
            }
            // One that stays is found again by the sweep.
            waiting.gone(&name_of(&path));
        };
        // A large file takes the disk a while.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(gone)),
            Err(_) => gone(),
        }
    }
}
