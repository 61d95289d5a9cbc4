//! Accepts messages: every message that a bot sends passes [`Outbox::accept`] or
//! [`Outbox::queue_reply`].
//!
//! A message is stored after three checks:
//!
//! - The bot's link can be expected to send the message soon.
//! - The number is on WhatsApp. Memory answers first, then the database, and only then a lookup at
//!   WhatsApp.
//! - The message is no repeat by the duplicate rule.
//!
//! The row of a message is also the message's job, so a message never exists without a job.

mod accept;
mod draft;
mod lookup;
mod media;
mod refusal;
mod reply;
mod settings;
mod shared;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use waviro_link::{Chat, Content, Group, Number, Outgoing};
use waviro_store::clock::{Millis, millis};

use crate::bots::Bot;

pub use accept::{Keep, Taken};
pub use draft::{Accepted, Draft, NewMessage};
pub use refusal::{NoRoom, Refusal};
pub use reply::{Composed, Composition};
pub use settings::{FILE_CAP, FILE_WITHIN, Settings};
pub use shared::Outbox;

/// The time between two sweeps of the spool.
const SWEPT_EVERY: Duration = Duration::from_hours(1);

impl Outbox {
    /// Returns whether a number is on WhatsApp: from memory or the database, else by a lookup at
    /// WhatsApp.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`] if no valid result is stored and the link stays down;
    /// [`Refusal::LookupFailed`].
    pub async fn is_registered(&self, bot: &Arc<Bot>, number: &Number) -> Result<bool, Refusal> {
        self.connected(bot)?;
        self.0.lookup.is_registered(bot, number).await
    }

    /// Returns every group of the bot with the time of its last activity: the last message sent or
    /// seen in the group, else the creation of the group. The most recently active group comes
    /// first.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`]; [`Refusal::LookupFailed`] if WhatsApp does not answer and no list
    /// is known; [`Refusal::Storage`].
    pub async fn groups(&self, bot: &Arc<Bot>) -> Result<Vec<(Group, Millis)>, Refusal> {
        self.connected(bot)?;
        let ask = || bot.groups(&self.0.clock);
        let groups = self.0.lookup.patiently(bot, ask).await?;
        let chats: Vec<Chat> = groups.keys().cloned().map(Chat::Group).collect();
        let spoken = self.0.store.last_activity(bot.id(), &chats).await?;
        let mut list: Vec<(Group, Millis)> = groups
            .values()
            .map(|group| {
                let made = group
                    .created
                    .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let spoken = spoken
                    .get(&Chat::Group(group.id.clone()).address())
                    .copied();
                (group.clone(), spoken.or(made.map(millis)).unwrap_or(0))
            })
            .collect();
        list.sort_by(|(one, spoken), (other, later)| {
            later.cmp(spoken).then_with(|| one.id.cmp(&other.id))
        });
        Ok(list)
    }

    /// Forgets the stored result for a number that WhatsApp refused, so that the next message to
    /// the number looks it up again.
    pub async fn number_gone(&self, number: &Number) {
        self.0.lookup.forget(number).await;
    }

    /// Returns the message with the full path of its file. Rows store the file name without the
    /// folder.
    #[must_use]
    pub fn located(&self, mut message: Outgoing) -> Outgoing {
        if let Content::Media(media) = &mut message.content {
            media.file = self.0.spool.path(&media.file);
        }
        message
    }

    /// Removes the file of a message, if there is a file. Called when the message is final.
    pub async fn remove_file(&self, content: &Content) {
        if let Content::Media(media) = content {
            let spool = &self.0.spool;
            spool.remove(&spool.path(&media.file)).await;
        }
    }

    /// Removes files without a pending message, at the start and then once an hour until `stop`. A
    /// killed process or the end of a whole queue leaves such files behind.
    pub async fn keep_swept(self, stop: CancellationToken) {
        loop {
            match self.0.spool.sweep(&self.0.store).await {
                Ok(0) => {}
                Ok(files) => info!(files, "files without a message removed"),
                Err(reason) => error!(%reason, "spool could not be swept"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.clock.sleep(SWEPT_EVERY) => {}
            }
        }
    }
}
