//! The groups that a bot is in: asked of WhatsApp once, and again when it says that they changed.
//!
//! WhatsApp limits how often this may be asked, so one answer serves all who want it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use waviro_link::{Group, GroupId, Link, LinkError};

use super::Bot;
use crate::clock::{Clock, Millis, millis};

/// WhatsApp tells of every change; in case one was missed, the list is read anew after so long.
const BELIEVED: Duration = Duration::from_hours(1);

/// "Not in it" is believed so long: somebody may just have added the bot.
const ABSENCE_BELIEVED: Duration = Duration::from_mins(1);

/// However much changes, WhatsApp is not asked more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);

/// What is known of one bot's groups.
#[derive(Default)]
pub(super) struct Groups {
    /// Held while WhatsApp is asked: whoever comes in the meantime gets the same answer.
    known: Mutex<Option<Known>>,
    changed: AtomicBool,
}

#[derive(Clone)]
struct Known {
    asked_at: Millis,
    by_id: Arc<HashMap<GroupId, Group>>,
}

impl Groups {
    pub(super) fn changed(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }
}

impl Bot {
    /// Every group that the bot is in. While the link is down what was last known.
    ///
    /// # Errors
    /// Any [`LinkError`] of the question, where nothing is known.
    pub async fn groups(&self, clock: &Clock) -> Result<Arc<HashMap<GroupId, Group>>, LinkError> {
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

    async fn known_groups(
        &self,
        clock: &Clock,
        believed: Duration,
    ) -> Result<Arc<HashMap<GroupId, Group>>, LinkError> {
        let mut known = self.groups.known.lock().await;
        if let Some(known) = known.as_ref() {
            let age = clock.now() - known.asked_at;
            let changed = self.groups.changed.load(Ordering::SeqCst);
            let believed = if changed { AT_MOST_EVERY } else { believed };
            if (0..millis(believed)).contains(&age) {
                return Ok(Arc::clone(&known.by_id));
            }
        }
        let asked_at = clock.now();
        // Before the question: a change while it is under way is a reason to ask again.
        self.groups.changed.store(false, Ordering::SeqCst);
        let answer = match self.link() {
            Some(link) => ask(&*link).await,
            None => Err(LinkError::Offline),
        };
        match answer {
            Ok(by_id) => {
                let by_id = Arc::new(by_id);
                *known = Some(Known {
                    asked_at,
                    by_id: Arc::clone(&by_id),
                });
                Ok(by_id)
            }
            Err(error) => {
                self.groups.changed.store(true, Ordering::SeqCst);
                match known.as_ref() {
                    Some(known) => Ok(Arc::clone(&known.by_id)),
                    None => Err(error),
                }
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
