//! Permits for a kind of work, limited in all and per owner.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The permits of a kind of work. Cheap to clone.
pub struct Permits<K: Eq + Hash>(Arc<Inner<K>>);

struct Inner<K: Eq + Hash> {
    held: Mutex<Held<K>>,
    in_all: usize,
    per_owner: usize,
    freed: Notify,
}

struct Held<K> {
    in_all: usize,
    by_owner: HashMap<K, usize>,
}

/// The right to do a piece of work; dropping the permit releases the right.
#[must_use]
pub struct Permit<K: Clone + Eq + Hash> {
    permits: Permits<K>,
    owner: K,
}

/// The reasons for which no permit is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPermit {
    /// The owner holds the maximum number of permits per owner, the given number.
    Owner(usize),
    /// All owners together hold the maximum number of permits, the given number.
    InAll(usize),
}

impl<K: Clone + Eq + Hash> Permits<K> {
    /// Creates `in_all` permits; an owner may hold at most `per_owner` of them.
    #[must_use]
    pub fn new(in_all: u64, per_owner: u64) -> Self {
        let size = |permits| usize::try_from(permits).unwrap_or(usize::MAX);
        Self(Arc::new(Inner {
            held: Mutex::new(Held {
                in_all: 0,
                by_owner: HashMap::new(),
            }),
            in_all: size(in_all),
            per_owner: size(per_owner),
            freed: Notify::new(),
        }))
    }

    /// Takes a permit if a permit is free.
    ///
    /// # Errors
    /// [`NoPermit`].
    pub fn take(&self, owner: K) -> Result<Permit<K>, NoPermit> {
        self.take_beside(owner, 0)
    }

    /// Takes a permit, but leaves the last `reserved` permits to other callers.
    ///
    /// # Errors
    /// [`NoPermit`].
    pub fn take_beside(&self, owner: K, reserved: u64) -> Result<Permit<K>, NoPermit> {
        let reserved = usize::try_from(reserved).unwrap_or(usize::MAX);
        let open = self.0.in_all.saturating_sub(reserved);
        let mut held = self.lock();
        let own = held.by_owner.get(&owner).copied().unwrap_or(0);
        if own >= self.0.per_owner {
            return Err(NoPermit::Owner(self.0.per_owner));
        }
        if held.in_all >= open {
            return Err(NoPermit::InAll(open));
        }
        held.in_all += 1;
        held.by_owner.insert(owner.clone(), own + 1);
        let permits = Self(Arc::clone(&self.0));
        Ok(Permit { permits, owner })
    }

    /// Waits until a permit is free, and takes it.
    pub async fn wait(&self, owner: K) -> Permit<K> {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            // Registers before the check, so that a release between the check and the wait is not
            // lost.
            freed.as_mut().enable();
            if let Ok(permit) = self.take(owner.clone()) {
                return permit;
            }
            freed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held<K>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> std::fmt::Debug for Permits<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (in_all, per_owner) = (self.0.in_all, self.0.per_owner);
        write!(f, "Permits({in_all} in all, {per_owner} an owner)")
    }
}

impl<K: Eq + Hash> Clone for Permits<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        {
            let mut held = self.permits.lock();
            held.in_all = held.in_all.saturating_sub(1);
            let own = held.by_owner.get(&self.owner).copied().unwrap_or(0);
            if own > 1 {
                held.by_owner.insert(self.owner.clone(), own - 1);
            } else {
                held.by_owner.remove(&self.owner);
            }
        }
        // Wakes all waiting tasks: the first task may belong to an owner without free permits.
        self.permits.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_per_owner_and_in_total() {
        let permits = Permits::new(5, 2);
        let mut held: Vec<_> = (0..2).map(|_| permits.take("one").unwrap()).collect();
        assert_eq!(permits.take("one").err(), Some(NoPermit::Owner(2)));
        held.extend((0..2).map(|_| permits.take("two").unwrap()));
        assert_eq!(
            permits.take_beside("three", 1).err(),
            Some(NoPermit::InAll(4))
        );
        held.push(permits.take("three").unwrap());
        assert_eq!(permits.take("four").err(), Some(NoPermit::InAll(5)));
        held.clear();
        assert_eq!(permits.lock().in_all, 0);
        assert!(permits.lock().by_owner.is_empty());
    }

    #[tokio::test]
    async fn a_waiting_caller_gets_a_freed_permit() {
        let permits = Permits::new(3, 1);
        let (one, two) = (permits.take("one").unwrap(), permits.take("two").unwrap());
        let waits = permits.wait("one");
        let passes = permits.wait("two");
        tokio::pin!(waits, passes);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(futures::poll!(passes.as_mut()).is_pending());
        drop(two);
        let two = passes.await;
        assert!(futures::poll!(waits.as_mut()).is_pending());
        drop((one, two));
        drop(waits.await);
        assert_eq!(permits.lock().in_all, 0);
    }
}
