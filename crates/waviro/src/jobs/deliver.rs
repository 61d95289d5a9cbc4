//! What is owed to users' endpoints: callbacks, keyword webhooks and events, by one engine.
//!
//! Endpoints (scheme, host and port) have a lane each, with a queue and a cap of their own: a dead one delays no other. What
//! finds no place in memory waits in the database, and bodies always do. How one delivery goes is in [`poster`], how an
//! endpoint fares in [`health`].

mod callback;
mod health;
mod place;
mod poster;
mod webhook;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;
use waviro_fault::Bug;
use waviro_link::Chat;

use crate::clock::millis;
use crate::store::{self, Due, Trouble};

use health::{Change, Health};
use place::Place;
pub(super) use poster::Poster;

/// Requests under way to one endpoint at most. PHP hosts of the audience run some ten workers.
const UNDER_WAY: usize = 8;

/// The same to one that fails: enough to find out when it is back.
const UNDER_WAY_FAILING: usize = 2;

/// Requests under way to all endpoints at most: far below the 1,024 files that a process may open on many systems.
const UNDER_WAY_IN_ALL: usize = 400;

/// Those that fail have at most so many of them, so that however many are dead, the others find room.
const FAILING_IN_ALL: usize = 200;

/// Answers of one endpoint whose commit is under way at most. Commits do not count as requests: they share a sync of the
/// disk with everything else, and a busy endpoint would wait for ours as much as we for it.
const COMMITTING: usize = 64;

/// Deliveries of one endpoint in memory; the rest waits in the database.
const PER_ENDPOINT: usize = 1_000;

/// Deliveries in memory over all endpoints: some 400 bytes each, 8 MB.
const IN_MEMORY: usize = 20_000;

/// Rows leased in one go: short transactions, the writer has others to serve.
const CLAIMED_TOGETHER: usize = 200;

/// The same of one that fails: few are under way, and the others need the room.
const FAILING_IN_MEMORY: usize = 20;

/// A delivery that panicked rests so long: what broke it may break it again.
const AFTER_A_PANIC: Duration = Duration::from_mins(1);

/// How often the database is asked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How far into a lane's queue one looks for a chat that has nothing under way: what is behind it waits for the next turn.
const LOOKED_THROUGH: usize = 64;

/// Looks between two measurements of the queues: 10 s. Counting costs a walk over what is counted.
const MEASURED_EVERY: u64 = 20;

/// Ack 0 is posted only for messages that are still pending after this.
pub const PENDING_FOR: Duration = Duration::from_secs(10);

/// The lanes of all endpoints.
pub(super) struct Endpoints {
    poster: Arc<Poster>,
    tasks: TaskTracker,
    stop: CancellationToken,
    feed: mpsc::UnboundedSender<Due>,
    lanes: HashMap<String, Lane>,
    in_memory: usize,
    under_way: usize,
    /// Of these, those that began while their endpoint was failing.
    failing_under_way: usize,
    /// Lanes that wait for room among all.
    crowded_out: VecDeque<String>,
    /// Leased rows without a place in memory, on their way back.
    homeless: Vec<i64>,
    /// Leased rows whose task panicked.
    fallen: Vec<i64>,
    /// A look into the database is under way.
    looking: bool,
    /// Another was wanted meanwhile.
    look_again: bool,
    looks: u64,
    health: Health,
    /// How endpoints fare, to be written down in this order: the last word on one must be the last that is written.
    changes: VecDeque<Change>,
    /// The first of them is being written.
    writing_down: bool,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Due>,
    under_way: usize,
    committing: usize,
    /// Chats with a webhook under way: the next waits, so that answers come in the order of the questions.
    busy: HashSet<(i32, Chat)>,
}

/// What a task of ours reports.
enum Report {
    /// The endpoint answered, or did not in time; `fared` tells which, `None` where it was not asked.
    Answered {
        lane: String,
        failing: bool,
        fared: Option<Result<(), String>>,
    },
    /// What it answered is durable.
    Over {
        lane: String,
        alone: Option<(i32, Chat)>,
        after: After,
    },
    /// `more` where a lane had more due than was taken at once; `on` are endpoints that somebody has switched on.
    Looked { more: bool, on: HashSet<String> },
    /// How this endpoint fares is in the database, where something may have become due by it; `None` where it could not be written.
    WrittenDown(Option<String>),
}

