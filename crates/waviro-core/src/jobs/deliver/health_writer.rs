//! Writes the changes of the endpoints' health to the database.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::{error, info, warn};
use waviro_store::Store;
use waviro_store::clock::{Clock, millis};

use super::health::Change;

/// An endpoint had an outage if the endpoint failed for at least this long. After an outage all
/// waiting deliveries become due as soon as the endpoint works again. After a shorter failure each
/// delivery keeps its own retry time.
const OUTAGE: Duration = Duration::from_mins(1);

/// The changes to write, in order and one at a time: the newest change of an endpoint must be
/// written last.
pub(super) struct HealthWriter {
    store: Store,
    clock: Clock,
    changes: VecDeque<Change>,
    /// The write of the oldest change is running.
    writing: bool,
}

impl HealthWriter {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            changes: VecDeque::new(),
            writing: false,
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    /// Returns the write of the oldest change, unless a write is running. The caller runs the write
    /// and then calls [`Self::written`]. The write returns the endpoint, or `None` if the write
    /// failed; the next change of the endpoint is then written instead.
    pub(super) fn next(&mut self) -> Option<impl Future<Output = Option<String>> + Send + use<>> {
        if self.writing {
            return None;
        }
        let change = self.changes.pop_front()?;
        self.writing = true;
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Some(async move {
            let endpoint = change.endpoint().to_owned();
            write(&store, &clock, change).await.then_some(endpoint)
        })
    }

    /// Records that the running write ended.
    pub(super) fn written(&mut self) {
        self.writing = false;
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Writes the remaining changes.
    pub(super) async fn write_rest(self) {
        for change in self.changes {
            write(&self.store, &self.clock, change).await;
        }
    }
}

/// Writes and logs a change. Returns false if the write failed.
async fn write(store: &Store, clock: &Clock, change: Change) -> bool {
    let written = match change {
        Change::Fails(failure) => {
            let (endpoint, cause) = (&failure.endpoint, &failure.last_error.text);
            if failure.off_at.is_some() {
                error!(
                    endpoint,
                    cause,
                    "endpoint failed for 120 h and is switched off; its deliveries wait until an operator \
                     switches it on"
                );
            } else {
                warn!(endpoint, cause, "endpoint failed");
            }
            store.endpoint_fails(failure).await.map(drop)
        }
        Change::Works { endpoint, after } => {
            let wake = after >= millis(OUTAGE);
            let woken = store.endpoint_works(&endpoint, wake, clock.now()).await;
            woken.map(|waiting| {
                let failed_s = after / 1000;
                info!(endpoint, failed_s, waiting, "endpoint works again");
            })
        }
    };
    if let Err(reason) = &written {
        error!(%reason, "state of an endpoint could not be stored");
    }
    written.is_ok()
}
