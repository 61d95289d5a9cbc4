//! `notifyurl`: posts `{"msgid":"…","ack":n}` at each change of a message's ack.
//!
//! Endpoints (scheme, host and port) have a lane each, with a queue and a cap of their own: a dead one delays no other. A
//! message's stages go out one after the other, the next only after the commit that says the last one arrived, so the
//! endpoint never sees them going back, whatever crashes when. What finds no place in memory waits in the database.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use super::retry::{self, Fate};
use crate::clock::{Clock, Millis, millis};
use crate::net::Net;
use crate::store::{self, Due, Lost, Store, StoreError};

/// Requests under way to one endpoint at most. PHP hosts of the audience run some ten workers.
const UNDER_WAY: usize = 8;

/// Callbacks of one endpoint in memory; the rest waits in the database.
const PER_ENDPOINT: usize = 2_000;

/// Callbacks in memory over all endpoints: some 500 bytes each, 10 MB.
const IN_MEMORY: usize = 20_000;

/// Rows leased in one go: short transactions, the writer has others to serve.
const CLAIMED_TOGETHER: usize = 200;

/// How often the database is asked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ack 0 is posted only for messages that are still pending after this.
pub const PENDING_FOR: Duration = Duration::from_secs(10);

/// A commit that failed is tried again after this: the endpoint has answered, and must not be asked again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// The poster of callbacks.
pub(super) struct Callbacks {
    poster: Arc<Poster>,
    tasks: TaskTracker,
    stop: CancellationToken,
    feed: mpsc::UnboundedSender<Due>,
    lanes: HashMap<String, Lane>,
    in_memory: usize,
    /// Leased rows without a place in memory, on their way back.
    homeless: Vec<i64>,
    /// A look into the database is under way.
    looking: bool,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Due>,
    under_way: usize,
}

struct Poster {
    store: Store,
    net: Net,
    clock: Clock,
    stop: CancellationToken,
}

/// What a task of ours reports.
enum Report {
    Posted { lane: String },
    Looked,
}

impl Callbacks {
    pub(super) fn new(
        store: Store,
        net: Net,
        clock: Clock,
        tasks: TaskTracker,
        stop: CancellationToken,
        feed: mpsc::UnboundedSender<Due>,
    ) -> Self {
        let poster = Poster {
            store,
            net,
            clock,
            stop: stop.clone(),
        };
        Self {
            poster: Arc::new(poster),
            tasks,
            stop,
            feed,
            lanes: HashMap::new(),
            in_memory: 0,
            homeless: Vec::new(),
            looking: false,
        }
    }

    /// Runs until `stop`; requests under way end by themselves.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Due>) {
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut next_look = self.poster.clock.now();
        loop {
            let clock = self.poster.clock.clone();
            tokio::select! {
                () = self.stop.cancelled() => return,
                Some(told) = reports.recv() => match told {
                    Report::Posted { lane } => self.posted(&lane, &report),
                    Report::Looked => self.looking = false,
                },
                Some(due) = inbox.recv() => self.take(due, &report),
                () = clock.sleep_until(next_look) => {
                    next_look = clock.now() + millis(LOOK_EVERY);
                    self.look(&report);
                }
            }
        }
    }

    fn take(&mut self, due: Due, report: &mpsc::UnboundedSender<Report>) {
        let name = store::lane(&due.url);
        let lane = self.lanes.entry(name.clone()).or_default();
        if lane.queue.len() >= PER_ENDPOINT || self.in_memory >= IN_MEMORY {
            self.homeless.push(due.job);
            return;
        }
        lane.queue.push_back(due);
        self.in_memory += 1;
        self.pump(&name, report);
    }

    fn posted(&mut self, name: &str, report: &mpsc::UnboundedSender<Report>) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.under_way -= 1;
            self.in_memory -= 1;
        }
        self.pump(name, report);
        if self.lanes.get(name).is_some_and(Lane::is_idle) {
            self.lanes.remove(name);
        }
    }

    /// Starts what the lane's cap allows.
    fn pump(&mut self, name: &str, report: &mpsc::UnboundedSender<Report>) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        while lane.under_way < UNDER_WAY
            && let Some(due) = lane.queue.pop_front()
        {
            lane.under_way += 1;
            let (poster, guard) = (Arc::clone(&self.poster), Done::new(name, report));
            self.tasks.spawn(async move {
                poster.deliver(due).await;
                drop(guard);
            });
        }
    }

    /// Looks into the database: pending messages to tell of, due rows of lanes with room.
    fn look(&mut self, report: &mpsc::UnboundedSender<Report>) {
        if self.looking {
            return;
        }
        self.looking = true;
        metrics::gauge!("waviro_callbacks_in_memory")
            .set(u32::try_from(self.in_memory).unwrap_or(u32::MAX));
        let homeless = std::mem::take(&mut self.homeless);
        let room = IN_MEMORY.saturating_sub(self.in_memory);
        let lengths = self
            .lanes
            .iter()
            .map(|(name, lane)| (name.clone(), lane.queue.len()))
            .collect();
        let (poster, feed, report) = (Arc::clone(&self.poster), self.feed.clone(), report.clone());
        self.tasks.spawn(async move {
            if let Err(reason) = poster.find(homeless, room, lengths, &feed).await {
                error!(%reason, "due callbacks could not be read");
            }
            let _ = report.send(Report::Looked);
        });
    }
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0
    }
}

