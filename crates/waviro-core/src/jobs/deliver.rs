//! The delivery engine: posts callbacks, keyword webhooks and events to users' endpoints.
//!
//! Each endpoint (scheme, host and port) has its own concurrency cap, so a dead endpoint does not
//! delay others. Each bot has its own queue at an endpoint ([`endpoint`]), so a slow URL of a bot
//! does not delay other bots on the same host. Deliveries without room in memory wait
//! in the database, and bodies always stay there. [`poster`] handles a single delivery, [`health`]
//! tracks the failures of endpoints.

mod callback;
mod capacity;
mod endpoint;
mod health;
mod permit;
mod poster;
mod webhook;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;
use waviro_link::Chat;
use waviro_store::clock::millis;
use waviro_store::{Due, EndpointFailure};

use capacity::{Capacity, Claimable};
use endpoint::{Endpoint, Next, Started};
use health::{Change, Health};
use permit::Permit;
pub(super) use poster::Poster;

/// The rows leased per transaction. The transaction stays short because the writer serves other
/// work too.
const CLAIMED_TOGETHER: usize = 200;

/// The wait before the retry of a delivery whose task panicked: the cause may still be present.
const AFTER_A_PANIC: Duration = Duration::from_mins(1);

/// How often the engine polls the database for due deliveries.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// The gateway posts ack 0 only for a message still pending after this time.
pub const PENDING_FOR: Duration = Duration::from_secs(10);

/// The queues of all endpoints.
pub(super) struct DeliveryEngine {
    poster: Arc<Poster>,
    tasks: TaskTracker,
    stop: CancellationToken,
    feed: mpsc::UnboundedSender<Due>,
    endpoints: HashMap<String, Endpoint>,
    capacity: Capacity,
    /// Endpoints waiting for free capacity among the requests to all endpoints.
    crowded_out: VecDeque<String>,
    /// Leased rows without room in memory. The next poll releases the leases.
    unscheduled: Vec<i64>,
    /// Leased rows whose task panicked.
    panicked: Vec<i64>,
    /// A poll of the database is running.
    polling: bool,
    /// Another poll was requested while the poll was running.
    poll_again: bool,
    health: Health,
    /// Changes in the health of endpoints, written to the database in this order: the newest change
    /// of an endpoint must be written last.
    changes: VecDeque<Change>,
    /// The write of the oldest change is running.
    writing_down: bool,
}

/// A report from a spawned task to the engine.
enum Report {
    /// The endpoint answered or the request failed. `result` is the result for the endpoint's
    /// health, or `None` if the attempt says nothing about the endpoint.
    Answered {
        endpoint: String,
        bot: i32,
        failing: bool,
        result: Option<Result<(), String>>,
    },
    /// The outcome of the delivery is durable.
    Over {
        endpoint: String,
        bot: i32,
        alone: Option<Chat>,
        after: After,
    },
    /// A poll ended. `more` is set if a queue had more due rows than a poll takes; `on` lists
    /// endpoints switched on again by a user.
    Polled { more: bool, on: HashSet<String> },
    /// A change in the health of this endpoint is in the database, and rows may be due because of
    /// the change. `None` if the write failed.
    WrittenDown(Option<String>),
}

/// The next step after a delivery.
enum After {
    /// No step, or a step in the database for the next poll.
    Nothing,
    /// The next delivery starts at once: the message's next stage, or the next event of the same
    /// line.
    Next(Due),
    /// The task of the delivery with this id panicked.
    Panicked(i64),
}

impl DeliveryEngine {
    pub(super) fn new(
        poster: Poster,
        tasks: TaskTracker,
        feed: mpsc::UnboundedSender<Due>,
        endpoint_failures: Vec<EndpointFailure>,
    ) -> Self {
        Self {
            stop: poster.stop.clone(),
            tasks,
            feed,
            endpoints: HashMap::new(),
            capacity: Capacity::default(),
            crowded_out: VecDeque::new(),
            unscheduled: Vec::new(),
            panicked: Vec::new(),
            polling: false,
            poll_again: false,
            health: Health::new(endpoint_failures, &poster.clock),
            poster: Arc::new(poster),
            changes: VecDeque::new(),
            writing_down: false,
        }
    }

