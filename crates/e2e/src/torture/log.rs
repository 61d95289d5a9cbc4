//! The log of observations in the order of their arrival.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio::time::Instant;
use wa_sim::SimEvent;

use crate::oracle::{Entry, Seen};
use crate::spawn;

/// A log with many concurrent writers.
#[derive(Clone)]
pub(super) struct Log(Arc<(Instant, Mutex<Vec<Entry>>)>);

impl Log {
    pub(super) fn begin() -> Self {
        Self(Arc::new((Instant::now(), Mutex::default())))
    }

    pub(super) fn see(&self, seen: Seen) {
        let at = u64::try_from(self.0.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.lock().push(Entry { at, seen });
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Logs the events of a simulator. A message to a group has no stages after the server's ack,
    /// so its receipts are left out.
    pub(super) fn follow(
        &self,
        mut events: broadcast::Receiver<SimEvent>,
        groups: HashSet<String>,
    ) {
        let log = self.clone();
        drop(spawn(async move {
            let mut in_groups = HashSet::new();
            loop {
                let seen = match events.recv().await {
                    Ok(SimEvent::Stanza { id, from, to }) => {
                        // A stanza from a device to its own phone is not a message.
                        if from.split(':').next() == Some(to.as_str()) {
                            continue;
                        }
                        if groups.contains(&to) {
                            in_groups.insert(id.clone());
                        }
                        Seen::Framed { id }
                    }
                    Ok(SimEvent::Acked { id, error, .. }) => Seen::ServerAcked { id, error },
                    Ok(SimEvent::KeyReused { id, .. }) => Seen::KeyReused { id },
                    Ok(SimEvent::Receipt { id, kind, .. }) if !in_groups.contains(&id) => {
                        let stage = match kind.as_str() {
                            "delivered" => 2,
                            "read" | "played" => 3,
                            _ => continue,
                        };
                        Seen::Reached { id, stage }
                    }
                    Ok(_) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                    Err(broadcast::error::RecvError::Lagged(count)) => Seen::Missed { count },
                };
                log.see(seen);
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
