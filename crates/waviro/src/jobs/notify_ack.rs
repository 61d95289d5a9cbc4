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
use crate::net::{Answer, Call, Net, NetError};
use crate::store::{self, Due, Lost, Store, StoreError};

/// Requests under way to one endpoint at most. PHP hosts of the audience run some ten workers.
const UNDER_WAY: usize = 8;

/// Answers of one endpoint whose commit is under way at most. Commits do not count as requests: they share a sync of the
/// disk with everything else, and a busy endpoint would wait for ours as much as we for it.
const COMMITTING: usize = 64;

/// Callbacks of one endpoint in memory; the rest waits in the database.
const PER_ENDPOINT: usize = 2_000;

/// Callbacks in memory over all endpoints: some 500 bytes each, 10 MB.
const IN_MEMORY: usize = 20_000;

/// Rows leased in one go: short transactions, the writer has others to serve.
const CLAIMED_TOGETHER: usize = 200;

/// How often the database is asked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks between two measurements of the queues: 10 s. Counting costs a walk over what is counted.
const MEASURED_EVERY: u64 = 20;

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
    looks: u64,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Due>,
    under_way: usize,
    committing: usize,
}

struct Poster {
    store: Store,
    net: Net,
    clock: Clock,
    stop: CancellationToken,
}

/// What a task of ours reports.
enum Report {
    /// The endpoint answered, or did not in time.
    Answered {
        lane: String,
    },
    /// What it answered is durable; `next` is the message's next stage.
    Over {
        lane: String,
        next: Option<Due>,
    },
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
            looks: 0,
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
                    Report::Answered { lane } => self.answered(&lane, &report),
                    Report::Over { lane, next } => self.over(&lane, next, &report),
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

    fn answered(&mut self, name: &str, report: &mpsc::UnboundedSender<Report>) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.under_way -= 1;
            lane.committing += 1;
        }
        self.pump(name, report);
    }

    fn over(&mut self, name: &str, next: Option<Due>, report: &mpsc::UnboundedSender<Report>) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.committing -= 1;
            match next {
                Some(due) => lane.queue.push_front(due),
                None => self.in_memory -= 1,
            }
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
            && lane.committing < COMMITTING
            && let Some(due) = lane.queue.pop_front()
        {
            lane.under_way += 1;
            let (poster, mut place) = (Arc::clone(&self.poster), Place::new(name, report));
            self.tasks.spawn(async move {
                let stage = due.next();
                let answer = match stage {
                    Some(stage) => Some((stage, poster.post(&due, stage).await)),
                    None => None,
                };
                place.answered();
                let next = poster.settle(due, answer).await;
                place.over(next);
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
        self.looks += 1;
        let measures = self.looks.is_multiple_of(MEASURED_EVERY);
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
            if measures && let Err(reason) = poster.measure().await {
                error!(%reason, "the queues could not be measured");
            }
            let _ = report.send(Report::Looked);
        });
    }
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0 && self.committing == 0
    }
}

/// A delivery's place in its lane: given back also where the delivery panicked.
struct Place {
    lane: String,
    report: mpsc::UnboundedSender<Report>,
    answered: bool,
    next: Option<Due>,
}

impl Place {
    fn new(lane: &str, report: &mpsc::UnboundedSender<Report>) -> Self {
        Self {
            lane: lane.to_owned(),
            report: report.clone(),
            answered: false,
            next: None,
        }
    }

    fn answered(&mut self) {
        self.answered = true;
        let lane = self.lane.clone();
        // Nobody listens where the gateway stops.
        let _ = self.report.send(Report::Answered { lane });
    }

    fn over(mut self, next: Option<Due>) {
        self.next = next;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.answered {
            self.answered();
        }
        let (lane, next) = (std::mem::take(&mut self.lane), self.next.take());
        let _ = self.report.send(Report::Over { lane, next });
    }
}

impl Poster {
    /// How deep the queues are, for the metrics.
    async fn measure(&self) -> Result<(), StoreError> {
        let deep = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("waviro_messages_pending").set(deep(self.store.pending_count().await?));
        metrics::gauge!("waviro_callbacks_owed").set(deep(self.store.owed_count().await?));
        Ok(())
    }

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

    /// Makes the outcome of an attempt durable; returns the message's next stage, where that is to be posted now.
    /// Without an `answer` nothing was left to say.
    async fn settle(
        &self,
        mut due: Due,
        answer: Option<(i8, Result<Answer, NetError>)>,
    ) -> Option<Due> {
        let Some((stage, answer)) = answer else {
            self.commit(|| self.store.posted(&due, due.ack)).await;
            return None;
        };
        let failed = u32::try_from(due.attempts).unwrap_or(u32::MAX);
        let (slot, msgid, attempt) = (due.slot, due.message.as_str(), failed.saturating_add(1));
        let now = self.clock.now();
        match retry::judge(&answer, failed, retry::spread(&due.message, failed)) {
            Fate::Done => {
                let ack = self.commit(|| self.store.posted(&due, stage)).await??;
                due.stage = stage + 1;
                due.ack = ack;
                due.attempts = 0;
                return Some(due);
            }
            Fate::Again { after, error } => {
                debug!(slot, msgid, stage, attempt, error, "callback put off");
                let run_at: Millis = now + millis(after);
                self.commit(|| self.store.put_off(&due, run_at, error.clone()))
                    .await;
            }
            Fate::UsedUp { error } => {
                warn!(slot, msgid, stage, attempt, error, "callback given up");
                let lost = Lost::TableUsedUp;
                self.commit(|| self.store.give_up(&due, stage, lost, error.clone(), now))
                    .await;
            }
            Fate::Gone => {
                warn!(
                    slot,
                    msgid, stage, "endpoint gone: no more callbacks of this message"
                );
                let error = "status 410".to_owned();
                self.commit(|| {
                    self.store
                        .give_up(&due, stage, Lost::Gone, error.clone(), now)
                })
                .await;
            }
        }
        None
    }

    async fn post(&self, due: &Due, stage: i8) -> Result<Answer, NetError> {
        let body = format!(r#"{{"msgid":"{}","ack":{stage}}}"#, due.message.as_str());
        // Stable over attempts, so that an endpoint can drop what it has seen.
        let headers = [("webhook-id", format!("{}.{stage}", due.message.as_str()))];
        let call = Call {
            url: &due.url,
            body: Bytes::from(body),
            headers: &headers,
            within: None,
            allow: &[],
        };
        let answer = self.net.post(call).await.outcome;
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
