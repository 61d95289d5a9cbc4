//! Records the events of the simulated server with their times.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wa_sim::{Sim, SimEvent};

#[derive(Default)]
struct Seen {
    logins: Vec<Instant>,
    written: HashMap<String, Vec<Instant>>,
    acked: HashSet<String>,
}

/// All logins, messages and acks.
pub(crate) struct Wire {
    seen: Arc<Mutex<Seen>>,
    /// Aborted on drop.
    _follows: JoinSet<()>,
}

impl Wire {
    /// Starts to record.
    pub(crate) fn follow(sim: &Sim) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (mut events, recorded) = (sim.events(), Arc::clone(&seen));
        let mut follows = JoinSet::new();
        follows.spawn(async move {
            loop {
                let now = |event| (Instant::now(), event);
                match events.recv().await.map(now) {
                    Ok((at, event)) => lock(&recorded).take(event, at),
                    Err(RecvError::Lagged(missed)) => panic!("{missed} events were missed"),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self {
            seen,
            _follows: follows,
        }
    }

    pub(crate) fn is_acked(&self, id: &str) -> bool {
        lock(&self.seen).acked.contains(id)
    }

    pub(crate) fn times_written(&self, id: &str) -> usize {
        lock(&self.seen).written.get(id).map_or(0, Vec::len)
    }

    pub(crate) fn login_after(&self, moment: Instant) -> Option<Instant> {
        let seen = lock(&self.seen);
        seen.logins.iter().copied().find(|login| *login > moment)
    }

    /// Returns the time of the last stanza for these ids.
    pub(crate) fn last_written(&self, ids: &[String]) -> Option<Instant> {
        let seen = lock(&self.seen);
        let times = ids.iter().filter_map(|id| seen.written.get(id));
        times.flatten().max().copied()
    }
}

impl Seen {
    fn take(&mut self, event: SimEvent, at: Instant) {
        match event {
            SimEvent::LoggedIn { .. } => self.logins.push(at),
            SimEvent::Stanza { id, .. } => self.written.entry(id).or_default().push(at),
            SimEvent::Acked {
                id, error: None, ..
            } => {
                self.acked.insert(id);
            }
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
