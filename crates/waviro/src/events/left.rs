//! Retries commits of WhatsApp's reports after a database error.
//!
//! WhatsApp redelivers an uncommitted report only on the next connection, perhaps hours later. The
//! report is therefore also held in memory, and committed as soon as the database works again. A
//! later report may be committed first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, info, warn};
use waviro_link::{Inbound, MessageId};

use super::keeper::Keeper;
use crate::bots::Bot;
use crate::jobs::Jobs;
use crate::store::{News, StoreError};

/// The pause between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// The most reports held for one bot, most of them messages of some hundred bytes. Further reports
/// wait for the next connection.
const HELD: usize = 1_000;

/// The most failed attempts while other commits succeed. After so many, the report itself must be
/// the cause.
const TRIES: u32 = 10;

/// A report of WhatsApp.
#[derive(PartialEq)]
pub(super) enum Told {
    Messages(Vec<Inbound>),
    News(Vec<(MessageId, News)>),
}

/// The held reports of one bot, oldest first.
type Held = Arc<Mutex<VecDeque<Arc<Told>>>>;

/// Holds reports for a retry.
pub(super) struct Left {
    held: Held,
    more: mpsc::Sender<()>,
}

impl Left {
    /// Starts the retry task. The task ends when this value is dropped or the gateway stops.
    pub(super) fn start(keeper: Keeper, jobs: &Jobs) -> Self {
        let (more, mut wake) = mpsc::channel(1);
        let held = Held::default();
        let (waiting, stop) = (Arc::clone(&held), jobs.stop());
        jobs.spawn(async move {
            let work = async {
                while wake.recv().await.is_some() {
                    while let Some(told) = first(&waiting) {
                        commit(&keeper, &told).await;
                        lock(&waiting).pop_front();
                    }
                }
            };
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
        Self { held, more }
    }

    /// Holds a report. WhatsApp redelivers the same report on each new connection, so an equal
    /// report is held once.
    pub(super) fn hold(&self, bot: &Bot, told: Told) {
        let mut held = lock(&self.held);
        if held.iter().any(|it| **it == told) {
            return;
        }
        if held.len() >= HELD {
            warn!(
                bot = bot.name(),
                "too much waits for the database; WhatsApp tells it again on the next connection"
            );
            return;
        }
        held.push_back(Arc::new(told));
        // A full channel means that the task is awake, or about to wake up.
        let _ = self.more.try_send(());
    }
}

fn lock(held: &Held) -> MutexGuard<'_, VecDeque<Arc<Told>>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first(held: &Held) -> Option<Arc<Told>> {
    lock(held).front().map(Arc::clone)
}

/// Retries until the report is committed, or cannot be committed.
async fn commit(keeper: &Keeper, told: &Told) {
    let (mut tries, mut others) = (0, keeper.store.commits());
    loop {
        let done = match told {
            Told::Messages(batch) => keeper.inbound(batch.clone()).await,
            Told::News(news) => keeper.raise(news.clone()).await,
        };
        let reason = match done {
            Ok(()) => {
                info!(
                    bot = keeper.bot.name(),
                    "what could not be committed when it came is now"
                );
                return;
            }
            Err(reason) => reason,
        };
        if keeper.store.commits() > others {
            (tries, others) = (tries + 1, keeper.store.commits());
        }
        if !may_pass(&reason) || tries >= TRIES {
            error!(bot = keeper.bot.name(), %reason, "what is left with WhatsApp cannot be kept");
            return;
        }
        keeper.clock.sleep(AGAIN).await;
    }
}

/// Returns whether a retry may succeed.
pub(super) fn may_pass(reason: &StoreError) -> bool {
    matches!(reason, StoreError::Failed(_) | StoreError::Busy)
}
