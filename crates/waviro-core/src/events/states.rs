//! Publishes `bot.state` events. A task of its own keeps the states of a link in order, because the
//! link must not wait for the database.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;
use waviro_link::Status;
use waviro_store::clock::{Clock, Millis};
use waviro_store::{CommitFeeds, EventKind, Store, StoreError};

use super::payload;
use crate::bots::Bot;
use crate::jobs::Jobs;

/// The channel from the listener to the task.
pub(super) type StateSender = mpsc::UnboundedSender<(Status, Millis)>;

/// Starts the task for a bot's states. The task ends when the listener is dropped or the gateway
/// stops.
pub(super) fn start(bot: &Arc<Bot>, store: Store, jobs: &Jobs) -> StateSender {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Status, Millis)>();
    let (feeds, stop) = (jobs.feeds(bot), jobs.stop());
    let bot_id = bot.id();
    jobs.spawn(async move {
        let mut last = None;
        loop {
            let (status, at) = tokio::select! {
                next = receiver.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
                () = stop.cancelled() => return,
            };
            // A new QR code is not a new state.
            let known = (status.word(), status.cause().map(Cow::into_owned));
            if last.replace(known.clone()) == Some(known) {
                continue;
            }
            if let Err(reason) = publish(bot_id, &status, at, &store, &feeds).await {
                error!(bot_id, %reason, "event of a new link state could not be stored");
            }
        }
    });
    sender
}

async fn publish(
    bot_id: i32,
    status: &Status,
    at: Millis,
    store: &Store,
    feeds: &CommitFeeds,
) -> Result<(), StoreError> {
    let audience = store.audience(bot_id, at).await?;
    if audience.wants(EventKind::BotState) {
        let event = payload::of_state(&audience, status, at);
        feeds.enqueue(store.publish_events(vec![event], at).await?);
    }
    Ok(())
}

/// Sends a state to the task, with the current time.
pub(super) fn note(sender: &StateSender, status: &Status, clock: &Clock) {
    // Fails only if the task has ended because the gateway stops.
    let _ = sender.send((status.clone(), clock.now()));
}
