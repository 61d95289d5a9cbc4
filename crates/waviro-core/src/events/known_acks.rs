//! Remembers the durable acks of a bot's latest messages in memory. Most receipts of a large group
//! repeat a known ack and need no commit.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use waviro_link::MessageId;

/// The most remembered acks of a bot, at 16 bytes each: enough for the messages whose receipts
/// arrive at the same time.
const KNOWN: usize = 512;

/// The source of a server ack. No other sender can use this name.
pub(super) const SERVER: &str = "";

/// The durable acks of the latest messages, each with its source. The source is part of the key,
/// because a receipt from a stranger may not have counted. A forgotten ack costs a database access.
#[derive(Debug, Default)]
pub(super) struct KnownAcks(Mutex<Latest>);

/// Keyed by a hash of id and source. A collision is as improbable as a broken disk.
#[derive(Debug, Default)]
struct Latest {
    hasher: RandomState,
    acks: HashMap<u64, i8>,
    order: VecDeque<u64>,
}

impl KnownAcks {
    /// Stores that `by` reported `ack` for the messages. The ack must be durable already, if it
    /// counts.
    pub(super) fn note<'a>(&self, ids: impl IntoIterator<Item = &'a MessageId>, by: &str, ack: i8) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            let hash = known.hasher.hash_one((id.as_str(), by));
            if let Some(before) = known.acks.get_mut(&hash) {
                *before = (*before).max(ack);
                continue;
            }
            known.acks.insert(hash, ack);
            known.order.push_back(hash);
            if known.order.len() > KNOWN
                && let Some(oldest) = known.order.pop_front()
            {
                known.acks.remove(&oldest);
            }
        }
    }

    /// Returns whether all messages have at least `ack`, reported by `by` or by the server.
    pub(super) fn have_all(&self, ids: &[MessageId], by: &str, ack: i8) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().all(|id| {
            [SERVER, by].into_iter().any(|by| {
                let hash = known.hasher.hash_one((id.as_str(), by));
                known
                    .acks
                    .get(&hash)
                    .is_some_and(|known_acks| *known_acks >= ack)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> MessageId {
        format!("3EB0{n:016}").parse().unwrap()
    }

    #[test]
    fn known_acks_only_rise_and_unknown_acks_are_read() {
        let known_acks = KnownAcks::default();
        assert!(!known_acks.have_all(&[id(1)], "a", 1));
        known_acks.note(&[id(1), id(2)], "a", 2);
        known_acks.note(&[id(1)], "a", 1);
        assert!(known_acks.have_all(&[id(1), id(2)], "a", 2));
        assert!(!known_acks.have_all(&[id(1)], "b", 1));
        known_acks.note(&[id(1)], SERVER, 1);
        assert!(known_acks.have_all(&[id(1)], "b", 1) && !known_acks.have_all(&[id(1)], "b", 2));
        assert!(
            !known_acks.have_all(&[id(1)], "a", 3) && !known_acks.have_all(&[id(1), id(3)], "a", 1)
        );
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let known_acks = KnownAcks::default();
        (0..=KNOWN).for_each(|n| known_acks.note(&[id(n)], "a", 1));
        assert!(
            !known_acks.have_all(&[id(0)], "a", 1)
                && known_acks.have_all(&[id(1), id(KNOWN)], "a", 1)
        );
        let known = known_acks.0.lock().unwrap();
        assert_eq!((known.acks.len(), known.order.len()), (KNOWN, KNOWN));
    }
}
