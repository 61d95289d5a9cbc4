//! Checks if the author of a deletion is an admin of the group, because only admins may delete
//! messages of other members.
//!
//! The sending client decides alone about a deletion, so a deletion is only a claim. Deletions by
//! admins are rare, so the link asks WhatsApp for the admins and caches the answer for a minute or
//! until the group changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use whatsapp_rust::{Client, Jid};

/// The lifetime of an answer. A member with many claimed deletions costs one lookup a minute.
const FRESH: Duration = Duration::from_mins(1);

/// The lifetime of a failed lookup, treated as "no admins", so that the next deletion does not wait
/// too.
const UNANSWERED: Duration = Duration::from_secs(5);

/// The timeout of the lookup. The deletion and the messages behind it wait for the answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// The maximum number of cached groups.
const REMEMBERED: usize = 256;

/// The cached admins of a device's groups.
#[derive(Debug, Default)]
pub(super) struct Admins(Mutex<HashMap<String, Answer>>);

#[derive(Debug)]
struct Answer {
    at: Instant,
    serves: Duration,
    /// All names (number and LID) of all admins. Empty if WhatsApp did not answer.
    names: HashSet<String>,
}

impl Admins {
    /// Returns true if one of the person's names belongs to an admin. Returns false if the admins
    /// are unknown.
    pub(super) async fn has(&self, client: &Client, group: &Jid, names: &[&Jid]) -> bool {
        let is_admin = |answer: &Answer| names.iter().any(|jid| answer.names.contains(&*jid.user));
        if let Some(answer) = self.known().get(&*group.user)
            && answer.at.elapsed() < answer.serves
        {
            return is_admin(answer);
        }
        let groups = client.groups();
        let asked = tokio::time::timeout(DEADLINE, groups.get_metadata(group)).await;
        let (serves, names) = match asked {
            Ok(Ok(group)) => {
                let admins = group.participants.iter();
                let admins = admins.filter(|it| it.is_admin() || it.is_super_admin());
                let names = admins
                    .flat_map(|it| [Some(&it.jid), it.phone_number.as_ref(), it.lid.as_ref()]);
                (
                    FRESH,
                    names.flatten().map(|jid| jid.user.to_string()).collect(),
                )
            }
            Ok(Err(_)) | Err(_) => (UNANSWERED, HashSet::new()),
        };
        let answer = Answer {
            at: Instant::now(),
            serves,
            names,
        };
        let is = is_admin(&answer);
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(group.user.to_string(), answer);
        is
    }

    /// Removes the cached answer after a change of the group.
    pub(super) fn forget(&self, group: &Jid) {
        self.known().remove(&*group.user);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
