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
use waviro_store::{AckUpdate, StoreError};

use super::recorder::Recorder;
use crate::bots::Bot;
use crate::jobs::Jobs;

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
pub(super) enum Report {
    Messages(Vec<Inbound>),
    Acks(Vec<(MessageId, AckUpdate)>),
}

/// The held reports of one bot, oldest first.
type Held = Arc<Mutex<VecDeque<Arc<Report>>>>;

/// Holds reports for a retry.
pub(super) struct CommitRetry {
    held: Held,
    more: mpsc::Sender<()>,
}

impl CommitRetry {
    /// Starts the retry task. The task ends when this value is dropped or the gateway stops.
    pub(super) fn start(recorder: Recorder, jobs: &Jobs) -> Self {
        let (more, mut wake) = mpsc::channel(1);
        let held = Held::default();
        let (waiting, stop) = (Arc::clone(&held), jobs.stop());
        jobs.spawn(async move {
            let work = async {
                while wake.recv().await.is_some() {
                    while let Some(report) = first(&waiting) {
                        commit(&recorder, &report).await;
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
    pub(super) fn hold(&self, bot: &Bot, report: Report) {
        let mut held = lock(&self.held);
        if held.iter().any(|it| **it == report) {
            return;
        }
        if held.len() >= HELD {
            warn!(
                bot = bot.name(),
                "too many reports wait for the database; WhatsApp redelivers on the next connection"
            );
            return;
        }
        held.push_back(Arc::new(report));
        // A full channel means that the task is awake, or about to wake up.
        let _ = self.more.try_send(());
    }
}

fn lock(held: &Held) -> MutexGuard<'_, VecDeque<Arc<Report>>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first(held: &Held) -> Option<Arc<Report>> {
    lock(held).front().map(Arc::clone)
}

/// Retries until the report is committed, or cannot be committed.
async fn commit(recorder: &Recorder, report: &Report) {
    let (mut tries, mut others) = (0, recorder.store.commits());
    loop {
        let done = match report {
            Report::Messages(batch) => recorder.inbound(batch.clone()).await,
            Report::Acks(acks) => recorder.apply_acks(acks.clone()).await,
        };
        let reason = match done {
            Ok(()) => {
                info!(bot = recorder.bot.name(), "report committed after a retry");
                return;
            }
            Err(reason) => reason,
        };
        if recorder.store.commits() > others {
            (tries, others) = (tries + 1, recorder.store.commits());
        }
        if !may_pass(&reason) || tries >= TRIES {
            error!(bot = recorder.bot.name(), %reason, "report cannot be committed; giving up");
            return;
        }
        recorder.clock.sleep(AGAIN).await;
    }
}

/// Returns whether a retry may succeed.
pub(super) fn may_pass(reason: &StoreError) -> bool {
    matches!(reason, StoreError::Failed(_) | StoreError::Busy)
}
