//! Who may delete what others wrote in a group: its admins, as WhatsApp says.
//!
//! A client decides by itself what it deletes, so a deletion is a claim. Few deletions are an admin's; WhatsApp is asked then, and the
//! answer serves for a minute, or until the group changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use whatsapp_rust::{Client, Jid};

/// How long an answer serves: a member who claims deletions one after the other costs one question a minute.
const FRESH: Duration = Duration::from_mins(1);

/// How long a question without an answer stands for "no admins": a deletion that comes meanwhile waits for none.
const UNANSWERED: Duration = Duration::from_secs(5);

/// A deletion waits for the answer, and other messages behind it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Groups that are remembered at a time.
const REMEMBERED: usize = 256;

/// The admins of a device's groups.
#[derive(Debug, Default)]
pub(super) struct Admins(Mutex<HashMap<String, Answer>>);

#[derive(Debug)]
struct Answer {
    at: Instant,
    serves: Duration,
    /// By every name that WhatsApp has for them. Empty if WhatsApp did not answer.
    names: HashSet<String>,
}

impl Admins {
    /// Whether one of a person's names is an admin's. Not known is no.
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

    /// The group is not as it was.
    pub(super) fn forget(&self, group: &Jid) {
        self.known().remove(&*group.user);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