/// What comes after a delivery.
enum After {
    /// Nothing, or what is in the database.
    Nothing,
    /// This, at once: the message's next stage, or the next of its line.
    Next(Due),
    /// Its task panicked.
    Fallen(i64),
}

impl Endpoints {
    pub(super) fn new(
        poster: Poster,
        tasks: TaskTracker,
        feed: mpsc::UnboundedSender<Due>,
        troubles: Vec<Trouble>,
    ) -> Self {
        Self {
            stop: poster.stop.clone(),
            tasks,
            feed,
            lanes: HashMap::new(),
            in_memory: 0,
            under_way: 0,
            failing_under_way: 0,
            crowded_out: VecDeque::new(),
            homeless: Vec::new(),
            fallen: Vec::new(),
            looking: false,
            look_again: false,
            looks: 0,
            health: Health::new(troubles, &poster.clock),
            poster: Arc::new(poster),
            changes: VecDeque::new(),
            writing_down: false,
        }
    }

    /// Runs until `stop`; requests under way end by themselves.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Due>) {
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut next_look = self.poster.clock.steady();
        loop {
            let clock = self.poster.clock.clone();
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(told) = reports.recv() => match told {
                    Report::Answered { lane, failing, fared } => self.answered(&lane, failing, fared, &report),
                    Report::Over { lane, alone, after } => self.over(&lane, alone, after, &report),
                    Report::Looked { more, on } => {
                        self.looking = false;
                        self.health.switched_on(&on);
                        if more || std::mem::take(&mut self.look_again) {
                            self.look(&report);
                        }
                    }
                    Report::WrittenDown(lane) => {
                        self.writing_down = false;
                        if let Some(lane) = lane {
                            self.health.written(&lane);
                            self.look(&report);
                        }
                        self.write_down(&report);
                    }
                },
                Some(due) = inbox.recv() => self.take(due, &report),
                () = clock.sleep_until(next_look) => {
                    next_look = clock.steady() + millis(LOOK_EVERY);
                    self.look(&report);
                }
            }
        }
        self.write_rest_down(reports).await;
    }

    /// What is still to be written down of endpoints, in its order.
    async fn write_rest_down(mut self, mut reports: mpsc::UnboundedReceiver<Report>) {
        while self.writing_down
            && let Some(told) = reports.recv().await
        {
            self.writing_down = !matches!(told, Report::WrittenDown(_));
        }
        for change in self.changes {
            self.poster.endpoint_changed(change).await;
        }
    }

    fn take(&mut self, due: Due, report: &mpsc::UnboundedSender<Report>) {
        let name = store::lane(&due.url);
        let lane = self.lanes.entry(name.clone()).or_default();
        if lane.queue.len() >= PER_ENDPOINT
            || self.in_memory >= IN_MEMORY
            || (self.health.is_failing(&name) && lane.queue.len() >= FAILING_IN_MEMORY)
            || self.health.is_off(&name)
        {
            self.homeless.push(due.id);
            return;
        }
        lane.queue.push_back(due);
        self.in_memory += 1;
        self.pump(&name, report);
    }

    fn answered(
        &mut self,
        name: &str,
        failing: bool,
        fared: Option<Result<(), String>>,
        report: &mpsc::UnboundedSender<Report>,
    ) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.under_way -= 1;
            lane.committing += 1;
        }
        self.under_way -= 1;
        self.failing_under_way -= usize::from(failing);
        if let Some(fared) = fared
            && let Some(change) = self.health.fared(name, fared, &self.poster.clock)
        {
            self.changes.push_back(change);
            self.write_down(report);
        }
        // One place is free now, first for those that found none; who finds none again comes back to the end of the line.
        for _ in 0..self.crowded_out.len() {
            if self.under_way >= UNDER_WAY_IN_ALL {
                break;
            }
            if let Some(next) = self.crowded_out.pop_front() {
                self.pump(&next, report);
            }
        }
        self.pump(name, report);
    }

    /// Writes the next change down, one at a time.
    fn write_down(&mut self, report: &mpsc::UnboundedSender<Report>) {
        if self.writing_down {
            return;
        }
        let Some(change) = self.changes.pop_front() else {
            return;
        };
        self.writing_down = true;
        let (poster, report) = (Arc::clone(&self.poster), report.clone());
        let lane = change.lane().to_owned();
        self.tasks.spawn(async move {
            // Of what is not written a look may not conclude that somebody changed it.
            let written = poster.endpoint_changed(change).await;
            let _ = report.send(Report::WrittenDown(written.then_some(lane)));
        });
    }

    fn over(
        &mut self,
        name: &str,
        alone: Option<(i32, Chat)>,
        after: After,
        report: &mpsc::UnboundedSender<Report>,
    ) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.committing -= 1;
            if let Some(alone) = alone {
                lane.busy.remove(&alone);
            }
            self.in_memory -= 1;
            match after {
                // Its URL may have been changed since.
                After::Next(due) if store::lane(&due.url) != name => self.take(due, report),
                After::Next(due) => {
                    lane.queue.push_front(due);
                    self.in_memory += 1;
                }
                After::Fallen(id) => self.fallen.push(id),
                After::Nothing => {}
            }
        }
        self.pump(name, report);
        if self.lanes.get(name).is_some_and(Lane::is_idle) {
            self.lanes.remove(name);
            if !self.homeless.is_empty() {
                // There is room again for what found none.
                self.look(report);
            }
        }
    }

    /// Starts what the lane's cap allows.
    fn pump(&mut self, name: &str, report: &mpsc::UnboundedSender<Report>) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        if self.health.is_off(name) {
            // It waits in the database, where it is found when somebody switches the endpoint on.
            self.in_memory -= lane.queue.len();
            self.homeless.extend(lane.queue.drain(..).map(|due| due.id));
        }
        let failing = self.health.is_failing(name);
        let most = if waviro_fault::planted(Bug::NoCap) {
            usize::MAX
        } else if failing {
            UNDER_WAY_FAILING
        } else {
            UNDER_WAY
        };
        while lane.under_way < most && lane.committing < COMMITTING {
            if self.under_way >= UNDER_WAY_IN_ALL
                || (failing && self.failing_under_way >= FAILING_IN_ALL)
            {
                if !lane.queue.is_empty() && !self.crowded_out.iter().any(|out| out == name) {
                    self.crowded_out.push_back(name.to_owned());
                }
                return;
            }
            let Some(due) = lane.pop() else {
                return;
            };
            self.under_way += 1;
            self.failing_under_way += usize::from(failing);
            lane.under_way += 1;
            let alone = due.alone_in().map(|(slot, chat)| (slot, chat.clone()));
            if let Some(alone) = &alone {
                lane.busy.insert(alone.clone());
            }
            let poster = Arc::clone(&self.poster);
            let mut place = Place::new(name, failing, due.id, alone, report);
            self.tasks.spawn(async move {
                let next = poster.deliver(due, &mut place).await;
                place.over(next);
            });
        }
    }

    /// Looks into the database: pending messages to tell of, due rows of lanes with room.
    fn look(&mut self, report: &mpsc::UnboundedSender<Report>) {
        if self.looking {
            self.look_again = true;
            return;
        }
        self.looking = true;
        metrics::gauge!("waviro_deliveries_in_memory")
            .set(u32::try_from(self.in_memory).unwrap_or(u32::MAX));
        self.looks += 1;
        let measures = self.looks.is_multiple_of(MEASURED_EVERY);
        let homeless = std::mem::take(&mut self.homeless);
        let fallen = std::mem::take(&mut self.fallen);
        let room = IN_MEMORY.saturating_sub(self.in_memory);
        let lengths = self
            .lanes
            .iter()
            .map(|(name, lane)| (name.clone(), lane.queue.len()))
            .collect();
        let (failing, known_off) = (self.health.failing(), self.health.off());
        let (poster, feed, report) = (Arc::clone(&self.poster), self.feed.clone(), report.clone());
        self.tasks.spawn(async move {
            let found = poster
                .find(homeless, fallen, room, (lengths, failing), &feed)
                .await;
            let (more, on) = match found {
                Ok((more, off)) => (more, known_off.difference(&off).cloned().collect()),
                Err(reason) => {
                    error!(%reason, "due deliveries could not be read");
                    (false, HashSet::new())
                }
            };
            if measures && let Err(reason) = poster.measure().await {
                error!(%reason, "the queues could not be measured");
            }
            let _ = report.send(Report::Looked { more, on });
        });
    }
}

impl Lane {
    /// The next that may go: of a chat with a webhook under way none.
    fn pop(&mut self) -> Option<Due> {
        let free = |due: &Due| {
            due.alone_in()
                .is_none_or(|(slot, chat)| !self.busy.contains(&(slot, chat.clone())))
        };
        let at = self.queue.iter().take(LOOKED_THROUGH).position(free)?;
        self.queue.remove(at)
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0 && self.committing == 0
    }
}
