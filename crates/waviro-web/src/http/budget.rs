//! Counts attempts per owner: each owner has a budget per minute, and the memory is bounded.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use waviro_store::clock::Clock;

/// The maximum number of owners to remember, at about 200 bytes each. A full table drops its oldest
/// entry, so a new owner always has a budget. An attacker that fills the table cannot take the
/// budget of another owner.
pub(super) const REMEMBERED: usize = 10_000;

/// The time in which a whole budget refills.
const MINUTE_US: i64 = 60_000_000;

/// Counts attempts per owner. A budget refills continuously (the generic cell rate algorithm).
pub(super) struct Budget<K> {
    table: Mutex<Table<K>>,
    /// The microseconds in which the budget regains an attempt.
    interval: i64,
    clock: Clock,
}

/// Stores, for each owner, when the budget is full again, in microseconds of steady time. An entry
/// with a time in the past has no effect.
struct Table<K> {
    whole_at: HashMap<K, i64>,
    oldest: BTreeSet<(i64, K)>,
}

impl<K: Clone + Eq + Hash + Ord> Budget<K> {
    /// Allows `per_minute` attempts per owner, at least 1.
    pub(super) fn new(per_minute: u64, clock: Clock) -> Self {
        let per_minute = i64::try_from(per_minute).unwrap_or(i64::MAX).max(1);
        Self {
            table: Mutex::new(Table {
                whole_at: HashMap::new(),
                oldest: BTreeSet::new(),
            }),
            interval: (MINUTE_US / per_minute).max(1),
            clock,
        }
    }

    /// Returns whether the owner has an attempt left, without counting.
    pub(super) fn has_left(&self, owner: &K) -> bool {
        let now = self.now();
        self.next(&self.lock(), owner, now).is_some()
    }

    /// Counts an attempt. Returns `false` and changes nothing if the owner has no attempt left.
    pub(super) fn count(&self, owner: K) -> bool {
        let now = self.now();
        let mut table = self.lock();
        let Some(whole_at) = self.next(&table, &owner, now) else {
            return false;
        };
        if let Some(before) = table.whole_at.insert(owner.clone(), whole_at) {
            table.oldest.remove(&(before, owner.clone()));
        }
        table.oldest.insert((whole_at, owner));
        while let Some((oldest, _)) = table.oldest.first() {
            if *oldest > now && table.whole_at.len() <= REMEMBERED {
                break;
            }
            if let Some((_, gone)) = table.oldest.pop_first() {
                table.whole_at.remove(&gone);
            }
        }
        true
    }

    /// Returns when the budget would be full again after another attempt, or `None` if no attempt
    /// is left.
    fn next(&self, table: &Table<K>, owner: &K, now: i64) -> Option<i64> {
        let before = table.whole_at.get(owner).copied().unwrap_or(now).max(now);
        let next = before.saturating_add(self.interval);
        (next - now <= MINUTE_US).then_some(next)
    }

    fn now(&self) -> i64 {
        self.clock.steady().saturating_mul(1000)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let table = self.lock();
        assert_eq!(table.whole_at.len(), table.oldest.len());
        table.whole_at.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_budget_refills_gradually_up_to_its_maximum() {
        let clock = Clock::manual(1_700_000_000_000);
        let budget = Budget::new(6, clock.clone());
        let spend = || (0..20).filter(|_| budget.count("owner")).count();
        assert_eq!(spend(), 6);
        assert!(!budget.has_left(&"owner"));
        clock.advance(Duration::from_secs(10));
        assert!(budget.has_left(&"owner"));
        assert_eq!(spend(), 1);
        clock.advance(Duration::from_hours(1));
        assert_eq!(spend(), 6);
    }

    #[test]
    fn a_full_table_drops_its_oldest_entry_and_a_new_owner_has_a_whole_budget() {
        let clock = Clock::manual(1_700_000_000_000);
        let budget = Budget::new(10, clock.clone());
        while budget.count(u32::MAX) {}
        for owner in 0..30_000 {
            assert!(budget.count(owner), "{owner}");
            assert!(budget.remembered() <= REMEMBERED);
        }
        // An owner with an empty budget is remembered longer than owners with a single attempt.
        assert!(!budget.has_left(&u32::MAX));
        clock.advance(Duration::from_mins(2));
        assert!(budget.count(1));
        assert_eq!(budget.remembered(), 1, "what says nothing is dropped");
    }
}
