//! How far a bot's latest messages came, in memory: most receipts of a large group say what is known already, and need no commit.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use waviro_link::MessageId;

/// Messages of which this is known: those that members of a group receipt at one time. 16 bytes each, for each bot.
const KNOWN: usize = 512;

/// Who says that WhatsApp's server took a message: the server itself, which nobody else can claim.
pub(super) const SERVER: &str = "";

/// The acks of the latest messages that are durable, each with who says so: what somebody else claims of a message may not
/// have counted. What is forgotten is asked of the database again.
#[derive(Debug, Default)]
pub(super) struct Came(Mutex<Latest>);

/// Ids by their hash: another id with the same one is as likely as a broken disk.
#[derive(Debug, Default)]
struct Latest {
    hasher: RandomState,
    acks: HashMap<u64, i8>,
    order: VecDeque<u64>,
}

impl Came {
    /// These came as far as `ack`, says `by`, and that is durable if it counts.
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

    /// Whether all of these are known to have come as far as `ack`, from `by` or from the server.
    pub(super) fn have_all(&self, ids: &[MessageId], by: &str, ack: i8) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().all(|id| {
            [SERVER, by].into_iter().any(|by| {
                let hash = known.hasher.hash_one((id.as_str(), by));
                known.acks.get(&hash).is_some_and(|came| *came >= ack)
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
    fn what_is_known_only_rises_and_what_is_not_known_is_asked() {
        let came = Came::default();
        assert!(!came.have_all(&[id(1)], "a", 1));
        came.note(&[id(1), id(2)], "a", 2);
        came.note(&[id(1)], "a", 1);
        assert!(came.have_all(&[id(1), id(2)], "a", 2));
        assert!(!came.have_all(&[id(1)], "b", 1));
        came.note(&[id(1)], SERVER, 1);
        assert!(came.have_all(&[id(1)], "b", 1) && !came.have_all(&[id(1)], "b", 2));
        assert!(!came.have_all(&[id(1)], "a", 3) && !came.have_all(&[id(1), id(3)], "a", 1));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let came = Came::default();
        (0..=KNOWN).for_each(|n| came.note(&[id(n)], "a", 1));
        assert!(!came.have_all(&[id(0)], "a", 1) && came.have_all(&[id(1), id(KNOWN)], "a", 1));
        let known = came.0.lock().unwrap();
        assert_eq!((known.acks.len(), known.order.len()), (KNOWN, KNOWN));
    }
}
