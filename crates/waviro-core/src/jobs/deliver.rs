//! The delivery engine: posts callbacks, keyword webhooks and events to users' endpoints.
//!
//! Each endpoint (scheme, host and port) has its own concurrency cap, so a dead endpoint does not
//! delay others. Each bot has its own queue at an endpoint ([`endpoint`]), so a slow URL of a bot
//! does not delay other bots on the same host. Deliveries without room in memory wait in the
//! database, and bodies always stay there. [`delivery`] handles a single delivery, [`health`]
//! tracks the failures of endpoints, [`poll`] reads the database.

mod capacity;
mod delivery;
mod endpoint;
mod handles;
mod health;
mod health_writer;
mod poll;
mod report;
mod request;
mod slot;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;
use waviro_link::Chat;
use waviro_store::clock::{Clock, millis};
use waviro_store::{AttemptFailure, Due, EndpointFailure, Store};

use capacity::{Capacity, queue_limit};
use delivery::Delivery;
use endpoint::{Endpoint, Next, Started};
pub(super) use handles::{Handles, RunningBots};
use health::Health;
use health_writer::HealthWriter;
pub use poll::PENDING_FOR;
use poll::{LeaseLimits, Poll, Polled};
use report::{After, Report};
pub(super) use request::EndpointClient;
use slot::Slot;

/// How often the engine polls the database for due deliveries.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// The deliveries in memory of all endpoints.
pub(super) struct DeliveryEngine {
    handles: Arc<Handles>,
    store: Store,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Returns leased and due deliveries to the inbox of [`Self::run`].
    feed: mpsc::UnboundedSender<Due>,
    /// Gets the reports of spawned tasks.
    report: mpsc::UnboundedSender<Report>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// The endpoints with deliveries in memory, by scheme, host and port.
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
    health_writer: HealthWriter,
}

impl DeliveryEngine {
    pub(super) fn new(
        handles: Handles,
        tasks: TaskTracker,
        feed: mpsc::UnboundedSender<Due>,
        endpoint_failures: Vec<EndpointFailure>,
    ) -> Self {
        let (store, clock) = (handles.store.clone(), handles.clock.clone());
        let (report, reports) = mpsc::unbounded_channel();
        Self {
            stop: handles.stop.clone(),
            tasks,
            feed,
            report,
            reports,
            endpoints: HashMap::new(),
            capacity: Capacity::default(),
            crowded_out: VecDeque::new(),
            unscheduled: Vec::new(),
            panicked: Vec::new(),
            polling: false,
            poll_again: false,
            health: Health::new(endpoint_failures, &clock),
            health_writer: HealthWriter::new(store.clone(), clock.clone()),
            handles: Arc::new(handles),
            store,
            clock,
        }
    }

