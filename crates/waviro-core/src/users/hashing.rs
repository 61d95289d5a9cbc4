//! Hashes a few passwords at a time and limits the queue of waiting requests. The queue is shared
//! fairly between client addresses.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The number of passwords hashed at a time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

/// The running hashes and the queue. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hashing(Arc<Inner>);

struct Inner {
    turns: Arc<Semaphore>,
    line: Mutex<Line>,
    /// The maximum number of waiting requests.
    most: usize,
}

/// The waiting requests in order of arrival.
#[derive(Default)]
struct Line {
    last: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: u64,
    owner: IpAddr,
    /// Dropped when the request loses its place; the receiver then returns [`Full`].
    _sent_away: oneshot::Sender<()>,
}

/// A place in the queue, freed on drop.
struct QueuePosition<'h> {
    hashing: &'h Hashing,
    id: u64,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Hashing {
    /// Allows `most` waiting requests, in addition to the running hashes.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            line: Mutex::default(),
            most,
        }))
    }

    /// Waits for a free hashing slot and runs `work` on a blocking thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        owner: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Full> {
        let turn = self.turn(owner).await?;
        let worked = tokio::task::spawn_blocking(move || {
            // The thread holds the permit, because the work continues after the caller was
            // cancelled.
            let _turn = turn;
            work()
        });
        // The task fails only while the process ends.
        worked.await.map_err(|_| Full)
    }

    async fn turn(&self, owner: IpAddr) -> Result<OwnedSemaphorePermit, Full> {
        let turns = Arc::clone(&self.0.turns);
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        let (_place, sent_away) = self.join(owner)?;
        tokio::select! {
            biased;
            turn = turns.acquire_owned() => turn.map_err(|_| Full),
            _ = sent_away => Err(Full),
        }
    }

    /// Takes a place at the end of the queue. If the queue is full, the address with the most
    /// places loses its last place to an address with at least two places fewer.
    fn join(&self, owner: IpAddr) -> Result<(QueuePosition<'_>, oneshot::Receiver<()>), Full> {
        let mut line = self.lock();
        if line.waiting.len() >= self.0.most {
            let held = |owner: IpAddr| {
                let all = line.waiting.iter();
                all.filter(|waiting| waiting.owner == owner).count()
            };
            let owners = line.waiting.iter().map(|waiting| waiting.owner);
            let greediest = owners.max_by_key(|owner| held(*owner)).ok_or(Full)?;
            if held(greediest) <= held(owner) + 1 {
                return Err(Full);
            }
            let mut all = line.waiting.iter();
            let last = all.rposition(|waiting| waiting.owner == greediest);
            line.waiting.remove(last.ok_or(Full)?);
        }
        line.last += 1;
        let id = line.last;
        let (sent_away, removed) = oneshot::channel();
        line.waiting.push(Waiting {
            id,
            owner,
            _sent_away: sent_away,
        });
        Ok((QueuePosition { hashing: self, id }, removed))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        let mut line = self.hashing.lock();
        line.waiting.retain(|waiting| waiting.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use tokio_util::task::TaskTracker;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 8));

    /// Occupies every hashing slot until the returned senders are dropped.
    async fn occupied(hashing: &Hashing) -> Vec<mpsc::Sender<()>> {
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            let (release, released) = mpsc::channel::<()>();
            let (begun, begins) = oneshot::channel();
            let own = hashing.clone();
            TaskTracker::new().spawn(async move {
                let work = move || {
                    let _ = begun.send(());
                    let _ = released.recv();
                };
                own.run(ONE, work).await
            });
            begins.await.unwrap();
            held.push(release);
        }
        held
    }

    async fn waiting(hashing: &Hashing, count: usize) {
        while hashing.lock().waiting.len() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn hashing_for_a_disconnected_caller_keeps_its_permit_until_the_end() {
        let hashing = Hashing::new(20);
        let at_once = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        for _ in 0..AT_ONCE {
            let (begun, begins) = oneshot::channel();
            let (at_once, released) = (Arc::clone(&at_once), Arc::clone(&released));
            let run = hashing.run(ONE, move || {
                at_once.fetch_add(1, Ordering::SeqCst);
                let _ = begun.send(());
                let _ = released.lock().unwrap().recv();
                at_once.fetch_sub(1, Ordering::SeqCst);
            });
            // The caller is cancelled while the work runs.
            tokio::select! {
                _ = run => unreachable!("it is held"),
                begun = begins => begun.unwrap(),
            }
        }
        assert_eq!(at_once.load(Ordering::SeqCst), AT_ONCE);
        assert_eq!(hashing.0.turns.available_permits(), 0);
        drop(release);
        let seen = Arc::clone(&at_once);
        let next = hashing.run(ONE, move || seen.load(Ordering::SeqCst)).await;
        assert!(next.unwrap() < AT_ONCE);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_callers_until_a_caller_leaves() {
        let hashing = Hashing::new(3);
        let held = occupied(&hashing).await;
        let wait = || {
            TaskTracker::new().spawn({
                let own = hashing.clone();
                async move { own.run(ONE, || ()).await }
            })
        };
        let all: Vec<_> = (0..3).map(|_| wait()).collect();
        waiting(&hashing, 3).await;
        assert_eq!(hashing.run(ONE, || ()).await, Err(Full));
        all[1].abort();
        waiting(&hashing, 2).await;
        let fourth = wait();
        waiting(&hashing, 3).await;
        drop(held);
        assert_eq!(fourth.await.unwrap(), Ok(()));
        waiting(&hashing, 0).await;
    }

    #[tokio::test]
    async fn an_address_that_fills_the_queue_leaves_a_place_for_others() {
        let hashing = Hashing::new(3);
        let held = occupied(&hashing).await;
        let wait = |owner| {
            TaskTracker::new().spawn({
                let own = hashing.clone();
                async move { own.run(owner, || ()).await }
            })
        };
        let mut greedy = Vec::new();
        for count in 1..=3 {
            greedy.push(wait(ONE));
            waiting(&hashing, count).await;
        }
        let other = wait(OTHER);
        assert_eq!(greedy.pop().unwrap().await.unwrap(), Err(Full));
        // Both addresses have equal shares now, and neither takes a place from the other.
        assert_eq!(hashing.run(OTHER, || ()).await, Err(Full));
        drop(held);
        assert_eq!(other.await.unwrap(), Ok(()));
        for first in greedy {
            assert_eq!(first.await.unwrap(), Ok(()));
        }
    }
}
