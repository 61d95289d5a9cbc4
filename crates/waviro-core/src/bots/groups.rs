//! The groups of a bot: read from WhatsApp once, and again after WhatsApp reports a change.
//!
//! WhatsApp limits how often a client may ask for the groups, so all callers share the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use waviro_link::{Group, GroupId, Link, LinkError, Number};
use waviro_store::clock::{Clock, Millis, millis};

use super::Bot;

/// The longest time that the list is used without a reported change. WhatsApp reports every change,
/// but a report may get lost.
const BELIEVED: Duration = Duration::from_hours(1);

/// How long the absence of a group is trusted, because the bot may just have been added.
const ABSENCE_BELIEVED: Duration = Duration::from_mins(1);

/// The shortest time between two questions to WhatsApp, however often the groups change.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);

/// The same time after a question without an answer, or with the answer "too often".
const AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// The timeout for the answer. WhatsApp answers within tens of milliseconds, and a request of the
/// caller is waiting.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

type List = Arc<HashMap<GroupId, Group>>;

/// The known groups of a bot.
#[derive(Default)]
pub(super) struct Groups {
    /// Locked during a question, so that concurrent callers share the answer.
    known: Mutex<CachedGroups>,
    /// How often WhatsApp reported a change.
    changes: AtomicU64,
}

#[derive(Default)]
struct CachedGroups {
    /// The account of these groups. A bot may be linked to another account later.
    of: Option<Number>,
    list: Option<List>,
    /// When the list was requested, and how many changes had been reported by then.
    asked_at: Millis,
    changes: u64,
    /// No question to WhatsApp before this time.
    rest_until: Millis,
}

impl Groups {
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bot {
    /// Returns every group of the bot. While the link is down, returns the last known groups.
    ///
    /// # Errors
    /// Any [`LinkError`] of the question, if no groups are known.
    pub async fn groups(&self, clock: &Clock) -> Result<List, LinkError> {
        self.known_groups(clock, BELIEVED).await
    }

    /// Returns true if the bot is in the group.
    ///
    /// # Errors
    /// As [`Bot::groups`].
    pub async fn is_in(&self, group: &GroupId, clock: &Clock) -> Result<bool, LinkError> {
        if self.groups(clock).await?.contains_key(group) {
            return Ok(true);
        }
        let again = self.known_groups(clock, ABSENCE_BELIEVED).await?;
        Ok(again.contains_key(group))
    }

    /// Records that WhatsApp reported a change of the groups.
    pub fn groups_changed(&self) {
        self.groups.changed();
    }

    async fn known_groups(&self, clock: &Clock, believed: Duration) -> Result<List, LinkError> {
        let mut known = self.groups.known.lock().await;
        let own = self.identity().map(|identity| identity.number);
        if known.of != own {
            *known = CachedGroups {
                of: own,
                ..CachedGroups::default()
            };
        }
        // The counter is read before the question: a change during the question is a reason to ask
        // again.
        let (asked_at, changes) = (clock.now(), self.groups.changes.load(Ordering::SeqCst));
        if let Some(list) = &known.list {
            let fresh = changes == known.changes && asked_at - known.asked_at < millis(believed);
            if fresh || asked_at < known.rest_until {
                return Ok(Arc::clone(list));
            }
        } else if asked_at < known.rest_until {
            return Err(LinkError::Failed(
                "the last request for the groups failed a moment ago".to_owned(),
            ));
        }
        let answer = match self.link() {
            Some(link) => tokio::select! {
                answer = ask(&*link) => answer,
                () = clock.sleep(ANSWERED_WITHIN) => Err(LinkError::TimedOut),
            },
            None => Err(LinkError::Offline),
        };
        match answer {
            Ok(by_id) => {
                let list = Arc::new(by_id);
                known.list = Some(Arc::clone(&list));
                known.asked_at = asked_at;
                known.changes = changes;
                known.rest_until = asked_at + millis(AT_MOST_EVERY);
                Ok(list)
            }
            Err(error) => {
                if !matches!(error, LinkError::Offline) {
                    known.rest_until = clock.now() + millis(AFTER_A_FAILURE);
                }
                known.list.as_ref().map(Arc::clone).ok_or(error)
            }
        }
    }
}

async fn ask(link: &dyn Link) -> Result<HashMap<GroupId, Group>, LinkError> {
    let groups = link.groups().await?;
    Ok(groups
        .into_iter()
        .map(|group| (group.id.clone(), group))
        .collect())
}
