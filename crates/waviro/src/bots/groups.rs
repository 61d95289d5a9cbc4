//! The groups that a bot is in: asked of WhatsApp once, and again when it says that they changed.
//!
//! WhatsApp limits how often this may be asked, so one answer serves all who want it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use waviro_link::{Group, GroupId, Link, LinkError, Number};

use super::Bot;
use crate::clock::{Clock, Millis, millis};

/// WhatsApp tells of every change; in case one was missed, the list is read anew after so long.
const BELIEVED: Duration = Duration::from_hours(1);

/// "Not in it" is believed so long: somebody may just have added the bot.
const ABSENCE_BELIEVED: Duration = Duration::from_mins(1);

/// However much changes, WhatsApp is not asked more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);

/// The same after a question that it did not answer, or answered with "too often".
const AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// An answer takes tens of milliseconds; whoever asked has a request open.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

type List = Arc<HashMap<GroupId, Group>>;

/// What is known of one bot's groups.
#[derive(Default)]
pub(super) struct Groups {
    /// Held while WhatsApp is asked: whoever comes in the meantime gets the same answer.
    known: Mutex<Known>,
    /// How often WhatsApp said that something changed.
    changes: AtomicU64,
}

#[derive(Default)]
struct Known {
    /// Whose groups they are: a bot may be linked to another account.
    of: Option<Number>,
    list: Option<List>,
    /// Of the answer: when it was asked for, and how many changes it is after.
    asked_at: Millis,
    changes: u64,
    /// Before this WhatsApp is left alone.
    rest_until: Millis,
}

impl Groups {
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bot {
    /// Every group that the bot is in. While the link is down what was last known.
    ///
    /// # Errors
    /// Any [`LinkError`] of the question, where nothing is known.
    pub async fn groups(&self, clock: &Clock) -> Result<List, LinkError> {
        self.known_groups(clock, BELIEVED).await
    }

    /// Whether the bot is in a group.
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

    /// WhatsApp says that the groups are not what they were.
    pub fn groups_changed(&self) {
        self.groups.changed();
    }

    async fn known_groups(&self, clock: &Clock, believed: Duration) -> Result<List, LinkError> {
        let mut known = self.groups.known.lock().await;
        let own = self.identity().map(|identity| identity.number);
        if known.of != own {
            *known = Known {
                of: own,
                ..Known::default()
            };
        }
        // Counted before the question: a change while it is under way is a reason to ask again.
        let (asked_at, changes) = (clock.now(), self.groups.changes.load(Ordering::SeqCst));
        if let Some(list) = &known.list {
            let fresh = changes == known.changes && asked_at - known.asked_at < millis(believed);
            if fresh || asked_at < known.rest_until {
                return Ok(Arc::clone(list));
            }
        } else if asked_at < known.rest_until {
            return Err(LinkError::Failed("asked a moment ago, in vain".to_owned()));
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