    /// Runs until `stop`. Requests in progress end by themselves.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Due>) {
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut next_poll = self.poster.clock.steady();
        loop {
            let clock = self.poster.clock.clone();
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(event) = reports.recv() => match event {
                    Report::Answered { endpoint, bot, failing, result } => {
                        self.answered((&endpoint, bot), failing, result, &report);
                    }
                    Report::Over { endpoint, bot, alone, after } => {
                        self.over((&endpoint, bot), alone.as_ref(), after, &report);
                    }
                    Report::Polled { more, on } => {
                        self.polling = false;
                        self.health.switched_on(&on);
                        if more || std::mem::take(&mut self.poll_again) {
                            self.poll(&report);
                        }
                    }
                    Report::WrittenDown(endpoint) => {
                        self.writing_down = false;
                        if let Some(endpoint) = endpoint {
                            self.health.written(&endpoint);
                            self.poll(&report);
                        }
                        self.write_down(&report);
                    }
                },
                Some(due) = inbox.recv() => self.take(due, &report),
                () = clock.sleep_until(next_poll) => {
                    next_poll = clock.steady() + millis(POLL_EVERY);
                    self.poll(&report);
                }
            }
        }
        self.write_rest_down(reports).await;
    }

    /// Writes the remaining health changes in order.
    async fn write_rest_down(mut self, mut reports: mpsc::UnboundedReceiver<Report>) {
        while self.writing_down
            && let Some(event) = reports.recv().await
        {
            self.writing_down = !matches!(event, Report::WrittenDown(_));
        }
        for change in self.changes {
            self.poster.endpoint_changed(change).await;
        }
    }

    fn take(&mut self, due: Due, report: &mpsc::UnboundedSender<Report>) {
        let (name, bot) = (waviro_store::endpoint_of(&due.url), due.bot_id);
        let endpoint = self.endpoints.entry(name.clone()).or_default();
        let most = capacity::queue_limit(self.health.fails(&name, bot));
        if endpoint.waiting(bot) >= most
            || !self.capacity.for_another(bot)
            || self.health.is_off(&name)
        {
            self.unscheduled.push(due.id);
            return;
        }
        endpoint.push_back(due);
        self.capacity.taken(bot);
        self.pump(&name, report);
    }

    fn answered(
        &mut self,
        (name, bot): (&str, i32),
        failing: bool,
        result: Option<Result<(), String>>,
        report: &mpsc::UnboundedSender<Report>,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            endpoint.answered(bot, failing);
        }
        self.capacity.answered(bot, failing);
        if let Some(result) = result
            && let Some(change) = self.health.record((name, bot), result, &self.poster.clock)
        {
            self.changes.push_back(change);
            self.write_down(report);
        }
        // A request slot is free. The endpoints waiting for a slot are served first; an endpoint without
        // success goes back to the end of the line.
        for _ in 0..self.crowded_out.len() {
            if self.capacity.is_full() {
                break;
            }
            if let Some(next) = self.crowded_out.pop_front() {
                self.pump(&next, report);
            }
        }
        self.pump(name, report);
    }

    /// Writes the next health change to the database, one at a time.
    fn write_down(&mut self, report: &mpsc::UnboundedSender<Report>) {
        if self.writing_down {
            return;
        }
        let Some(change) = self.changes.pop_front() else {
            return;
        };
        self.writing_down = true;
        let (poster, report) = (Arc::clone(&self.poster), report.clone());
        let endpoint = change.endpoint().to_owned();
        self.tasks.spawn(async move {
            // Until the write succeeds, a poll must not conclude that a user switched the endpoint
            // on.
            let written = poster.endpoint_changed(change).await;
            let _ = report.send(Report::WrittenDown(written.then_some(endpoint)));
        });
    }

    fn over(
        &mut self,
        (name, bot): (&str, i32),
        alone: Option<&Chat>,
        after: After,
        report: &mpsc::UnboundedSender<Report>,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            endpoint.over(bot, alone);
            self.capacity.over(bot);
            match after {
                // The URL may have changed in the meantime.
                After::Next(due) if waviro_store::endpoint_of(&due.url) != name => {
                    self.take(due, report)
                }
                After::Next(due) => {
                    self.capacity.taken(due.bot_id);
                    endpoint.push_front(due);
                }
                After::Panicked(id) => self.panicked.push(id),
                After::Nothing => {}
            }
        }
        self.pump(name, report);
        let Some(endpoint) = self.endpoints.get_mut(name) else {
            return;
        };
        endpoint.forget_idle(bot);
        if endpoint.is_idle() {
            self.endpoints.remove(name);
            if !self.unscheduled.is_empty() {
                // Memory is free again for the rows without room.
                self.poll(report);
            }
        }
    }

    /// Starts as many deliveries as the caps allow.
    fn pump(&mut self, name: &str, report: &mpsc::UnboundedSender<Report>) {
        let Some(endpoint) = self.endpoints.get_mut(name) else {
            return;
        };
        if self.health.is_off(name) {
            // The deliveries wait in the database. A poll finds the rows when a user switches the
            // endpoint on.
            for due in endpoint.drain() {
                self.capacity.over(due.bot_id);
                self.unscheduled.push(due.id);
            }
        }
        loop {
            let (health, capacity) = (&self.health, &self.capacity);
            let next = endpoint.start(
                |bot| health.fails(name, bot),
                |bot, failing| capacity.for_a_request(bot, failing),
            );
            let (due, failing) = match next {
                Next::Start(Started { due, failing }) => (due, failing),
                Next::Crowded => {
                    if !self.crowded_out.iter().any(|out| out == name) {
                        self.crowded_out.push_back(name.to_owned());
                    }
                    return;
                }
                Next::Nothing => return,
            };
            self.capacity.started(due.bot_id, failing);
            let poster = Arc::clone(&self.poster);
            let mut permit = Permit::new(name, failing, &due, report);
            self.tasks.spawn(async move {
                let next = poster.deliver(due, &mut permit).await;
                permit.over(next);
            });
        }
    }

    /// Polls the database for pending messages to report with ack 0, and for due rows of queues
    /// with room in memory.
    fn poll(&mut self, report: &mpsc::UnboundedSender<Report>) {
        if self.polling {
            self.poll_again = true;
            return;
        }
        self.polling = true;
        metrics::gauge!("waviro_deliveries_in_memory")
            .set(u32::try_from(self.capacity.in_memory()).unwrap_or(u32::MAX));
        self.poster.measure();
        let unscheduled = std::mem::take(&mut self.unscheduled);
        let panicked = std::mem::take(&mut self.panicked);
        let queues = self.endpoints.iter().flat_map(|(name, endpoint)| {
            let queues = endpoint.queues();
            queues.map(move |(bot, length)| ((name.clone(), bot), length))
        });
        let lengths = queues.collect();
        let claimable = Claimable::new(
            self.capacity.clone(),
            lengths,
            self.health.failing().clone(),
        );
        let known_off = self.health.off();
        let (poster, feed, report) = (Arc::clone(&self.poster), self.feed.clone(), report.clone());
        self.tasks.spawn(async move {
            let found = poster.find(unscheduled, panicked, claimable, &feed).await;
            let (more, on) = match found {
                Ok((more, off)) => (more, known_off.difference(&off).cloned().collect()),
                Err(reason) => {
                    error!(%reason, "due deliveries could not be read");
                    (false, HashSet::new())
                }
            };
            let _ = report.send(Report::Polled { more, on });
        });
    }
}