/// Reports the end of a delivery, also where it panicked: a lane must not lose a place of its cap.
struct Done {
    lane: String,
    report: mpsc::UnboundedSender<Report>,
}

impl Done {
    fn new(lane: &str, report: &mpsc::UnboundedSender<Report>) -> Self {
        Self {
            lane: lane.to_owned(),
            report: report.clone(),
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        let lane = std::mem::take(&mut self.lane);
        let _ = self.report.send(Report::Posted { lane });
    }
}

impl Poster {
    async fn find(
        &self,
        homeless: Vec<i64>,
        mut room: usize,
        lengths: HashMap<String, usize>,
        feed: &mpsc::UnboundedSender<Due>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        if !homeless.is_empty() {
            self.store.release(homeless, now).await?;
        }
        let together = i64::try_from(CLAIMED_TOGETHER).unwrap_or(i64::MAX);
        let pending = self
            .store
            .remind(now - millis(PENDING_FOR), together, now)
            .await?;
        for due in pending {
            let _ = feed.send(due);
        }
        for lane in self.store.due_lanes(now).await? {
            let length = lengths.get(&lane).copied().unwrap_or(0);
            let limit = PER_ENDPOINT
                .saturating_sub(length)
                .min(room)
                .min(CLAIMED_TOGETHER);
            if limit == 0 {
                continue;
            }
            let claimed = self
                .store
                .claim(&lane, i64::try_from(limit).unwrap_or(0), now)
                .await?;
            room -= claimed.len().min(room);
            for due in claimed {
                let _ = feed.send(due);
            }
        }
        Ok(())
    }

    /// Posts a message's stages in order until all is said or one fails; each outcome is durable before the next.
    async fn deliver(&self, mut due: Due) {
        while !self.stop.is_cancelled() {
            let Some(stage) = due.next() else {
                let said = due.ack;
                self.commit(|| self.store.posted(&due, said)).await;
                return;
            };
            let failed = u32::try_from(due.attempts).unwrap_or(u32::MAX);
            let answer = self.post(&due, stage).await;
            let fate = retry::judge(&answer, failed, retry::spread(&due.message, failed));
            let now = self.clock.now();
            match fate {
                Fate::Done => match self.commit(|| self.store.posted(&due, stage)).await {
                    Some(Some(ack)) => {
                        due.stage = stage + 1;
                        due.ack = ack;
                        due.attempts = 0;
                    }
                    Some(None) | None => return,
                },
                Fate::Again { after, error } => {
                    debug!(
                        slot = due.slot,
                        message = due.message.as_str(),
                        stage,
                        attempt = failed + 1,
                        error,
                        "callback put off"
                    );
                    let run_at: Millis = now + millis(after);
                    self.commit(|| self.store.put_off(&due, run_at, error.clone()))
                        .await;
                    return;
                }
                Fate::UsedUp { error } => {
                    warn!(
                        slot = due.slot,
                        message = due.message.as_str(),
                        stage,
                        attempt = failed + 1,
                        error,
                        "callback given up"
                    );
                    self.commit(|| {
                        self.store
                            .give_up(&due, stage, Lost::TableUsedUp, error.clone(), now)
                    })
                    .await;
                    return;
                }
                Fate::Gone => {
                    warn!(
                        slot = due.slot,
                        message = due.message.as_str(),
                        stage,
                        "endpoint gone (410): no further callbacks of this message"
                    );
                    let error = "status 410".to_owned();
                    self.commit(|| {
                        self.store
                            .give_up(&due, stage, Lost::Gone, error.clone(), now)
                    })
                    .await;
                    return;
                }
            }
        }
    }

    async fn post(&self, due: &Due, stage: i8) -> Result<crate::net::Answer, crate::net::NetError> {
        let body = format!(r#"{{"msgid":"{}","ack":{stage}}}"#, due.message.as_str());
        // Stable over attempts, so that an endpoint can drop what it has seen.
        let headers = [("webhook-id", format!("{}.{stage}", due.message.as_str()))];
        let answer = self
            .net
            .post_json(&due.url, Bytes::from(body), &headers)
            .await;
        let outcome = match &answer {
            Ok(answer) if (200..300).contains(&answer.status) => "ok",
            Ok(_) => "status",
            Err(_) => "error",
        };
        metrics::counter!("waviro_callbacks_total", "outcome" => outcome).increment(1);
        answer
    }

    /// Commits until it works; `None` at the stop. The row stays leased then, and the next start frees it.
    async fn commit<T, F>(&self, change: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match change().await {
                Ok(done) => return Some(done),
                Err(reason) => error!(%reason, "the outcome of a callback is not durable yet"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.clock.sleep(COMMIT_AGAIN) => {}
            }
        }
    }
}