    /// Runs until `stop`. Requests in progress end by themselves.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Due>) {
        let mut next_poll = self.clock.steady();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(report) = self.reports.recv() => self.reported(report),
                Some(due) = inbox.recv() => self.take(due),
                () = self.clock.sleep_until(next_poll) => {
                    next_poll = self.clock.steady() + millis(POLL_EVERY);
                    self.poll();
                }
            }
        }
        while self.health_writer.is_writing()
            && let Some(report) = self.reports.recv().await
        {
            if matches!(report, Report::HealthWritten(_)) {
                break;
            }
        }
        self.health_writer.write_rest().await;
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Answered {
                endpoint,
                bot,
                failing,
                result,
            } => self.answered(&endpoint, bot, failing, result),
            Report::Over {
                endpoint,
                bot,
                alone,
                after,
            } => self.over(&endpoint, bot, alone.as_ref(), after),
            Report::Polled { more, on } => {
                self.polling = false;
                self.health.switched_on(&on);
                if more || std::mem::take(&mut self.poll_again) {
                    self.poll();
                }
            }
            Report::HealthWritten(endpoint) => {
                self.health_writer.written();
                if let Some(endpoint) = endpoint {
                    self.health.written(&endpoint);
                    self.poll();
                }
                self.write_health();
            }
        }
    }

    /// Adds a leased delivery to the queue of its endpoint and bot.
    fn take(&mut self, due: Due) {
        let (name, bot) = (waviro_store::endpoint_of(&due.url), due.bot_id);
        let endpoint = self.endpoints.entry(name.clone()).or_default();
        let is_full = endpoint.waiting(bot) >= queue_limit(self.health.fails(&name, bot))
            || !self.capacity.has_memory(bot);
        if is_full || self.health.is_off(&name) {
            self.unscheduled.push(due.id);
            return;
        }
        endpoint.push_back(due);
        self.capacity.taken(bot);
        self.start(&name);
    }

    fn answered(
        &mut self,
        name: &str,
        bot: i32,
        failing: bool,
        result: Option<Result<(), AttemptFailure>>,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            endpoint.answered(bot, failing);
        }
        self.capacity.answered(bot, failing);
        if let Some(result) = result
            && let Some(change) = self.health.record((name, bot), result, &self.clock)
        {
            self.health_writer.push(change);
            self.write_health();
        }
        // A request slot is free. The endpoints waiting for a slot are served first; an endpoint
        // without success goes back to the end of the line.
        for _ in 0..self.crowded_out.len() {
            if self.capacity.is_full() {
                break;
            }
            if let Some(next) = self.crowded_out.pop_front() {
                self.start(&next);
            }
        }
        self.start(name);
    }

    /// Starts the write of the next health change, unless a write is running.
    fn write_health(&mut self) {
        let Some(write) = self.health_writer.next() else {
            return;
        };
        let report = self.report.clone();
        self.tasks.spawn(async move {
            // Until the write succeeds, a poll must not conclude that a user switched the endpoint
            // on.
            let _ = report.send(Report::HealthWritten(write.await));
        });
    }

    fn over(&mut self, name: &str, bot: i32, alone: Option<&Chat>, after: After) {
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            endpoint.over(bot, alone);
            self.capacity.over(bot);
            match after {
                // The URL may have changed in the meantime.
                After::Next(due) if waviro_store::endpoint_of(&due.url) != name => self.take(due),
                After::Next(due) => {
                    self.capacity.taken(due.bot_id);
                    endpoint.push_front(due);
                }
                After::Panicked(id) => self.panicked.push(id),
                After::Nothing => {}
            }
        }
        self.start(name);
        let Some(endpoint) = self.endpoints.get_mut(name) else {
            return;
        };
        endpoint.forget_idle(bot);
        if endpoint.is_idle() {
            self.endpoints.remove(name);
            if !self.unscheduled.is_empty() {
                // Memory is free again for the rows without room.
                self.poll();
            }
        }
    }

    /// Starts as many deliveries to an endpoint as the caps allow.
    fn start(&mut self, name: &str) {
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
                |bot, failing| capacity.may_request(bot, failing),
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
            let slot = Slot::new(name, failing, &due, self.report.clone());
            let delivery = Delivery::new(Arc::clone(&self.handles), due, slot);
            self.tasks.spawn(delivery.run());
        }
    }

    /// Polls the database for pending messages to report with ack 0, and for due rows of queues
    /// with room in memory.
    fn poll(&mut self) {
        if self.polling {
            self.poll_again = true;
            return;
        }
        self.polling = true;
        self.measure();
        let queues = self.endpoints.iter().flat_map(|(name, endpoint)| {
            let queues = endpoint.queues();
            queues.map(move |(bot, length)| ((name.clone(), bot), length))
        });
        let (lengths, failing) = (queues.collect(), self.health.failing().clone());
        let poll = Poll {
            store: self.store.clone(),
            clock: self.clock.clone(),
            unscheduled: std::mem::take(&mut self.unscheduled),
            panicked: std::mem::take(&mut self.panicked),
            lease_limits: LeaseLimits::new(self.capacity.clone(), lengths, failing),
            feed: self.feed.clone(),
        };
        let (known_off, report) = (self.health.off(), self.report.clone());
        self.tasks.spawn(async move {
            let (more, on) = match poll.run().await {
                Ok(Polled { more, off }) => (more, known_off.difference(&off).cloned().collect()),
                Err(reason) => {
                    error!(%reason, "due deliveries could not be read");
                    (false, HashSet::new())
                }
            };
            let _ = report.send(Report::Polled { more, on });
        });
    }

    /// Sets the metrics for the length of the queues.
    fn measure(&self) {
        let deep = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let in_memory = u32::try_from(self.capacity.in_memory()).unwrap_or(u32::MAX);
        metrics::gauge!("waviro_deliveries_in_memory").set(in_memory);
        metrics::gauge!("waviro_messages_pending").set(deep(self.store.pending_count()));
        metrics::gauge!("waviro_deliveries_open").set(deep(self.store.open_delivery_count()));
    }
}
