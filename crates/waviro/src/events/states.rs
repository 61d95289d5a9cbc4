//! `bot.state`: the states of one link, told in their order by a task of its own, because a link must not wait for the database.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;
use waviro_link::Status;

use super::news;
use crate::bots::Bot;
use crate::clock::{Clock, Millis};
use crate::jobs::Jobs;
use crate::store::{EventKind, Feeds, Store, StoreError};

/// Where the ear puts states.
pub(super) type Told = mpsc::UnboundedSender<(Status, Millis)>;

/// Starts telling a bot's states, until the ear is gone or the gateway stops.
pub(super) fn start(bot: &Arc<Bot>, store: Store, jobs: &Jobs) -> Told {
    let (told, mut heard) = mpsc::unbounded_channel::<(Status, Millis)>();
    let (feeds, stop) = (jobs.feeds(bot), jobs.stop());
    let slot = bot.slot();
    jobs.spawn(async move {
        let mut last = None;
        loop {
            let (status, at) = tokio::select! {
                next = heard.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
                () = stop.cancelled() => return,
            };
            // A fresh code is no other state.
            let known = (status.word(), status.cause().map(Cow::into_owned));
            if last.replace(known.clone()) == Some(known) {
                continue;
            }
            if let Err(reason) = tell(slot, &status, at, &store, &feeds).await {
                error!(slot, %reason, "a state was not told");
            }
        }
    });
    told
}

async fn tell(
    slot: i32,
    status: &Status,
    at: Millis,
    store: &Store,
    feeds: &Feeds,
) -> Result<(), StoreError> {
    let audience = store.audience(slot, at).await?;
    if audience.wants(EventKind::BotState) {
        let event = news::of_state(&audience, status, at);
        feeds.owe(store.tell(vec![event], at).await?);
    }
    Ok(())
}

/// When a state was heard, by this clock.
pub(super) fn note(told: &Told, status: &Status, clock: &Clock) {
    // The task is gone where the gateway stops.
    let _ = told.send((status.clone(), clock.now()));
}
